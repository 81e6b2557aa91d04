#include "net/epoll_reactor.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "base/os_clock.h"

namespace millrace::net {
namespace {

constexpr uint64_t kListenerTag = uint64_t{1} << 32;  // and the listener's number
constexpr uint64_t kWakerTag = uint64_t{1} << 33;
constexpr int kReadyMax = 256;
constexpr int kAcceptsPerTurn = 64;
constexpr size_t kPieceBytesMin = 4096;
constexpr size_t kCacheLine = 64;

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<Reactor>> EpollReactor::make(const ReactorOptions& options,
                                                    std::string* reason) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) {
    *reason = "epoll cannot be had: out of file descriptors";
    return fail(Errc::io_error);
  }
  auto reactor = std::unique_ptr<EpollReactor>(new EpollReactor(epoll, options));
  if (reactor->control(EPOLL_CTL_ADD, reactor->waker_->fd(), EPOLLIN, kWakerTag) != 0) {
    *reason = "epoll cannot be had: out of memory or of watches";
    return fail(Errc::io_error);
  }
  return std::unique_ptr<Reactor>(std::move(reactor));
}

EpollReactor::EpollReactor(int epoll, const ReactorOptions& options)
    : epoll_(epoll),
      arena_bytes_(size_t{options.receive_buffers} * options.receive_buffer_bytes -
                   kReceivePadding),
      piece_bytes_max_(options.receive_buffer_bytes) {
  BufferPool unpooled;
  arena_ = unpooled.take(arena_bytes_ + kReceivePadding);
}

EpollReactor::~EpollReactor() {
  for (const Connection& c : connections_) {
    if (c.fd >= 0) ::close(c.fd);
  }
  ::close(epoll_);
}

// The errno, 0 if it went well. What only a mistake of ours can cause stops the process.
int EpollReactor::control(int operation, int fd, uint32_t interest, uint64_t tag) const {
  epoll_event event{};
  event.events = interest;
  event.data.u64 = tag;
  const int error = ::epoll_ctl(epoll_, operation, fd, &event) == 0 ? 0 : errno;
  MR_ASSERT(error != EBADF && error != EEXIST && error != EINVAL && error != ENOENT);
  return error;
}

void EpollReactor::start_accepting(int listener, uint8_t number) {
  set_nonblocking(listener);
  if (number >= listeners_.size()) listeners_.resize(number + size_t{1});
  listeners_[number] = {.fd = listener};
  watch_listener(number);
}

void EpollReactor::watch_listener(uint8_t number) {
  Listening& listening = listeners_[number];
  if (listening.fd < 0 || listening.watched) return;
  // Exclusive: a unix socket's listener is shared by the shards, and one of them is enough.
  const int error =
      control(EPOLL_CTL_ADD, listening.fd, EPOLLIN | EPOLLEXCLUSIVE, kListenerTag | number);
  listening.watched = error == 0;
  if (error == 0) return;
  connections_.tell({.kind = EventKind::accept_failed, .error = error});
  accept_pause_.begin();
}

void EpollReactor::stop_accepting() {
  for (const Listening& listening : listeners_) {
    if (listening.watched) control(EPOLL_CTL_DEL, listening.fd, 0, kListenerTag);
  }
  listeners_.clear();
  accept_pause_.cancel();
}

uint32_t EpollReactor::adopt(int socket) {
  set_nonblocking(socket);
  const uint32_t connection = connections_.add({.fd = socket, .reading = true});
  watch(connection);
  return connection;
}

// Brings what epoll watches in line with what the connection waits for. A socket that waits for
// nothing is taken out: a hang-up would be reported again and again.
void EpollReactor::watch(uint32_t connection) {
  Connection& c = connections_[connection];
  uint32_t interest = 0;
  if (c.reading && !c.ended) interest |= EPOLLIN;
  if (!c.unsent.empty()) interest |= EPOLLOUT;
  if (interest == c.interest) return;
  const int operation = interest == 0 ? EPOLL_CTL_DEL : (c.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
  const int error = control(operation, c.fd, interest, connection);
  if (error == 0) {
    c.interest = interest;
    c.watched = interest != 0;
    return;
  }
  // It would never be heard of again.
  c.unsent = {};
  connections_.tell_end(connection, error);
}

int EpollReactor::wait_ms(int64_t wait_ns) const {
  wait_ns = accept_pause_.limit(wait_ns);
  if (wait_ns < 0) return -1;
  // Rounded up: waking before the deadline would only make another turn.
  return static_cast<int>(std::min<int64_t>((wait_ns + 999'999) / 1'000'000, 3'600'000));
}

std::span<const Event> EpollReactor::run_turn(int64_t wait_ns) {
  connections_.begin_turn();
  arena_used_ = 0;
  line_.begin_turn();
  if (accept_pause_.ends()) {
    for (size_t number = 0; number < listeners_.size(); ++number)
      watch_listener(static_cast<uint8_t>(number));
  }

  int timeout = connections_.nothing_told() && line_.empty() ? wait_ms(wait_ns) : 0;
  const bool sleeps = timeout != 0 && waker_->may_sleep();
  if (!sleeps) timeout = 0;
  epoll_event ready[kReadyMax];
  const int count = ::epoll_wait(epoll_, ready, kReadyMax, timeout);
  if (sleeps) waker_->awake();

  // Who found no room goes first: epoll tells of all that have something in the same order again.
  trying_.clear();
  trying_.swap(starved_);
  for (const uint32_t connection : trying_) {
    const Connection& c = connections_[connection];
    if (c.fd >= 0 && c.reading) receive(connection);
  }
  line_.serve(piece_bytes_max_, [this](uint32_t connection, uint32_t piece_bytes) {
    Connection& c = connections_[connection];
    c.in_line = false;
    if (c.fd >= 0 && c.reading) receive(connection, piece_bytes);
  });
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[i];
    if (event.data.u64 == kWakerTag) {
      waker_->drain();
    } else if ((event.data.u64 & kListenerTag) != 0) {
      accept_all(static_cast<uint8_t>(event.data.u64));
    } else {
      const auto connection = static_cast<uint32_t>(event.data.u64);
      if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) send_more(connection);
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(connection);
    }
  }
  line_.end_turn();
  return connections_.end_turn();
}

void EpollReactor::accept_all(uint8_t number) {
  Listening& listening = listeners_[number];
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int socket = ::accept4(listening.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      const uint32_t connection = connections_.add({.fd = socket, .reading = true});
      connections_.tell(
          {.kind = EventKind::accepted, .listener = number, .connection = connection});
      watch(connection);
      continue;
    }
    const int error = errno;
    if (error == EAGAIN) return;
    if (!AcceptPause::calls_for_one(error)) continue;
    connections_.tell({.kind = EventKind::accept_failed, .error = error});
    control(EPOLL_CTL_DEL, listening.fd, 0, kListenerTag);
    listening.watched = false;
    accept_pause_.begin();
    return;
  }
}

void EpollReactor::receive(uint32_t connection, uint32_t bytes_max) {
  Connection& c = connections_[connection];
  if (c.ended || c.in_line) return;
  if (!c.reading) {
    // Only a hang-up or an error is reported now. Data may still wait before it in the socket:
    // reading, once resumed, finds out.
    c.interest = 0;
    c.watched = false;
    control(EPOLL_CTL_DEL, c.fd, 0, connection);
    return;
  }
  const size_t room = std::min<size_t>(bytes_max, arena_bytes_ - arena_used_);
  if (room < std::min<size_t>(kPieceBytesMin, piece_bytes_max_)) {
    starved_.push_back(connection);
    return;
  }
  std::byte* to = arena_.data.get() + arena_used_;
  const ssize_t got = ::recv(c.fd, to, room, 0);
  if (got > 0) {
    const auto bytes = static_cast<size_t>(got);
    arena_used_ += (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
    arena_used_ = std::min(arena_used_, arena_bytes_);
    connections_.tell({.kind = EventKind::data, .connection = connection, .data = {to, bytes}});
    c.in_line = InputPacing::is_long(bytes);
    if (c.in_line) line_.join(connection);
  } else if (got == 0) {
    end(connection, 0);
  } else if (errno != EAGAIN && errno != EINTR) {
    end(connection, errno);
  }
}

void EpollReactor::end(uint32_t connection, int error) {
  connections_.tell_end(connection, error);
  watch(connection);
}

uint32_t EpollReactor::send(uint32_t connection, Bytes bytes) {
  Connection& c = connections_[connection];
  MR_ASSERT(c.fd >= 0 && c.unsent.empty());
  const ssize_t n = ::send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const size_t gone = n > 0 ? static_cast<size_t>(n) : 0;
  if (gone < bytes.size()) {
    // A broken connection is found again by send_more(), as an event in its turn.
    c.unsent = bytes.subspan(gone);
    watch(connection);
  }
  return static_cast<uint32_t>(gone);
}

void EpollReactor::send_more(uint32_t connection) {
  Connection& c = connections_[connection];
  if (c.unsent.empty()) return;
  const ssize_t n = ::send(c.fd, c.unsent.data(), c.unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) {
    c.unsent = c.unsent.subspan(static_cast<size_t>(n));
    connections_.tell(
        {.kind = EventKind::sent, .connection = connection, .count = static_cast<uint32_t>(n)});
  } else if (errno != EAGAIN && errno != EINTR) {
    const int error = errno;
    c.unsent = {};
    end(connection, error);
    return;
  }
  watch(connection);
}

void EpollReactor::pause_reading(uint32_t connection) {
  connections_[connection].reading = false;
  watch(connection);
}

void EpollReactor::resume_reading(uint32_t connection) {
  connections_[connection].reading = true;
  watch(connection);
}

void EpollReactor::finish_sending(uint32_t connection) {
  ::shutdown(connections_[connection].fd, SHUT_WR);
}

void EpollReactor::close(uint32_t connection) {
  Connection& c = connections_[connection];
  MR_ASSERT(c.fd >= 0);
  ::close(c.fd);  // also takes it out of epoll
  connections_.tell_closed(connection);
}

}  // namespace millrace::net
