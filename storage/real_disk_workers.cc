#include "storage/real_disk_workers.h"

#include <algorithm>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "base/os_thread.h"
#include "storage/disk_jobs.h"

namespace millrace::storage {
namespace {

constexpr int kSlowWorkerNice = 10;

}  // namespace

RealDiskWorkers::RealDiskWorkers(Disk& disk, Hooks hooks) : disk_(disk), hooks_(std::move(hooks)) {
  // A signal meant for the program must find one of the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  sync_worker_.thread = std::thread([this] {
    base::ask_for_short_turns();  // commits wait for it
    serve(sync_worker_);
  });
  slow_worker_.thread = std::thread([this] {
    // What it does can wait; the shard that may share its core can not. Refused is no harm.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kSlowWorkerNice);
    serve(slow_worker_);
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(sync_worker_.thread.native_handle(), "disk-sync");
  pthread_setname_np(slow_worker_.thread.native_handle(), "disk-slow");
}

RealDiskWorkers::~RealDiskWorkers() {
  stopping_.store(true, std::memory_order_relaxed);
  for (Worker* worker : {&sync_worker_, &slow_worker_}) {
    // Through the mutex, so that a worker between its test and its wait does not miss the call.
    { const std::lock_guard lock(worker->mutex); }
    worker->some.notify_one();
    worker->thread.join();
  }
}

void RealDiskWorkers::submit(Job job) {
  Worker& worker = job.kind == JobKind::sync ? sync_worker_ : slow_worker_;
  ++submitted_[static_cast<size_t>(job.kind)];
  {
    const std::lock_guard lock(worker.mutex);
    worker.queue.push_back(std::move(job));
  }
  worker.some.notify_one();
}

size_t RealDiskWorkers::reap(std::span<Completion> out) {
  if (!some_done_.load(std::memory_order_acquire)) return 0;
  const std::lock_guard lock(done_mutex_);
  const size_t count = std::min(out.size(), done_.size());
  std::copy_n(done_.begin(), count, out.begin());
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  some_done_.store(!done_.empty(), std::memory_order_relaxed);
  return count;
}

void RealDiskWorkers::finish(JobKind kind) {
  const auto of_kind = static_cast<size_t>(kind);
  std::unique_lock lock(done_mutex_);
  some_ended_.wait(lock, [&] { return ended_[of_kind] == submitted_[of_kind]; });
}

void RealDiskWorkers::serve(Worker& worker) {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(worker.mutex);
      worker.some.wait(
          lock, [&] { return stopping_.load(std::memory_order_relaxed) || !worker.queue.empty(); });
      if (stopping_.load(std::memory_order_relaxed)) return;
      job = std::move(worker.queue.front());
      worker.queue.pop_front();
    }
    complete(execute(std::move(job)));
  }
}

Completion RealDiskWorkers::execute(Job job) {
  if (job.kind == JobKind::sync) return {job.kind, job.token, hooks_.sync(job), job.file};
  JobRun run(disk_, std::move(job));
  while (!run.step())
    if (stopping_.load(std::memory_order_relaxed)) run.abandon();
  return run.completion();
}

void RealDiskWorkers::complete(const Completion& completion) {
  bool first = false;
  {
    const std::lock_guard lock(done_mutex_);
    first = done_.empty();
    done_.push_back(completion);
    ++ended_[static_cast<size_t>(completion.kind)];
    some_done_.store(true, std::memory_order_release);
  }
  some_ended_.notify_one();
  if (first && hooks_.wake) hooks_.wake();
}

}  // namespace millrace::storage
