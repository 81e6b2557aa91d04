// What a power loss at the moment of a kill might have left of a data directory, built from the
// working files (the page cache as the killed process left it) and the shadow folder beside them
// (what was certainly durable: storage/shadow_disk.h).
//
// Each file independently: of the units that differ between working file and durable object, any
// subset is taken from the working file; a torn unit is part one, part the other; the size is the
// durable one, the working one, or between. Each unsynced directory entry is there or not; a rename
// leaves the old name or the new one.
#pragma once

#include <cstdint>
#include <string>

#include "base/prng.h"

namespace millrace::blackbox {

struct PowerImageOptions {
  uint32_t granularity = 512;  // or 4096
  bool torn = false;
};

// `image` must not exist; its parent must. The other folders are not changed.
void make_power_image(const std::string& working, const std::string& shadow,
                      const std::string& image, base::Prng& prng, const PowerImageOptions& options);

}  // namespace millrace::blackbox
