// What a request must be before anything of it is appended: pure functions of the request, the
// queue's attributes and the documented bounds. All or nothing: the first fault refuses a run.
#pragma once

#include <cstdint>
#include <string>

#include "engine/receive_attempts.h"
#include "millrace/engine.h"

namespace millrace::engine {

struct RunFault {
  Errc error = Errc::ok;
  uint32_t bad_index = 0;
};
// Checks that `run` is exactly `count` messages within the bounds. Errors: batch_empty,
// batch_too_large, malformed (lengths do not fill the run), message_too_large, invalid_argument (a
// delay over kMessageDelayMsMax, or of one message on FIFO), and those of check_properties().
RunFault check_run(Bytes run, uint32_t count, const QueueAttributes& queue);
// What check_run() found with invalid_argument, for people; `run` is the refused one.
std::string fault_text(Bytes run, uint32_t bad_index, const QueueAttributes& queue);

// A receive or subscription with the queue's own values filled in.
struct ReceivePlan {
  uint32_t messages_max = 0;
  uint32_t bytes_max = 0;
  uint32_t visibility_ms = 0;
  uint32_t wait_ms = 0;
  AttemptKey attempt{};  // the caller's to fill in
  bool rest = false;
  uint32_t holder = 0;
  bool is_attempt() const { return attempt != AttemptKey{}; }
};
// Error: invalid_argument.
Result<ReceivePlan> plan_receive(const ReceiveRequest& request, const QueueAttributes& queue);

// Errors: batch_empty, batch_too_large.
Status check_count(size_t entries);

}  // namespace millrace::engine
