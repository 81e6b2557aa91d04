#include "net/uring.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/assert.h"

namespace millrace::net {
namespace {

// Newer than liburing 2.3 (linux 6.15).
constexpr unsigned kFeatureNoIowait = 1u << 17;
constexpr unsigned kEnterNoIowait = 1u << 7;
constexpr unsigned kSubmissionsPerCall = 16;

struct FlagSet {
  unsigned flags;
  bool task_run_flag;
};
// Best first. SUBMIT_ALL: one bad submission must not hold back the others.
constexpr FlagSet kFlagSets[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
         IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
     true},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL, true},
    {0, false},
};

const char* flags_text(const FlagSet& set) {
  if ((set.flags & IORING_SETUP_DEFER_TASKRUN) != 0) return "deferred task work";
  return set.task_run_flag ? "cooperative task work" : "no set-up flags";
}

}  // namespace

Result<std::unique_ptr<Uring>> Uring::make(uint32_t submissions, uint32_t completions,
                                           std::string* reason) {
  auto uring = std::unique_ptr<Uring>(new Uring);
  int error = 0;
  const FlagSet* used = nullptr;
  for (const FlagSet& set : kFlagSets) {
    io_uring_params params{};
    params.flags = set.flags | IORING_SETUP_CQSIZE;
    params.cq_entries = completions;
    error = -io_uring_queue_init_params(submissions, &uring->ring_, &params);
    if (error == 0) {
      used = &set;
      uring->task_run_flag_ = set.task_run_flag;
      break;
    }
    if (error != EINVAL) break;
  }
  if (used == nullptr) {
    *reason = std::string("io_uring cannot be had: ") + std::strerror(error);
    return fail(Errc::unsupported);
  }
  uring->made_ = true;
  if (const Status probed = uring->probe(reason); !probed) return fail(probed.error());
  if (io_uring_register_ring_fd(&uring->ring_) == 1) {
    uring->enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  }
  *reason = std::string("io_uring, ") + flags_text(*used);
  return uring;
}

Status Uring::probe(std::string* reason) {
  if ((ring_.features & IORING_FEAT_EXT_ARG) == 0) {
    *reason = "io_uring of this kernel has no timed wait";
    return fail(Errc::unsupported);
  }
  // Multishot receive has no probe of its own; it came with the same kernel (6.0) as SEND_ZC.
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  const bool known = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
  io_uring_free_probe(probe);
  if (!known) {
    *reason = "io_uring of this kernel has no multishot receive";
    return fail(Errc::unsupported);
  }
  if ((ring_.features & kFeatureNoIowait) != 0) enter_flags_ |= kEnterNoIowait;
  return {};
}

Uring::~Uring() {
  if (made_) io_uring_queue_exit(&ring_);
}

io_uring_sqe* Uring::submission() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    // The queue is full in the middle of a turn: hand over what there is.
    call(publish(), 0, 0, nullptr, 0);
    sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return nullptr;
  }
  std::memset(sqe, 0, sizeof *sqe);
  return sqe;
}

// Makes what was prepared visible to the kernel; returns how many submissions wait.
unsigned Uring::publish() {
  io_uring_sq& sq = ring_.sq;
  for (; sq.sqe_head != sq.sqe_tail; ++sq.sqe_head) {
    sq.array[sq.sqe_head & sq.ring_mask] = sq.sqe_head & sq.ring_mask;
  }
  io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  return sq.sqe_tail - io_uring_smp_load_acquire(sq.khead);
}

int Uring::call(unsigned to_submit, unsigned wait_for, unsigned flags, void* argument,
                size_t bytes) {
  const int fd =
      (enter_flags_ & IORING_ENTER_REGISTERED_RING) != 0 ? ring_.enter_ring_fd : ring_.ring_fd;
  return io_uring_enter2(static_cast<unsigned>(fd), to_submit, wait_for, flags | enter_flags_,
                         static_cast<sigset_t*>(argument), bytes);
}

void Uring::enter(int64_t wait_ns) {
  unsigned to_submit = publish();
  // A kernel that does not preempt itself would else keep a thread that waits for this core, the
  // one that syncs for one, until all sends are done: 0.3 ms for 40 of them.
  while (to_submit > kSubmissionsPerCall) {
    const int taken = call(kSubmissionsPerCall, 0, 0, nullptr, 0);
    if (taken <= 0) break;
    to_submit -= static_cast<unsigned>(taken);
  }
  if (has_completions()) wait_ns = 0;
  if (wait_ns == 0) {
    const bool work =
        !task_run_flag_ || (*ring_.sq.kflags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    if (to_submit > 0 || work) call(to_submit, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
    return;
  }
  __kernel_timespec limit{.tv_sec = wait_ns / 1'000'000'000, .tv_nsec = wait_ns % 1'000'000'000};
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = _NSIG / 8;
  if (wait_ns > 0) argument.ts = reinterpret_cast<uint64_t>(&limit);
  // ETIME, EINTR and EBUSY all mean: look at what there is and come again.
  call(to_submit, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
}

}  // namespace millrace::net
