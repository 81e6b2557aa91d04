// FixedFront: answers every request the same: a path that is not served, a fact that never changes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "net/http/front.h"

namespace millrace::net {

class FixedFront final : public HttpFront {
 public:
  FixedFront(uint16_t status, std::string type, std::string body)
      : status_(status), type_(std::move(type)), body_(std::move(body)) {}

  void handle(const HttpRequest&, HttpExchange& exchange) override {
    exchange.answer({.status = status_, .content_type = type_, .body = body_});
  }
  void cancel(HttpExchange&) override {}
  void stop_waiting(HttpExchange&) override {}

 private:
  const uint16_t status_;
  const std::string type_;
  const std::string body_;
};

}  // namespace millrace::net
