// Base64 (RFC 4648, section 4, with padding): binary attributes, receipt handles, task handles.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/types.h"

namespace millrace::net {

void append_base64(std::string& out, Bytes bytes);
// Decodes over the text itself, which becomes the bytes; nothing if it is not base64. Padding may
// be missing, but not wrong.
std::optional<std::string_view> decode_base64(char* text, size_t size);

}  // namespace millrace::net
