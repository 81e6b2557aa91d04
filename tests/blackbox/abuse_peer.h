// AbusePeer: a TCP connection that misbehaves: it never blocks for long, it may be reset, and it
// comes from whichever loopback address it is told to.
//
// Threads: one.  Memory: a descriptor, closed with the object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/types.h"

namespace millrace::blackbox {

// Frames of the binary protocol and requests of HTTP, ready to be sent.
std::string hello_frame();
std::string echo_frame(uint64_t correlation, size_t body_bytes);
std::string http_request(std::string_view method, std::string_view path, size_t body_bytes);

class AbusePeer {
 public:
  AbusePeer() = default;
  ~AbusePeer() { close(); }
  AbusePeer(AbusePeer&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  AbusePeer& operator=(AbusePeer&& other) noexcept;
  AbusePeer(const AbusePeer&) = delete;
  AbusePeer& operator=(const AbusePeer&) = delete;

  // `address` is "127.0.0.1:PORT"; `from` is the last byte of the address it comes from, 127.0.0.x.
  // `receive_bytes`: of the socket's buffer, 0: as it is. False if it was refused.
  bool connect(std::string_view address, uint8_t from = 1, int receive_bytes = 0);
  // Connects, says HELLO and hears WELCOME.
  bool greet(std::string_view address, uint8_t from = 1);
  // What went at once; negative: the connection is gone.
  int64_t send_some(std::string_view bytes);
  // All of it, or until nothing moves for ten seconds.
  bool send_all(std::string_view bytes);
  // What is there, thrown away; negative: the peer has closed.
  int64_t drop_input();
  // The next `count` bytes; fewer if the peer closes or says nothing for ten seconds.
  std::string hear(size_t count);
  // All until the peer closes, but at most `most`.
  std::string hear_to_end(size_t most) { return hear(most); }
  void finish_sending();
  void close();
  void reset();  // close with RST: nothing stays behind in the kernel
  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace millrace::blackbox
