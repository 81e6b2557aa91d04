// What a power loss at the moment of a kill might have left of a data directory, built from the
// working files (the page cache as the killed process left it) and the shadow folder beside them
// (what was certainly durable: storage/shadow_disk.h).
//
// Each file independently: of the units that differ between working file and durable object, any
// subset is taken from the working file; a torn unit is part one, part the other; the size is the
// durable one, the working one, or between. Each unsynced directory entry is there or not; a rename
// leaves the old name or the new one.
//
// The folders are read once for all images of one kill, and an image is written as the durable
// bytes that are not zero and the units that were chosen: reading both for each took half the time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/prng.h"

namespace millrace::blackbox {

struct PowerImageOptions {
  uint32_t granularity = 512;  // or 4096
  bool torn = false;
};

class PowerImages {
 public:
  // `working` and `shadow` must not change while images are made; they are not written to.
  PowerImages(std::string working, std::string shadow);
  ~PowerImages();

  // `image` must not exist; its parent must.
  void make(const std::string& image, base::Prng& prng, const PowerImageOptions& options);

 private:
  class Files;
  class Folder;
  const std::string working_;
  const std::string shadow_;
  const std::unique_ptr<Files> files_;
};

}  // namespace millrace::blackbox
