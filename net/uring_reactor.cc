#include "net/uring_reactor.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "base/os_clock.h"

namespace millrace::net {
namespace {

constexpr uint32_t kSubmissions = 1024;
constexpr uint32_t kCompletions = 8192;
constexpr int64_t kAcceptPauseNs = 100'000'000;

// io_uring waits by itself on a blocking socket; on a non-blocking one it would only say EAGAIN.
void set_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<Reactor>> UringReactor::make(const ReactorOptions& options,
                                                    std::string* reason) {
  auto uring = Uring::make(kSubmissions, kCompletions, reason);
  if (!uring) return fail(uring.error());
  auto buffers =
      ReceiveRing::make((*uring)->raw(), options.receive_buffers, options.receive_buffer_bytes);
  if (!buffers) {
    *reason = "io_uring of this kernel has no provided-buffer rings";
    return fail(buffers.error());
  }
  return std::unique_ptr<Reactor>(
      new UringReactor(std::move(uring).value(), std::move(buffers).value()));
}

UringReactor::UringReactor(std::unique_ptr<Uring> uring, std::unique_ptr<ReceiveRing> buffers)
    : uring_(std::move(uring)), buffers_(std::move(buffers)) {
  arm_wake();
}

UringReactor::~UringReactor() {
  buffers_.reset();
  uring_.reset();  // ends what is still in the kernel, before the sockets and the eventfd go
  for (const Connection& c : connections_) {
    if (c.fd >= 0) ::close(c.fd);
  }
}

uint64_t UringReactor::tag(Operation operation, uint32_t connection) {
  return static_cast<uint64_t>(operation) << 32 | connection;
}

void UringReactor::start_accepting(int listener) {
  set_blocking(listener);
  listener_ = listener;
  accept_again_ns_ = 0;
  arm_accept();
}

void UringReactor::stop_accepting() {
  listener_ = -1;
  accept_again_ns_ = 0;
  if (!accept_armed_) return;
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_cancel64(sqe, tag(Operation::accept, 0), 0);
  sqe->user_data = tag(Operation::cancel_accept, 0);
}

void UringReactor::arm_accept() {
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = tag(Operation::accept, 0);
  accept_armed_ = true;
}

void UringReactor::arm_wake() {
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_read(sqe, waker_->fd(), &wake_count_, sizeof wake_count_, 0);
  sqe->user_data = tag(Operation::wake, 0);
}

uint32_t UringReactor::adopt(int socket) {
  set_blocking(socket);
  return add(socket);
}

uint32_t UringReactor::add(int socket) {
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(connections_.size());
    connections_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  connections_[index] = {.fd = socket, .reading = true};
  arm_receive(index);
  return index;
}

void UringReactor::arm_receive(uint32_t connection) {
  Connection& c = connections_[connection];
  if (c.armed || c.ended || c.closing || !c.reading) return;
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_recv_multishot(sqe, c.fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = ReceiveRing::kGroup;
  sqe->user_data = tag(Operation::receive, connection);
  c.armed = true;
  ++c.operations;
}

void UringReactor::submit_send(uint32_t connection) {
  Connection& c = connections_[connection];
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_send(sqe, c.fd, c.unsent.data(), c.unsent.size(), MSG_NOSIGNAL);
  sqe->user_data = tag(Operation::send, connection);
  ++c.operations;
}

void UringReactor::cancel(Operation operation, uint32_t connection) {
  io_uring_sqe* sqe = uring_->submission();
  io_uring_prep_cancel64(sqe, tag(operation, connection), 0);
  sqe->user_data = tag(Operation::cancel, connection);
  ++connections_[connection].operations;
}

uint32_t UringReactor::send(uint32_t connection, Bytes bytes) {
  Connection& c = connections_[connection];
  MR_ASSERT(c.fd >= 0 && !c.closing && c.unsent.empty() && !bytes.empty());
  c.unsent = bytes;
  submit_send(connection);
  return 0;
}

void UringReactor::pause_reading(uint32_t connection) {
  Connection& c = connections_[connection];
  c.reading = false;
  if (c.armed) cancel(Operation::receive, connection);
}

void UringReactor::resume_reading(uint32_t connection) {
  connections_[connection].reading = true;
  // If the cancelled receive has not come back yet, its completion arms the next.
  arm_receive(connection);
}

void UringReactor::finish_sending(uint32_t connection) {
  ::shutdown(connections_[connection].fd, SHUT_WR);
}

void UringReactor::close(uint32_t connection) {
  Connection& c = connections_[connection];
  MR_ASSERT(c.fd >= 0 && !c.closing);
  c.closing = true;
  if (c.armed) cancel(Operation::receive, connection);
  if (!c.unsent.empty()) cancel(Operation::send, connection);
  if (c.operations == 0) finished_.push_back(connection);
}

void UringReactor::begin_turn() {
  events_.clear();
  free_.insert(free_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  buffers_->give_back_all();
  for (const uint32_t connection : starved_) {
    arm_receive(connection);
  }
  starved_.clear();
  for (const uint32_t connection : finished_) {
    operation_done(connection);
  }
  finished_.clear();
  if (accept_again_ns_ != 0 && base::os_monotonic_ns() >= accept_again_ns_) {
    accept_again_ns_ = 0;
    arm_accept();
  }
}

int64_t UringReactor::limit_wait(int64_t wait_ns) const {
  if (!events_.empty()) return 0;
  if (accept_again_ns_ == 0) return wait_ns;
  const int64_t until = std::max<int64_t>(1, accept_again_ns_ - base::os_monotonic_ns());
  return wait_ns < 0 ? until : std::min(wait_ns, until);
}

std::span<const Event> UringReactor::run_turn(int64_t wait_ns) {
  begin_turn();
  wait_ns = limit_wait(wait_ns);
  const bool sleeps = wait_ns != 0 && waker_->may_sleep();
  uring_->enter(sleeps ? wait_ns : 0);
  if (sleeps) waker_->awake();
  uring_->take_completions([this](const io_uring_cqe& completion) { complete(completion); });
  return events_;
}

void UringReactor::complete(const io_uring_cqe& completion) {
  const auto operation = static_cast<Operation>(completion.user_data >> 32);
  const auto connection = static_cast<uint32_t>(completion.user_data);
  switch (operation) {
    case Operation::accept:
      complete_accept(completion);
      return;
    case Operation::receive:
      complete_receive(connection, completion);
      return;
    case Operation::send:
      complete_send(connection, completion);
      return;
    case Operation::wake:
      arm_wake();
      return;
    case Operation::cancel:
      --connections_[connection].operations;
      operation_done(connection);
      return;
    case Operation::cancel_accept:
      return;
  }
}

void UringReactor::complete_accept(const io_uring_cqe& completion) {
  const int result = completion.res;
  const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
  if (!more) accept_armed_ = false;
  if (result >= 0) {
    if (listener_ < 0) {
      ::close(result);
      return;
    }
    events_.push_back({.kind = EventKind::accepted, .connection = add(result)});
  }
  if (more || listener_ < 0) return;
  const bool exhausted =
      result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
  if (!exhausted) {
    arm_accept();
    return;
  }
  events_.push_back({.kind = EventKind::accept_failed, .error = -result});
  accept_again_ns_ = base::os_monotonic_ns() + kAcceptPauseNs;
}

void UringReactor::complete_receive(uint32_t connection, const io_uring_cqe& completion) {
  Connection& c = connections_[connection];
  const int result = completion.res;
  const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
  MutableBytes data;
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0) data = buffers_->take(completion);
  if (!more) {
    c.armed = false;
    --c.operations;
  }
  if (c.closing) {
    operation_done(connection);
    return;
  }
  if (result > 0) {
    events_.push_back({.kind = EventKind::data, .connection = connection, .data = data});
    if (!more) arm_receive(connection);
  } else if (result == 0) {
    give_end(connection, 0);
  } else if (result == -ENOBUFS) {
    starved_.push_back(connection);
  } else if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
    arm_receive(connection);
  } else {
    give_end(connection, -result);
  }
}

void UringReactor::complete_send(uint32_t connection, const io_uring_cqe& completion) {
  Connection& c = connections_[connection];
  --c.operations;
  const int result = completion.res;
  if (c.closing) {
    operation_done(connection);
    return;
  }
  if (result > 0) {
    const auto count = static_cast<uint32_t>(result);
    c.unsent = c.unsent.subspan(count);
    events_.push_back({.kind = EventKind::sent, .connection = connection, .count = count});
    if (!c.unsent.empty()) submit_send(connection);
  } else if (result == -EAGAIN || result == -EINTR) {
    submit_send(connection);
  } else {
    c.unsent = {};
    c.ended = false;  // `end` without an error may have been given: the peer had stopped sending
    give_end(connection, result == 0 ? EPIPE : -result);
  }
}

void UringReactor::give_end(uint32_t connection, int error) {
  Connection& c = connections_[connection];
  if (c.ended) return;
  c.ended = true;
  events_.push_back({.kind = EventKind::end, .connection = connection, .error = error});
}

// After a completion, or in the turn after close(): gives the connection up if it was the last.
void UringReactor::operation_done(uint32_t connection) {
  Connection& c = connections_[connection];
  if (!c.closing || c.operations > 0) return;
  ::close(c.fd);
  c = {};
  closed_.push_back(connection);
  events_.push_back({.kind = EventKind::closed, .connection = connection});
}

}  // namespace millrace::net
