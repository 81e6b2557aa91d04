// A file as it certainly is on disk and as it was being written, and what a power loss may make of
// the two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.h"

namespace millrace::blackbox {

class PowerFile {
 public:
  // Paths; `durable` empty: nothing of it is certain. Both are read once, here.
  PowerFile(const std::string& durable, const std::string& working);

  // Writes one outcome to `path`, which must not exist: the durable bytes, and any subset of the
  // units of `granularity` bytes (512 or 4096) that differ; `torn`: some of them in part only.
  void write(const std::string& path, base::Prng& prng, uint32_t granularity, bool torn) const;

 private:
  struct Range {
    uint64_t from = 0, to = 0;  // bytes
  };
  using Content = std::vector<std::byte>;

  // Padded with zeros to one size, of whole blocks.
  Content durable_, working_;
  uint64_t durable_bytes_, working_bytes_;
  std::vector<Range> filled_;        // where `durable_` is not zero, in whole blocks
  std::vector<uint64_t> differing_;  // offsets of units of 512 bytes, ascending
};

}  // namespace millrace::blackbox
