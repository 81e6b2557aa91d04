// Reactor: the sockets of one shard, as batches of events.
//
// run_turn() waits, and returns what happened since the last turn; the caller then acts on the
// batch by named steps. Nothing is called back. Two implementations, io_uring and epoll, keep the
// same contract, so that everything above is one code path and the sanitizers, containers without
// io_uring and old kernels run it too.
//
// A connection is a small number, reused after its `closed` event. Its life:
//   accepted -> data* -> end -> (caller: close) -> closed
// close() may come at any time after accepted; `closed` is the last event, always comes, and comes
// only when the kernel holds none of the connection's buffers any more.
//
// Sending: at most one send under way per connection; the bytes stay in place and unchanged until
// its `sent` events add up to all of them, or until `closed`.
//
// Threads: all calls, construction included, on one thread; wake() from any.
// Memory: receive buffers are the reactor's and shared by all connections (ReactorOptions).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "millrace/result.h"
#include "millrace/types.h"
#include "net/input_line.h"
#include "net/waker.h"

namespace millrace::net {

enum class ReactorKind : uint8_t { automatic, uring, epoll };

struct ReactorOptions {
  ReactorKind kind = ReactorKind::automatic;
  uint32_t receive_buffers = 64;             // power of two
  uint32_t receive_buffer_bytes = 64 << 10;  // of each: the longest piece a data event brings
};

enum class EventKind : uint8_t {
  accepted,       // a new connection
  data,           // `data`: received bytes, the caller's to change, until the next run_turn();
                  // kReceivePadding bytes behind them may be read
  end,            // the peer sends no more (error 0), or the connection broke (error: an errno)
  sent,           // `count` bytes of the send under way have left
  closed,         // the number is free again
  accept_failed,  // error: an errno, EMFILE for one; the reactor tries again a little later
};

struct Event {
  EventKind kind{};
  uint8_t listener = 0;  // accepted: the number given to start_accepting()
  uint32_t connection = 0;
  int error = 0;
  uint32_t count = 0;
  MutableBytes data{};
};

class Reactor {
 public:
  static constexpr int64_t kForever = -1;

  virtual ~Reactor() = default;
  virtual std::string_view name() const = 0;  // "io_uring", "epoll"

  // Accepts on a listening socket, which stays the caller's and must live until stop_accepting().
  // There may be several; `number` tells in `accepted` events which it was.
  virtual void start_accepting(int listener, uint8_t number) = 0;
  virtual void stop_accepting() = 0;  // on all
  // Takes over a connected socket. Returns its number; no `accepted` comes.
  virtual uint32_t adopt(int socket) = 0;

  // Submits what was asked for since the last turn and collects what happened. Waits at most
  // `wait_ns` (0: not at all, kForever) if nothing did, less if wake() is called. The events live
  // until the next call.
  virtual std::span<const Event> run_turn(int64_t wait_ns) = 0;

  // The caller handled a data event that is_long() in this time.
  void handled_long(size_t bytes, int64_t ns) { line_.handled(bytes, ns); }

  // Returns how many of the bytes went at once; `sent` events tell of the others.
  virtual uint32_t send(uint32_t connection, Bytes bytes) = 0;
  // After pause() some `data` may still come that was already on its way.
  virtual void pause_reading(uint32_t connection) = 0;
  virtual void resume_reading(uint32_t connection) = 0;
  // Tells the peer that nothing more will be sent; reading goes on.
  virtual void finish_sending(uint32_t connection) = 0;
  virtual void close(uint32_t connection) = 0;

  // The connection's socket, for getpeername() and the like.
  virtual int socket(uint32_t connection) const = 0;

  // Any thread: makes run_turn() return soon. At most one system call per sleep, none while the
  // reactor's thread is awake.
  void wake() { waker_->wake(); }
  // For those who may still wake when the reactor is gone.
  const std::shared_ptr<Waker>& waker() const { return waker_; }

 protected:
  std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  InputLine line_;
};

// automatic: io_uring if the kernel lets us, else epoll; MILLRACE_REACTOR=uring|epoll in the
// environment decides if it is set. `reason` gets one line for the log: which, and why. Fails
// (unsupported) if the kind asked for cannot be had, and (io_error) if none can.
Result<std::unique_ptr<Reactor>> make_reactor(const ReactorOptions& options, std::string* reason);

}  // namespace millrace::net
