// RealDiskWorkers: the two threads behind submit() and reap(): one for syncs, one for the slow
// kinds, so that a commit never waits for a segment being prepared. Jobs of one kind run on one
// thread and therefore complete in the order submitted.
//
// The hand-off in is a queue and a condition variable per thread; out, one vector under one mutex,
// which the owner takes whole. `wake` is called on a worker's thread, with no lock held, when the
// completions go from none to some: an eventfd write in production.
//
// Destruction drops what has not started, abandons a preparation at its next step, waits for a call
// that is inside the kernel, and joins.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "storage/disk.h"

namespace millrace::storage {

class RealDiskWorkers {
 public:
  struct Hooks {
    std::function<Errc(const Job&)> sync;
    std::function<void()> wake;
  };

  // `disk` runs the composite jobs; its blocking calls must be safe on the workers' threads.
  RealDiskWorkers(Disk& disk, Hooks hooks);
  ~RealDiskWorkers();
  RealDiskWorkers(const RealDiskWorkers&) = delete;
  RealDiskWorkers& operator=(const RealDiskWorkers&) = delete;

  void submit(Job job);
  size_t reap(std::span<Completion> out);
  void finish(JobKind kind);

 private:
  struct Worker {
    std::mutex mutex;
    std::condition_variable some;
    std::deque<Job> queue;
    std::thread thread;
  };

  void serve(Worker& worker);
  Completion execute(Job job);
  void complete(const Completion& completion);

  Disk& disk_;
  const Hooks hooks_;
  std::atomic<bool> stopping_{false};   // written once; a worker that sees it drops its queue
  std::atomic<bool> some_done_{false};  // lets reap() return without the mutex; see complete()
  std::mutex done_mutex_;
  std::vector<Completion> done_;
  std::array<uint64_t, kJobKinds> submitted_{};  // by the owner
  std::array<uint64_t, kJobKinds> ended_{};      // under done_mutex_
  std::condition_variable some_ended_;
  Worker sync_worker_;
  Worker slow_worker_;
};

}  // namespace millrace::storage
