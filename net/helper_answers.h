// HelperAnswers: what a helper's thread has done for a shard, on its way there.
//
// Shared by the helper's jobs and the shard's end of it, so that an answer can be put in though
// nobody is there any more.
//
// Threads: put() and wake_up() the helper's, the others the shard's.
// Memory: what was put in and not taken.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace millrace::net {

template <class Answer>
class HelperAnswers {
 public:
  // `wake` is called on the helper's thread: the shard must then call take() soon.
  explicit HelperAnswers(std::function<void()> wake) : wake_(std::move(wake)) {}

  void put(Answer answer) {
    const std::lock_guard lock(mutex_);
    done_.push_back(std::move(answer));
    tell();
  }
  void wake_up() {
    const std::lock_guard lock(mutex_);
    tell();
  }

  // Fills `done`; false: nothing came since the last time, not even a wake_up().
  bool take(std::vector<Answer>* done) {
    // Acquires what was put in before it was set.
    if (!any_.load(std::memory_order_acquire)) return false;
    done->clear();
    const std::lock_guard lock(mutex_);
    done->swap(done_);
    any_.store(false, std::memory_order_relaxed);
    return true;
  }
  // Nobody is woken any more.
  void close() {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
  }

 private:
  // Under the lock: afterwards the shard may be gone, and with it who is woken.
  void tell() {
    any_.store(true, std::memory_order_release);
    if (wake_) wake_();
  }

  std::mutex mutex_;
  std::vector<Answer> done_;
  std::function<void()> wake_;
  std::atomic<bool> any_{false};
};

}  // namespace millrace::net
