#include "clients/cpp/socket.h"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace millrace::client {
namespace {

constexpr std::string_view kUnix = "unix:";

Failure refuse(Errc error, std::string_view address, std::string_view why, std::string* message) {
  if (message != nullptr)
    *message = "cannot connect to " + std::string(address) + ": " + std::string(why);
  return fail(error);
}

// A unix socket whose backlog is full says EAGAIN at once, and nothing tells when there is room: it
// is asked again, until the time is over.
int connect_when_room(int fd, const sockaddr* name, socklen_t name_bytes, int timeout_ms) {
  constexpr int kStepMs = 5;
  for (int waited_ms = 0;; waited_ms += kStepMs) {
    if (::connect(fd, name, name_bytes) == 0) return 0;
    const int error = errno;
    if (error != EAGAIN || name->sa_family != AF_UNIX) return error;
    if (timeout_ms >= 0 && waited_ms >= timeout_ms) return ETIMEDOUT;
    ::poll(nullptr, 0, kStepMs);
  }
}

Result<Socket> connect_to(const sockaddr* name, socklen_t name_bytes, std::string_view address,
                          int timeout_ms, std::string* message) {
  Socket made(::socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.open()) return refuse(Errc::connection_closed, address, std::strerror(errno), message);
  if (const int begun = connect_when_room(made.fd(), name, name_bytes, timeout_ms); begun != 0) {
    if (begun == ETIMEDOUT) return refuse(Errc::timed_out, address, "no answer in time", message);
    if (begun != EINPROGRESS)
      return refuse(Errc::connection_closed, address, std::strerror(begun), message);
    pollfd ready{made.fd(), POLLOUT, 0};
    if (::poll(&ready, 1, timeout_ms) != 1)
      return refuse(Errc::timed_out, address, "no answer in time", message);
    int error = 0;
    socklen_t bytes = sizeof error;
    ::getsockopt(made.fd(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error != 0) return refuse(Errc::connection_closed, address, std::strerror(error), message);
  }
  const int on = 1;
  if (name->sa_family != AF_UNIX) ::setsockopt(made.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

Result<Socket> connect_unix(std::string_view path, std::string_view address, int timeout_ms,
                            std::string* message) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path)
    return refuse(Errc::invalid_argument, address, "a socket's path is 1 to 107 bytes", message);
  std::memcpy(name.sun_path, path.data(), path.size());
  return connect_to(reinterpret_cast<const sockaddr*>(&name), sizeof name, address, timeout_ms,
                    message);
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Socket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Socket> Socket::connect(std::string_view address, int timeout_ms, std::string* message) {
  if (address.starts_with(kUnix))
    return connect_unix(address.substr(kUnix.size()), address, timeout_ms, message);

  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size())
    return refuse(Errc::invalid_argument, address, "an address is HOST:PORT or unix:PATH", message);
  std::string host(address.substr(0, colon));
  const std::string port(address.substr(colon + 1));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
    return refuse(Errc::invalid_argument, address, ::gai_strerror(error), message);
  Result<Socket> made = fail(Errc::connection_closed);
  for (const addrinfo* each = found; each != nullptr && !made; each = each->ai_next)
    made = connect_to(each->ai_addr, each->ai_addrlen, address, timeout_ms, message);
  ::freeaddrinfo(found);
  return made;
}

Result<size_t> Socket::write(Bytes bytes) {
  ssize_t n = 0;
  do {
    n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return static_cast<size_t>(n);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
  return fail(Errc::connection_closed);
}

Result<size_t> Socket::read(MutableBytes bytes) {
  ssize_t n = 0;
  do {
    n = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return static_cast<size_t>(n);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return size_t{0};
  return fail(Errc::connection_closed);
}

bool Socket::wait(bool or_write, int timeout_ms) const {
  pollfd ready{fd_, static_cast<short>(or_write ? POLLIN | POLLOUT : POLLIN), 0};
  return ::poll(&ready, 1, timeout_ms) == 1;
}

}  // namespace millrace::client
