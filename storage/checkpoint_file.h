// checkpoint_file: the owner's state as of a position, in a file that is a cache.
//
// Replaced atomically; whatever does not fit - another version, log, position or checksum - is as
// if it was not there, since the log can always be replayed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/disk.h"
#include "storage/format.h"

namespace millrace::storage {

struct Checkpoint {
  uint64_t position = 0;
  uint64_t generation = 0;  // of the segment that holds the byte before `position`
  std::vector<std::byte> state;
};

inline constexpr const char* kCheckpointFile = "checkpoint";

std::vector<std::byte> encode_checkpoint(uint16_t log_id, uint64_t position, uint64_t generation,
                                         const std::vector<std::byte>& state);
// nullopt if there is none or it is not whole.
std::optional<Checkpoint> read_checkpoint(Disk& disk, const std::string& directory,
                                          uint16_t log_id);

}  // namespace millrace::storage
