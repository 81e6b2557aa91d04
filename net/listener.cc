#include "net/listener.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace millrace::net {
namespace {

constexpr int kBacklog = 4096;

void set_option(int socket, int level, int name) {
  const int on = 1;
  ::setsockopt(socket, level, name, &on, sizeof on);
}

// Whether somebody accepts connections there.
bool answers(const Address& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return true;
  const bool refused =
      ::connect(probe, address.raw(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return !refused;
}

Errc code_of(int error) {
  if (error == EADDRINUSE) return Errc::address_in_use;
  if (error == EACCES || error == EPERM) return Errc::permission_denied;
  return Errc::io_error;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const Address& address, uint16_t shards,
                                                 std::string* message) {
  auto listener = std::unique_ptr<Listener>(new Listener(address));
  Status bound;
  if (address.kind == AddressKind::tcp) bound = listener->bind_tcp(shards);
  if (address.kind == AddressKind::local) bound = listener->bind_local();
  if (bound) return listener;
  *message =
      fmt::format("cannot listen on {}: {}", address.text(), std::strerror(listener->error_));
  return fail(bound.error());
}

Listener::~Listener() {
  for (const int socket : sockets_) {
    ::close(socket);
  }
  if (made_file_) ::unlink(address_.path().c_str());
}

int Listener::bind_one(bool share_port) {
  const int socket = ::socket(address_.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return errno;
  if (address_.kind == AddressKind::tcp) {
    set_option(socket, SOL_SOCKET, SO_REUSEADDR);
    if (share_port) set_option(socket, SOL_SOCKET, SO_REUSEPORT);
    set_option(socket, IPPROTO_TCP, TCP_NODELAY);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE);
    if (address_.bytes.ss_family == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY);
  }
  if (::bind(socket, address_.raw(), address_.length) != 0 || ::listen(socket, kBacklog) != 0) {
    const int error = errno;
    ::close(socket);
    return error;
  }
  sockets_.push_back(socket);
  return 0;
}

Status Listener::bind_tcp(uint16_t shards) {
  // Once without sharing: with SO_REUSEPORT a second server of the same user would not find the
  // port taken, but get half of the connections.
  error_ = bind_one(false);
  if (error_ != 0) return fail(code_of(error_));
  address_.length = sizeof address_.bytes;
  ::getsockname(sockets_.front(), address_.raw(), &address_.length);
  if (shards == 1) return {};
  ::close(sockets_.front());
  sockets_.clear();
  for (uint16_t shard = 0; shard < shards; ++shard) {
    error_ = bind_one(true);
    if (error_ != 0) return fail(code_of(error_));
  }
  return {};
}

Status Listener::bind_local() {
  const std::string path = address_.path();
  error_ = bind_one(false);
  struct stat file {};
  if (error_ == EADDRINUSE && ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode) &&
      !answers(address_)) {
    ::unlink(path.c_str());
    error_ = bind_one(false);
  }
  if (error_ != 0) return fail(code_of(error_));
  made_file_ = true;
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  return {};
}

}  // namespace millrace::net
