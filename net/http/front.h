// HttpFront: what answers the HTTP requests of one shard. The transport (net/http/) brings requests
// whole and in order; a front (SQS, SNS, metrics, health, console) knows nothing of sockets.
//
//   void handle(const HttpRequest& request, HttpExchange& exchange) override {
//     if (request.path() == "/healthz") return exchange.answer({.body = "ok\n"});
//     ... or keep &exchange, ask the shard, and answer in a later call ...
//   }
//
// One request of a connection is with a front at a time; the next is read when it is answered.
// Views of a request live until handle() returns; views of a response until answer() returns.
//
// Threads: shard-local; a front is called on its shard's thread and answers on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "millrace/types.h"

namespace millrace::net {

struct HttpField {
  std::string_view name;  // in a request: as it was sent, in any case
  std::string_view value;
};

// That many readable bytes follow a request's body, as simdjson wants them.
inline constexpr size_t kHttpBodyPadding = 64;

struct HttpRequest {
  std::string_view method;
  std::string_view target;  // as sent: the path and, behind '?', the query, both still encoded
  std::span<const HttpField> fields;  // in the order they were sent
  MutableBytes body;                  // without its transfer coding; may be changed
  std::string_view peer;              // the peer's address without its port; empty: a unix socket
  bool secure = false;                // it came over TLS

  std::string_view path() const { return target.substr(0, target.find('?')); }
  std::string_view query() const {
    const size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  }
  // The value of the first field with this name, which is given in lower case; empty if there is
  // none.
  std::string_view field(std::string_view name) const;
};

struct HttpResponse {
  uint16_t status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  // empty: no such field
  std::span<const HttpField> fields{};  // besides Content-Type, Content-Length, Date, Connection
  std::string_view body{};
  bool close = false;  // the connection is closed behind it
};

// One request that is not answered yet. Lives until it is answered or the front is told that it is
// cancelled.
class HttpExchange {
 public:
  // Once.
  virtual void answer(const HttpResponse& response) = 0;

 protected:
  ~HttpExchange() = default;
};

class HttpFront {
 public:
  virtual ~HttpFront() = default;
  // Answers before it returns, or keeps the exchange and answers later.
  virtual void handle(const HttpRequest& request, HttpExchange& exchange) = 0;
  // The peer is gone: `exchange` is not to be touched any more. What waits for a message is given
  // up without taking one; what was already taken for it is given back.
  virtual void cancel(HttpExchange& exchange) = 0;
  // Answer soon, with what there is, instead of waiting on: the peer sends no more, or the server
  // stops. Not an order to cut short what will be answered by itself.
  virtual void stop_waiting(HttpExchange& exchange) = 0;
};

}  // namespace millrace::net
