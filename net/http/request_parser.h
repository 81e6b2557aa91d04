// RequestParser: the head of an HTTP/1.1 request, by llhttp in its strict mode, and what we take of
// what it lets pass.
//
// A head is parsed in one go, from where it lies whole; head_end() finds out whether it does, and
// refuses on the way what is refused whatever else it says: bare line feeds, folded fields, too
// many bytes. So nothing of a head under way is kept but how far it was looked through.
//
// Refused beyond llhttp: other versions than 1.0 and 1.1; methods other than GET, HEAD, POST and
// OPTIONS; no Host or two; a target that is neither a path nor a URI of this host; any transfer
// coding but chunked alone; any content coding; expectations but 100-continue; too long a body.
// Threads: shard-local; one is shared by all connections of a shard.   Memory: the fields' places.
// Source: RFC 9110, RFC 9112; the cases in tests/net/http_bad_input_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <llhttp.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/types.h"
#include "net/http/front.h"
#include "net/limits.h"

namespace millrace::net {

// Why a request is not taken. The connection closes behind it.
struct HttpRefusal {
  uint16_t status = 0;  // 0: it is taken
  std::string_view text{};
  explicit operator bool() const { return status != 0; }
};

// Views into the bytes that were parsed; `fields` until the next parse().
struct RequestHead {
  std::string_view method;
  std::string_view target;
  std::span<const HttpField> fields;
  uint64_t content_length = 0;
  bool chunked = false;
  bool keep_alive = false;
  bool http_1_0 = false;
  bool expects_continue = false;
};

class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // How many bytes the head at the beginning of `bytes` has; 0 if its end has not come or it is
  // refused. `line` is where the last line that was looked at begins: 0 at first, kept between
  // calls with more of the same.
  size_t head_end(Bytes bytes, size_t& line, HttpRefusal& refusal) const;
  // The head that fills `bytes`.
  HttpRefusal parse(Bytes bytes, RequestHead& head);

 private:
  static int on_method(llhttp_t* llhttp, const char* at, size_t length);
  static int on_target(llhttp_t* llhttp, const char* at, size_t length);
  static int on_name(llhttp_t* llhttp, const char* at, size_t length);
  static int on_value(llhttp_t* llhttp, const char* at, size_t length);
  static int on_end(llhttp_t* llhttp);

  HttpRefusal refusal_of(llhttp_errno error);
  HttpRefusal check(RequestHead& head);
  HttpRefusal check_fields(RequestHead& head);
  HttpRefusal check_target(RequestHead& head, std::string_view host) const;

  const Limits limits_;
  llhttp_settings_t settings_;
  llhttp_t llhttp_{};
  std::string_view method_, target_;
  std::vector<HttpField> fields_;
  std::string reason_;  // what a refusal's text points to
};

}  // namespace millrace::net
