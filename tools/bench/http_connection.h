// HttpConnection: one connection to an HTTP/1.1 server, its requests pipelined, its answers in
// order.
//
// A request is put together in out() by the caller, who notes with asked() what it was; nothing is
// sent before flush(). receive() reads once and calls `on_answer` for each answer that is whole,
// with what was noted of its request. Threads: one.  Memory: what is not sent yet, and the body of
// one answer.
#pragma once

#include <cstdint>
#include <deque>
#include <llhttp.h>
#include <string>
#include <string_view>

#include "clients/cpp/socket.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::tools {

class HttpConnection;

struct HttpAsked {
  uint32_t kind = 0;
  uint32_t token = 0;
  size_t bytes = 0;  // of the request's body
};

class HttpAnswers {
 public:
  virtual ~HttpAnswers() = default;
  // `body` may be changed. False: no more is to be read, receive() fails with `malformed`.
  virtual bool on_answer(HttpConnection& connection, HttpAsked asked, uint32_t status,
                         std::string& body) = 0;
};

class HttpConnection {
 public:
  // `lane` is the caller's, as is `answers`, which outlives this.
  HttpConnection(client::Socket socket, uint32_t lane, HttpAnswers& answers);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  int fd() const { return socket_.fd(); }
  const client::Socket& socket() const { return socket_; }
  uint32_t lane() const { return lane_; }

  std::string& out() { return out_; }
  void asked(HttpAsked what) { under_way_.push_back(what); }
  size_t under_way() const { return under_way_.size(); }
  bool wants_write() const { return sent_ < out_.size(); }
  Status flush();
  // `scratch` is what is read into. Errors: connection_closed, malformed.
  Status receive(MutableBytes scratch);

 private:
  static HttpConnection& of(llhttp_t* llhttp);
  static int on_body(llhttp_t* llhttp, const char* at, size_t length);
  static int on_whole(llhttp_t* llhttp);

  client::Socket socket_;
  const uint32_t lane_;
  HttpAnswers& answers_;
  std::string out_;
  size_t sent_ = 0;
  std::deque<HttpAsked> under_way_;
  std::string body_;
  llhttp_settings_t settings_;
  llhttp_t llhttp_{};
};

}  // namespace millrace::tools
