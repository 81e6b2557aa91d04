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
// Before what was postponed is tried again.
constexpr int64_t kPostponedNs = 1'000'000;

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
  return std::unique_ptr<Reactor>(new UringReactor(
      std::move(uring).value(), std::move(buffers).value(), options.receive_buffer_bytes));
}

UringReactor::UringReactor(std::unique_ptr<Uring> uring, std::unique_ptr<ReceiveRing> buffers,
                           uint32_t buffer_bytes)
    : uring_(std::move(uring)), buffers_(std::move(buffers)), buffer_bytes_(buffer_bytes) {
  submit(Operation::wake, 0);
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

// --- submitting ---

void UringReactor::submit(Operation operation, uint32_t connection) {
  io_uring_sqe* sqe = postponed_.empty() ? uring_->submission() : nullptr;
  if (sqe == nullptr) {
    postponed_.push_back(tag(operation, connection));
    return;
  }
  prepare(sqe, operation, connection);
}

void UringReactor::prepare(io_uring_sqe* sqe, Operation operation, uint32_t connection) {
  switch (operation) {
    case Operation::accept:
      io_uring_prep_multishot_accept(sqe, listeners_[connection].fd, nullptr, nullptr,
                                     SOCK_CLOEXEC);
      break;
    case Operation::receive:
      io_uring_prep_recv(sqe, connections_[connection].fd, nullptr,
                         connections_[connection].piece_bytes, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = ReceiveRing::kGroup;
      break;
    case Operation::send: {
      const Connection& c = connections_[connection];
      io_uring_prep_send(sqe, c.fd, c.unsent.data(), c.unsent.size(), MSG_NOSIGNAL);
      break;
    }
    case Operation::wake:
      io_uring_prep_read(sqe, waker_->fd(), &wake_count_, sizeof wake_count_, 0);
      break;
    case Operation::cancel_receive:
      io_uring_prep_cancel64(sqe, tag(Operation::receive, connection), 0);
      break;
    case Operation::cancel_send:
      io_uring_prep_cancel64(sqe, tag(Operation::send, connection), 0);
      break;
    case Operation::cancel_accept:
      io_uring_prep_cancel64(sqe, tag(Operation::accept, connection), 0);
      break;
  }
  sqe->user_data = tag(operation, connection);
}

// Of an operation that was postponed: the connection may be closing by now, accepting may have
// stopped. False: the operation is over without having begun.
bool UringReactor::still_wanted(Operation operation, uint32_t connection) {
  if (operation == Operation::accept && listeners_[connection].fd < 0) {
    listeners_[connection].armed = false;
    return false;
  }
  if (operation != Operation::receive && operation != Operation::send) return true;
  Connection& c = connections_[connection];
  if (!c.closing) return true;
  if (operation == Operation::receive) c.armed = false;
  --c.operations;
  operation_done(connection);
  return false;
}

void UringReactor::submit_counted(Operation operation, uint32_t connection) {
  ++connections_[connection].operations;
  submit(operation, connection);
}

void UringReactor::arm_accept(uint8_t number) {
  Listening& listening = listeners_[number];
  if (listening.fd < 0 || listening.armed) return;
  listening.armed = true;
  submit(Operation::accept, number);
}

void UringReactor::arm_receive(uint32_t connection) {
  Connection& c = connections_[connection];
  if (c.armed || c.in_line || c.ended || c.closing || !c.reading) return;
  c.armed = true;
  submit_counted(Operation::receive, connection);
}

// --- what the caller asks for ---

void UringReactor::start_accepting(int listener, uint8_t number) {
  set_blocking(listener);
  if (number >= listeners_.size()) listeners_.resize(number + size_t{1});
  listeners_[number].fd = listener;
  arm_accept(number);
}

void UringReactor::stop_accepting() {
  accept_pause_.cancel();
  for (size_t number = 0; number < listeners_.size(); ++number) {
    Listening& listening = listeners_[number];
    listening.fd = -1;
    if (listening.armed) submit(Operation::cancel_accept, static_cast<uint32_t>(number));
  }
}

uint32_t UringReactor::adopt(int socket) {
  set_blocking(socket);
  const uint32_t connection = connections_.add({.fd = socket, .reading = true});
  arm_receive(connection);
  return connection;
}

uint32_t UringReactor::send(uint32_t connection, Bytes bytes) {
  Connection& c = connections_[connection];
  MR_ASSERT(c.fd >= 0 && !c.closing && c.unsent.empty() && !bytes.empty());
  c.unsent = bytes;
  submit_counted(Operation::send, connection);
  return 0;
}

void UringReactor::pause_reading(uint32_t connection) {
  Connection& c = connections_[connection];
  c.reading = false;
  if (c.armed) submit_counted(Operation::cancel_receive, connection);
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
  if (c.armed) submit_counted(Operation::cancel_receive, connection);
  if (!c.unsent.empty()) submit_counted(Operation::cancel_send, connection);
  operation_done(connection);
}

// --- the turn ---

void UringReactor::begin_turn() {
  connections_.begin_turn();
  buffers_->give_back_all();
  trying_.clear();
  trying_.swap(postponed_);
  for (const uint64_t postponed : trying_) {
    const auto operation = static_cast<Operation>(postponed >> 32);
    const auto connection = static_cast<uint32_t>(postponed);
    if (still_wanted(operation, connection)) submit(operation, connection);
  }
  // The kernel gives out the buffers in this order. Who got none goes first: otherwise those that
  // always have something to say would get them all, turn after turn.
  for (std::vector<uint32_t>* list : {&starved_, &to_arm_}) {
    for (const uint32_t connection : *list)
      arm_receive(connection);
    list->clear();
  }
  line_.begin_turn();
  line_.serve(buffer_bytes_, [this](uint32_t connection, uint32_t piece_bytes) {
    connections_[connection].in_line = false;
    connections_[connection].piece_bytes = piece_bytes;
    arm_receive(connection);
  });
  if (accept_pause_.ends()) {
    for (size_t number = 0; number < listeners_.size(); ++number)
      arm_accept(static_cast<uint8_t>(number));
  }
}

int64_t UringReactor::limit_wait(int64_t wait_ns) const {
  if (!connections_.nothing_told() || !line_.empty()) return 0;
  if (!postponed_.empty()) wait_ns = wait_ns < 0 ? kPostponedNs : std::min(wait_ns, kPostponedNs);
  return accept_pause_.limit(wait_ns);
}

std::span<const Event> UringReactor::run_turn(int64_t wait_ns) {
  begin_turn();
  wait_ns = limit_wait(wait_ns);
  const bool sleeps = wait_ns != 0 && waker_->may_sleep();
  uring_->enter(sleeps ? wait_ns : 0);
  if (sleeps) waker_->awake();
  uring_->take_completions([this](const io_uring_cqe& completion) { complete(completion); });
  line_.end_turn();
  return connections_.end_turn();
}

void UringReactor::complete(const io_uring_cqe& completion) {
  const auto operation = static_cast<Operation>(completion.user_data >> 32);
  const auto connection = static_cast<uint32_t>(completion.user_data);
  switch (operation) {
    case Operation::accept:
      complete_accept(static_cast<uint8_t>(connection), completion);
      return;
    case Operation::receive:
      complete_receive(connection, completion);
      return;
    case Operation::send:
      complete_send(connection, completion);
      return;
    case Operation::wake:
      submit(Operation::wake, 0);
      return;
    case Operation::cancel_receive:
    case Operation::cancel_send:
      --connections_[connection].operations;
      operation_done(connection);
      return;
    case Operation::cancel_accept:
      return;
  }
}

void UringReactor::complete_accept(uint8_t number, const io_uring_cqe& completion) {
  Listening& listening = listeners_[number];
  const int result = completion.res;
  const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
  if (!more) listening.armed = false;
  if (result >= 0) {
    if (listening.fd < 0) {
      ::close(result);
      return;
    }
    const uint32_t connection = connections_.add({.fd = result, .reading = true});
    connections_.tell({.kind = EventKind::accepted, .listener = number, .connection = connection});
    arm_receive(connection);
  }
  if (more || listening.fd < 0) return;
  if (!AcceptPause::calls_for_one(-result)) {
    arm_accept(number);
    return;
  }
  connections_.tell({.kind = EventKind::accept_failed, .error = -result});
  accept_pause_.begin();
}

void UringReactor::complete_receive(uint32_t connection, const io_uring_cqe& completion) {
  Connection& c = connections_[connection];
  const int result = completion.res;
  MutableBytes data;
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0) data = buffers_->take(completion);
  c.armed = false;
  --c.operations;
  if (c.closing) {
    operation_done(connection);
    return;
  }
  if (result > 0 && !data.empty()) {
    connections_.tell({.kind = EventKind::data, .connection = connection, .data = data});
    c.in_line = InputPacing::is_long(data.size());
    c.piece_bytes = 0;
    c.in_line ? line_.join(connection) : to_arm_.push_back(connection);
  } else if (result == 0) {
    connections_.tell_end(connection, 0);
  } else if (result == -ENOBUFS) {
    starved_.push_back(connection);
  } else if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
    to_arm_.push_back(connection);
  } else {
    connections_.tell_end(connection, result < 0 ? -result : EIO);
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
    connections_.tell({.kind = EventKind::sent, .connection = connection, .count = count});
    if (!c.unsent.empty()) submit_counted(Operation::send, connection);
  } else if (result == -EAGAIN || result == -EINTR) {
    submit_counted(Operation::send, connection);
  } else {
    c.unsent = {};
    connections_.tell_end(connection, result == 0 ? EPIPE : -result);
  }
}

// After a completion, or at close(): gives the connection up if nothing of it is in the kernel.
void UringReactor::operation_done(uint32_t connection) {
  Connection& c = connections_[connection];
  if (!c.closing || c.operations > 0) return;
  ::close(c.fd);
  connections_.tell_closed(connection);
}

}  // namespace millrace::net
