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

constexpr uint64_t kListenerTag = ~uint64_t{0};
constexpr uint64_t kWakerTag = ~uint64_t{1};
constexpr int kReadyMax = 256;
constexpr int kAcceptsPerTurn = 64;
constexpr int64_t kAcceptPauseNs = 100'000'000;
constexpr size_t kPieceBytesMin = 4096;
constexpr size_t kCacheLine = 64;

epoll_event watch_of(uint32_t interest, uint64_t tag) {
  epoll_event event{};
  event.events = interest;
  event.data.u64 = tag;
  return event;
}

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
  return std::unique_ptr<Reactor>(new EpollReactor(epoll, options));
}

EpollReactor::EpollReactor(int epoll, const ReactorOptions& options)
    : epoll_(epoll),
      arena_bytes_(size_t{options.receive_buffers} * options.receive_buffer_bytes),
      piece_bytes_max_(options.receive_buffer_bytes) {
  BufferPool unpooled;
  arena_ = unpooled.take(arena_bytes_);
  epoll_event waker = watch_of(EPOLLIN, kWakerTag);
  MR_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, waker_->fd(), &waker) == 0);
}

EpollReactor::~EpollReactor() {
  for (const Connection& c : connections_) {
    if (c.fd >= 0) ::close(c.fd);
  }
  ::close(epoll_);
}

void EpollReactor::start_accepting(int listener) {
  set_nonblocking(listener);
  listener_ = listener;
  accept_again_ns_ = 0;
  // Exclusive: a unix socket's listener is shared by the shards, and one of them is enough.
  epoll_event event = watch_of(EPOLLIN | EPOLLEXCLUSIVE, kListenerTag);
  MR_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0);
}

void EpollReactor::stop_accepting() {
  if (listener_ < 0) return;
  if (accept_again_ns_ == 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
  listener_ = -1;
  accept_again_ns_ = 0;
}

uint32_t EpollReactor::adopt(int socket) {
  set_nonblocking(socket);
  return add(socket);
}

uint32_t EpollReactor::add(int socket) {
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(connections_.size());
    connections_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  connections_[index] = {.fd = socket, .reading = true};
  watch(index);
  return index;
}

// Brings what epoll watches in line with what the connection waits for. A socket that waits for
// nothing is taken out: a hang-up would be reported again and again.
void EpollReactor::watch(uint32_t connection) {
  Connection& c = connections_[connection];
  uint32_t interest = 0;
  if (c.reading && !c.ended) interest |= EPOLLIN;
  if (!c.unsent.empty()) interest |= EPOLLOUT;
  if (interest == c.interest) return;
  c.interest = interest;
  epoll_event event = watch_of(interest, connection);
  const int operation = interest == 0 ? EPOLL_CTL_DEL : (c.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
  c.watched = interest != 0;
  MR_ASSERT(::epoll_ctl(epoll_, operation, c.fd, &event) == 0);
}

int EpollReactor::wait_ms(int64_t wait_ns) const {
  if (accept_again_ns_ != 0) {
    const int64_t until = std::max<int64_t>(0, accept_again_ns_ - base::os_monotonic_ns());
    wait_ns = wait_ns < 0 ? until : std::min(wait_ns, until);
  }
  if (wait_ns < 0) return -1;
  // Rounded up: waking before the deadline would only make another turn.
  return static_cast<int>(std::min<int64_t>((wait_ns + 999'999) / 1'000'000, 3'600'000));
}

void EpollReactor::free_closed() {
  free_.insert(free_.end(), closed_.begin(), closed_.end());
  closed_.clear();
}

std::span<const Event> EpollReactor::run_turn(int64_t wait_ns) {
  free_closed();
  events_.clear();
  arena_used_ = 0;
  std::swap(events_, early_events_);
  for (const Event& event : events_) {
    if (event.kind == EventKind::closed) closed_.push_back(event.connection);
  }
  if (accept_again_ns_ != 0 && base::os_monotonic_ns() >= accept_again_ns_) {
    start_accepting(std::exchange(listener_, -1));
  }

  int timeout = events_.empty() ? wait_ms(wait_ns) : 0;
  const bool sleeps = timeout != 0 && waker_->may_sleep();
  if (!sleeps) timeout = 0;
  epoll_event ready[kReadyMax];
  const int count = ::epoll_wait(epoll_, ready, kReadyMax, timeout);
  if (sleeps) waker_->awake();

  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[i];
    if (event.data.u64 == kWakerTag) {
      waker_->drain();
    } else if (event.data.u64 == kListenerTag) {
      accept_all();
    } else {
      const auto connection = static_cast<uint32_t>(event.data.u64);
      if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) send_more(connection);
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(connection);
    }
  }
  return events_;
}

void EpollReactor::accept_all() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      events_.push_back({.kind = EventKind::accepted, .connection = add(socket)});
      continue;
    }
    if (errno == EAGAIN) return;
    // The peer's bad luck (a connection reset before it was accepted) is no reason to stop.
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;
    events_.push_back({.kind = EventKind::accept_failed, .error = errno});
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
    accept_again_ns_ = base::os_monotonic_ns() + kAcceptPauseNs;
    return;
  }
}

void EpollReactor::receive(uint32_t connection) {
  Connection& c = connections_[connection];
  if (c.ended) return;
  if (!c.reading) {
    // Only a hang-up or an error is reported now. Data may still wait before it in the socket:
    // reading, once resumed, finds out.
    c.interest = 0;
    c.watched = false;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, c.fd, nullptr);
    return;
  }
  const size_t room = std::min<size_t>(piece_bytes_max_, arena_bytes_ - arena_used_);
  if (room < std::min<size_t>(kPieceBytesMin, piece_bytes_max_)) return;  // the next turn's
  std::byte* to = arena_.data.get() + arena_used_;
  const ssize_t got = ::recv(c.fd, to, room, 0);
  if (got > 0) {
    const auto bytes = static_cast<size_t>(got);
    arena_used_ += (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
    arena_used_ = std::min(arena_used_, arena_bytes_);
    events_.push_back({.kind = EventKind::data, .connection = connection, .data = {to, bytes}});
  } else if (got == 0) {
    give_end(connection, 0);
  } else if (errno != EAGAIN && errno != EINTR) {
    give_end(connection, errno);
  }
}

void EpollReactor::give_end(uint32_t connection, int error) {
  Connection& c = connections_[connection];
  if (c.ended) return;
  c.ended = true;
  watch(connection);
  events_.push_back({.kind = EventKind::end, .connection = connection, .error = error});
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
    events_.push_back(
        {.kind = EventKind::sent, .connection = connection, .count = static_cast<uint32_t>(n)});
  } else if (errno != EAGAIN && errno != EINTR) {
    const int error = errno;
    c.unsent = {};
    if (c.ended) {
      // The peer had only stopped sending so far; now it is gone.
      watch(connection);
      events_.push_back({.kind = EventKind::end, .connection = connection, .error = error});
    } else {
      give_end(connection, error);
    }
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
  c = {};
  early_events_.push_back({.kind = EventKind::closed, .connection = connection});
}

}  // namespace millrace::net
