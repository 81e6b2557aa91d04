// What lies in a data directory: the shards' folders, and what does not belong there.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/result.h"
#include "storage/disk.h"

namespace millrace::engine {

inline constexpr std::string_view kCatalogDirectory = "catalog";
inline constexpr std::string_view kShardDirectory = "shard-";
// Of whoever stands above the engine: keys that outlive a process. The engine only knows its name.
inline constexpr std::string_view kKeysDirectory = "keys";

std::string shard_directory(uint16_t shard);
// N if `name` is "shard-N" and a broker could have made it; else -1.
int shard_number(std::string_view name);

// Paths below the root that no broker made: other programs' files, links, what is left of a repair.
// They are never followed, read or removed.
Result<std::vector<std::string>> foreign_files(storage::Disk& disk);

// Bit N is set if shard-N is there.
Result<uint64_t> found_shards(storage::Disk& disk);

}  // namespace millrace::engine
