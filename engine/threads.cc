#include "engine/threads.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <thread>

#include "base/os_thread.h"

namespace millrace::engine {
namespace {

// The longest sleep: a deadline is server time, and a sleep can't be exact about it.
constexpr int64_t kSleepMsMax = 1'000;

}  // namespace

struct ShardThreads::Driver {
  explicit Driver(ShardPort& the_shard) : shard(the_shard) {}

  ShardPort& shard;
  pthread_t thread{};
  bool started = false;
  std::mutex mutex;  // over the rest
  std::condition_variable changed;
  std::vector<Work> inbox;
  bool woken = false;
  bool stopping = false;

  void wake() {
    const std::lock_guard lock(mutex);
    woken = true;
    changed.notify_one();
  }

  void run() {
    std::vector<Work> work;
    for (bool more = true;;) {
      {
        std::unique_lock lock(mutex);
        if (!more && !woken && inbox.empty() && !stopping) {
          const TimeMs due = shard.next_deadline();
          const int64_t sleep_ms =
              due == kNever ? kSleepMsMax : std::clamp<int64_t>(due - shard.now(), 0, kSleepMsMax);
          changed.wait_for(lock, std::chrono::milliseconds(sleep_ms),
                           [&] { return woken || !inbox.empty() || stopping; });
        }
        woken = false;
        work.swap(inbox);
        if (stopping && work.empty()) return;
      }
      shard.refresh_clock();
      for (const Work& one : work)
        one(shard);
      work.clear();
      more = shard.tick();
    }
  }
};

ShardThreads::ShardThreads() = default;

ShardThreads::~ShardThreads() {
  join();
}

Result<std::unique_ptr<ShardThreads>> ShardThreads::start(std::vector<ShardPort*> shards) {
  std::unique_ptr<ShardThreads> threads(new ShardThreads);
  const unsigned cores = std::thread::hardware_concurrency();
  for (ShardPort* shard : shards) {
    auto& driver = threads->drivers_.emplace_back(std::make_unique<Driver>(*shard));
    shard->set_waker([raw_driver = driver.get()] { raw_driver->wake(); });
  }
  for (size_t i = 0; i < threads->drivers_.size(); ++i) {
    Driver& driver = *threads->drivers_[i];
    const auto body = [](void* argument) -> void* {
      base::ask_for_short_turns();
      static_cast<Driver*>(argument)->run();
      return nullptr;
    };
    // pthread_create, since std::thread reports a failure by throwing.
    if (pthread_create(&driver.thread, nullptr, body, &driver) != 0) {
      threads->join();
      return fail(Errc::io_error);
    }
    driver.started = true;
    if (shards.size() <= cores) {
      cpu_set_t cpus;
      CPU_ZERO(&cpus);
      CPU_SET(i, &cpus);
      // Where the process may not use that core, the scheduler decides.
      (void)pthread_setaffinity_np(driver.thread, sizeof cpus, &cpus);
    }
  }
  return threads;
}

bool ShardThreads::post(ShardId shard, Work work) {
  Driver& driver = *drivers_[raw(shard)];
  const std::lock_guard lock(driver.mutex);
  if (driver.stopping) return false;
  driver.inbox.push_back(std::move(work));
  driver.changed.notify_one();
  return true;
}

void ShardThreads::join() {
  for (const auto& driver : drivers_) {
    const std::lock_guard lock(driver->mutex);
    driver->stopping = true;
    driver->changed.notify_one();
  }
  for (const auto& driver : drivers_) {
    if (!driver->started) continue;
    pthread_join(driver->thread, nullptr);
    driver->started = false;
  }
}

}  // namespace millrace::engine
