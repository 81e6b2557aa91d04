#include "tests/blackbox/abuse_peer.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "clients/cpp/frame.h"
#include "millrace/wire.h"

namespace millrace::blackbox {
namespace {

constexpr int kHearMs = 10'000;

std::string frame_of(wire::Opcode opcode, uint64_t correlation, Bytes body) {
  client::ByteQueue out(64 + body.size());
  std::byte* to = client::begin_frame(out, opcode, correlation, body.size());
  std::copy(body.begin(), body.end(), to);
  client::seal_frame(to, body.size());
  return {reinterpret_cast<const char*>(out.front()), out.size()};
}

bool ready(int fd, short events, int wait_ms) {
  pollfd wait{fd, events, 0};
  return ::poll(&wait, 1, wait_ms) > 0;
}

}  // namespace

std::string hello_frame() {
  const wire::Hello hello{wire::kMagic, wire::kVersion, wire::kVersion, 0, 0};
  return frame_of(wire::Opcode::hello, 1, std::as_bytes(std::span(&hello, 1)));
}

std::string echo_frame(uint64_t correlation, size_t body_bytes) {
  const std::string body(body_bytes, 'x');
  return frame_of(wire::Opcode::echo, correlation, std::as_bytes(std::span(body)));
}

std::string http_request(std::string_view method, std::string_view path, size_t body_bytes) {
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}", method,
                     path, body_bytes, std::string(body_bytes, 'x'));
}

AbusePeer& AbusePeer::operator=(AbusePeer&& other) noexcept {
  if (this == &other) return *this;
  close();
  std::swap(fd_, other.fd_);
  return *this;
}

bool AbusePeer::connect(std::string_view address, uint8_t from, int receive_bytes) {
  close();
  const size_t colon = address.rfind(':');
  const auto port =
      static_cast<uint16_t>(std::atoi(std::string(address.substr(colon + 1)).c_str()));
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(port);
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xFFu) | from);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  const int one = 1;
  // The port is chosen at connect(), so that each address has all of them for each listener.
  ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (receive_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0 &&
      ::connect(fd_, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0)
    return true;
  close();
  return false;
}

bool AbusePeer::greet(std::string_view address, uint8_t from) {
  constexpr size_t kWelcomeBytes = sizeof(wire::FrameHeader) + sizeof(wire::Welcome);
  return connect(address, from) && send_all(hello_frame()) &&
         hear(kWelcomeBytes).size() == kWelcomeBytes;
}

int64_t AbusePeer::send_some(std::string_view bytes) {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) return n;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

bool AbusePeer::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const int64_t n = send_some(bytes);
    if (n < 0 || (n == 0 && !ready(fd_, POLLOUT, kHearMs))) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

int64_t AbusePeer::drop_input() {
  std::array<char, 64 << 10> buffer;
  int64_t dropped = 0;
  while (true) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) {
      dropped += n;
      continue;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return dropped;
    return -1;
  }
}

std::string AbusePeer::hear(size_t count) {
  std::string heard(count, '\0');
  size_t at = 0;
  while (at < count && ready(fd_, POLLIN, kHearMs)) {
    const ssize_t n = ::recv(fd_, heard.data() + at, count - at, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  heard.resize(at);
  return heard;
}

void AbusePeer::finish_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void AbusePeer::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void AbusePeer::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

}  // namespace millrace::blackbox
