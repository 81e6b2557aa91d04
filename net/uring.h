// Uring: one io_uring as a shard uses it: a queue of submissions, one enter per turn, a queue of
// completions.
//
// Set up with SINGLE_ISSUER | DEFER_TASKRUN | COOP_TASKRUN (completions are made inside our own
// enter, never by an interrupt of our code), with fewer flags where the kernel knows fewer. The
// enter is made here and not by liburing 2.3, which does not know NO_IOWAIT: without it an idle
// server shows as 100 % iowait. No SQPOLL: it would burn a core. Threads: one, the same that
// constructs it.   Source: io_uring_setup(2), io_uring_enter(2).
#pragma once

#include <cstdint>
#include <liburing.h>
#include <memory>
#include <string>

#include "millrace/result.h"

namespace millrace::net {

class Uring {
 public:
  // `reason` gets what it runs with or, on failure (unsupported), what is missing.
  static Result<std::unique_ptr<Uring>> make(uint32_t submissions, uint32_t completions,
                                             std::string* reason);
  ~Uring();
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  // A cleared submission; goes to the kernel with the next enter. Null if the queue is full and the
  // kernel takes nothing off it (out of memory): try again in the next turn.
  io_uring_sqe* submission();
  // Submits, and waits for a completion for at most `wait_ns` (0: not at all, < 0: for ever). No
  // call is made when there is nothing to submit, to wait for or to collect.
  void enter(int64_t wait_ns);

  // The completions there are, one after the other; each is taken off by looking at the next.
  bool has_completions() { return io_uring_cq_ready(&ring_) != 0; }
  template <class Fn>
  void take_completions(Fn&& fn) {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      fn(*cqe);
      ++count;
    }
    io_uring_cq_advance(&ring_, count);
  }

  io_uring* raw() { return &ring_; }

 private:
  Uring() = default;
  Status probe(std::string* reason);
  unsigned publish();
  int call(unsigned to_submit, unsigned wait_for, unsigned flags, void* argument, size_t bytes);

  io_uring ring_{};
  bool made_ = false;
  bool task_run_flag_ = false;  // the ring says when there is deferred work
  unsigned enter_flags_ = 0;
};

}  // namespace millrace::net
