#include "net/listener.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace millrace::net {
namespace {

constexpr int kBacklog = 4096;
// A server that was killed keeps its listening socket for a moment longer than its process: the
// kernel takes an io_uring apart on a thread of its own, and the ring holds the socket. So an
// address that is taken is looked at again until this long has passed.
constexpr int kTakenRetryMs = 1'000;
constexpr int kTakenRetryStepMs = 20;

void set_option(int socket, int level, int name) {
  const int on = 1;
  ::setsockopt(socket, level, name, &on, sizeof on);
}

// Whether nobody will ever accept connections there: only a refusal says so. A full backlog, or a
// connection that waits in it, may be a live server's.
bool abandoned(const Address& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, address.raw(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

// Holds the directory of a unix socket while its file is looked at and replaced: of two servers
// that start at once on one that a third left behind, the second must not take away what the first
// has just made. Where the directory may not be read there is no such care.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string directory =
        slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
    fd_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ >= 0) ::flock(fd_, LOCK_EX);
  }
  ~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int fd_;
};

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
  int error = try_bind(share_port);
  for (int waited_ms = 0; error == EADDRINUSE && waited_ms < kTakenRetryMs;
       waited_ms += kTakenRetryStepMs) {
    ::usleep(kTakenRetryStepMs * 1000);
    error = try_bind(share_port);
  }
  return error;
}

int Listener::try_bind(bool share_port) {
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

int Listener::replace_abandoned() {
  const std::string path = address_.path();
  const DirectoryLock lock(path);
  const int error = try_bind(false);
  struct stat file {};
  if (error != EADDRINUSE || ::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode) ||
      !abandoned(address_)) {
    return error;
  }
  ::unlink(path.c_str());
  return try_bind(false);
}

Status Listener::bind_local() {
  error_ = replace_abandoned();
  for (int waited_ms = 0; error_ == EADDRINUSE && waited_ms < kTakenRetryMs;
       waited_ms += kTakenRetryStepMs) {
    ::usleep(kTakenRetryStepMs * 1000);
    error_ = replace_abandoned();
  }
  if (error_ != 0) return fail(code_of(error_));
  made_file_ = true;
  ::chmod(address_.path().c_str(), S_IRUSR | S_IWUSR);
  return {};
}

}  // namespace millrace::net
