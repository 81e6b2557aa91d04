// EchoFront: answers a POST with its own body: what the transport costs without a queue behind it,
// for benchmarks and tests.
#pragma once

#include "net/http/front.h"

namespace millrace::net {

inline constexpr std::string_view kEchoPath = "/_millrace/echo";

class EchoFront final : public HttpFront {
 public:
  void handle(const HttpRequest& request, HttpExchange& exchange) override {
    exchange.answer(
        {.content_type = request.field("content-type"),
         .body = {reinterpret_cast<const char*>(request.body.data()), request.body.size()}});
  }
  void cancel(HttpExchange&) override {}
  void stop_waiting(HttpExchange&) override {}
};

}  // namespace millrace::net
