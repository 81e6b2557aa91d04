// ResponseHead: the status line and fields of an answer.
//
// Whether a connection goes on is said as its client's version expects it: HTTP/1.1 does unless
// `Connection: close` is there, HTTP/1.0 only with `Connection: keep-alive`. The date is put into
// words once a second. Threads: shard-local; one is shared by all connections of a shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/types.h"
#include "net/http/front.h"

namespace millrace::net {

enum class Persistence : uint8_t {
  implied,  // HTTP/1.1 going on
  said,     // HTTP/1.0 going on
  ends,
};

class ResponseHead {
 public:
  // The bytes of the head; they stay until the next call.
  std::string_view write(const HttpResponse& response, Persistence persistence, TimeMs now);

 private:
  void set_date(TimeMs now);

  std::string text_;
  std::string date_;  // "Date: ...\r\n"
  int64_t date_s_ = -1;
};

// "Not Found"; of an unknown status "Unknown".
std::string_view reason_of(uint16_t status);
// A status that has no body, and says no length.
inline bool is_bodiless(uint16_t status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace millrace::net
