// TurnTrace: says of each turn of a loop that took long what it did with the time. For whoever
// looks for what makes a tail; off unless a loop's thread has one.
//
//   TurnTrace trace("shard 0", 1'000);              // turns of more than a millisecond
//   trace.begin();  take(requests);  turn_step("requests");  ...  trace.end();
//
// logs "shard 0: a turn took 3214 us, 2900 of them not on a core: pwritev 2950, requests 210". A
// step is what was done since the one before; turn_step() may stand anywhere that the loop's thread
// comes by. At most 20 lines a second; how many turns were not told of is in the next one.
//
// Threads: one; turn_step() goes to the trace of its own thread.  Memory: 1 KiB.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace millrace::base {

class TurnTrace {
 public:
  TurnTrace(std::string who, uint32_t longest_us);
  ~TurnTrace();
  TurnTrace(const TurnTrace&) = delete;
  TurnTrace& operator=(const TurnTrace&) = delete;

  void begin();
  // `name` lives as long as the trace. More than 32 different ones of a turn are one, "the rest".
  void step(const char* name);
  void end();

 private:
  struct Step {
    const char* name = nullptr;
    int64_t ns = 0;
  };

  void tell(int64_t took_ns);

  const std::string who_;
  const int64_t longest_ns_;
  std::array<Step, 32> steps_{};
  size_t step_count_ = 0;
  int64_t begun_ns_ = 0;  // 0: no turn is under way
  int64_t last_ns_ = 0;
  int64_t begun_cpu_ns_ = 0;
  int64_t second_ns_ = 0;  // when this second of lines began
  int lines_ = 0;          // in it
  uint64_t untold_ = 0;
};

// Of this thread, if its loop is traced. Initial-exec: read some twenty times a turn.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local TurnTrace* turn_trace;

inline void turn_step(const char* name) {
  if (turn_trace != nullptr) [[unlikely]]
    turn_trace->step(name);
}

}  // namespace millrace::base
