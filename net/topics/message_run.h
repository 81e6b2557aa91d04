// A run of messages (millrace/message.h), made one message at a time.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/message.h"

namespace millrace::net::topics {

inline void append_message(std::string& run, std::string_view properties, std::string_view body,
                           uint32_t delay_ms) {
  const MessageHeader header{static_cast<uint32_t>(body.size()),
                             static_cast<uint32_t>(properties.size()), delay_ms, 0};
  const size_t begin = run.size();
  run.append(reinterpret_cast<const char*>(&header), sizeof header);
  run.append(properties).append(body);
  run.resize(begin + message_stride(header), '\0');
}

}  // namespace millrace::net::topics
