// Socket: a non-blocking stream to an address such as "127.0.0.1:7411", "[::1]:7411" or
// "unix:/run/millrace.sock".
//
// Threads: one.  Memory: a descriptor, closed with the object.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::client {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // May sleep up to `timeout_ms`. Errors: invalid_argument (not an address), timed_out,
  // connection_closed (nobody listens there); `message` gets one line for people.
  static Result<Socket> connect(std::string_view address, int timeout_ms, std::string* message);

  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void close();
  // Bytes taken or given; 0: it would block. Error: connection_closed.
  Result<size_t> write(Bytes bytes);
  Result<size_t> read(MutableBytes bytes);
  // Sleeps until bytes can be read (or written, if `or_write`); false on timeout. A negative
  // timeout waits for ever. A signal ends the wait early, as a timeout.
  bool wait(bool or_write, int timeout_ms) const;

 private:
  int fd_ = -1;
};

}  // namespace millrace::client
