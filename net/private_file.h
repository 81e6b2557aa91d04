// A file with secrets in it: read only if it is for its owner alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace millrace::net {

// The contents; nothing, and one line in `why` that begins with the path, if there is no such file,
// if it is a link (unless those are followed), if others than its owner may read or change it, if
// it belongs neither to us nor to root, or if it is longer than `bytes_max`. The caller wipes what
// it gets. Blocks while it reads.
enum class Links : uint8_t { refused, followed };
std::optional<std::string> read_private_file(const std::string& path, size_t bytes_max,
                                             std::string* why, Links links = Links::refused);

}  // namespace millrace::net
