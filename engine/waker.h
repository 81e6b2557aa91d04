// Waker: how any thread makes a shard's driving thread call tick() soon.
//
// Cross-shard. set() is called once, by the driving thread; the release makes the function visible
// to whoever acquires `armed_` as true. A wake before set() is dropped: the first tick looks at
// everything anyway.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

namespace millrace::engine {

class Waker {
 public:
  void set(std::function<void()> wake) {
    wake_ = std::move(wake);
    armed_.store(true, std::memory_order_release);
  }
  void wake() const {
    if (armed_.load(std::memory_order_acquire)) wake_();
  }

 private:
  std::function<void()> wake_;
  std::atomic<bool> armed_{false};
};

}  // namespace millrace::engine
