// How a test waits for what a disk or another thread does: at once again at first, then after
// short naps, then after longer ones, a minute in all. A sync may take ten seconds where something
// else writes to the same disk; no test fails for that.
#pragma once

#include <chrono>
#include <thread>

namespace millrace {

class Patience {
 public:
  // False once the minute is over.
  bool nap() {
    using namespace std::chrono_literals;
    ++naps_;
    if (naps_ > kAtOnce) std::this_thread::sleep_for(naps_ > kShort ? 5ms : 200us);
    return std::chrono::steady_clock::now() - begin_ < 1min;
  }

 private:
  static constexpr int kAtOnce = 20;
  static constexpr int kShort = 5'000;

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int naps_ = 0;
};

}  // namespace millrace
