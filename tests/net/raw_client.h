// RawClient: a blocking client socket that speaks frames, for tests of a server as its peers see
// it.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "tests/net/peer.h"

namespace millrace::net::test {

class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    std::string message;
    const Result<Address> to = parse_address(address, &message);
    socket_ = ::socket(to->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = ::connect(socket_, to->raw(), to->length) == 0;
    timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int socket() const { return socket_; }
  bool say(const ByteString& bytes) {
    size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t n = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      at += static_cast<size_t>(n);
    }
    return true;
  }
  // The next frame; an error with connection_closed if there is none.
  Answer hear() {
    wire::FrameHeader header{};
    if (!read_whole(&header, sizeof header)) return closed();
    ByteString bytes(header.length);
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!read_whole(bytes.data() + sizeof header, bytes.size() - sizeof header)) return closed();
    return parse(bytes).front();
  }
  Answer ask(const ByteString& bytes) {
    say(bytes);
    return hear();
  }
  bool greet() { return ask(hello()).is(wire::Opcode::hello); }
  bool at_end() { return hear().is_error(Errc::connection_closed); }
  QueueId create(std::string_view name, uint64_t correlation = 2) {
    return QueueId{ask(queue_create(correlation, name)).as<wire::QueueRef>().queue_id};
  }

 private:
  static Answer closed() {
    Answer answer;
    answer.header.opcode = static_cast<uint8_t>(wire::Opcode::error);
    answer.header.status = static_cast<uint16_t>(Errc::connection_closed);
    return answer;
  }
  bool read_whole(void* to, size_t bytes) {
    size_t at = 0;
    while (at < bytes) {
      // A ring that this thread made and gave up interrupts it while the kernel clears up.
      const ssize_t n = ::recv(socket_, static_cast<char*>(to) + at, bytes - at, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      at += static_cast<size_t>(n);
    }
    return true;
  }

  int socket_ = -1;
  bool connected_ = false;
};

}  // namespace millrace::net::test
