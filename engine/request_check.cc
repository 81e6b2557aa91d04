#include "engine/request_check.h"

#include <fmt/format.h>

#include "engine/properties_check.h"
#include "engine/records.h"

namespace millrace::engine {

RunFault check_run(Bytes run, uint32_t count, const QueueAttributes& queue) {
  if (count == 0) return {Errc::batch_empty, 0};
  if (count > kBatchMessagesMax || run.size() > kBatchBytesMax) return {Errc::batch_too_large, 0};
  size_t offset = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (run.size() - offset < sizeof(MessageHeader)) return {Errc::malformed, i};
    const auto header = read_at<MessageHeader>(run, offset);
    if (header.body_bytes > queue.message_bytes_max ||
        header.properties_bytes > kMessageBytesMax + kPropertyOverheadMax)
      return {Errc::message_too_large, i};
    if (header.delay_ms > kMessageDelayMsMax && header.delay_ms != kDelayQueueDefault)
      return {Errc::invalid_argument, i};
    // On FIFO only the queue's delay exists.
    if (queue.fifo && header.delay_ms != kDelayQueueDefault && header.delay_ms != 0)
      return {Errc::invalid_argument, i};
    const uint64_t stride = message_stride(header);
    if (run.size() - offset < stride) return {Errc::malformed, i};
    if (header.properties_bytes > 0 || queue.fifo) {
      const Bytes properties = run.subspan(offset + sizeof header, header.properties_bytes);
      if (const auto good = check_properties(properties, header.body_bytes, queue); !good)
        return {good.error(), i};
    }
    offset += stride;
  }
  if (offset != run.size()) return {Errc::malformed, count - 1};
  return {};
}

std::string fault_text(Bytes run, uint32_t bad_index, const QueueAttributes& queue) {
  size_t offset = 0;
  for (uint32_t i = 0; run.size() - offset >= sizeof(MessageHeader); ++i) {
    const auto header = read_at<MessageHeader>(run, offset);
    if (run.size() - offset < message_stride(header)) break;
    if (i < bad_index) {
      offset += message_stride(header);
      continue;
    }
    std::string fault;
    (void)check_properties(run.subspan(offset + sizeof header, header.properties_bytes),
                           header.body_bytes, queue, &fault);
    if (!fault.empty()) return fault;
    if (queue.fifo) return "a FIFO queue takes no delay of one message";
    return fmt::format("delay_ms is {}; allowed are up to {}", header.delay_ms, kMessageDelayMsMax);
  }
  return {};
}

Result<ReceivePlan> plan_receive(const ReceiveRequest& request, const QueueAttributes& queue) {
  ReceivePlan plan{.messages_max = request.messages_max,
                   .bytes_max = request.bytes_max,
                   .visibility_ms = request.visibility_ms,
                   .wait_ms = request.wait_ms,
                   .rest = request.rest,
                   .holder = request.holder};
  if (plan.visibility_ms == kDelayQueueDefault) plan.visibility_ms = queue.visibility_timeout_ms;
  if (plan.wait_ms == kDelayQueueDefault) plan.wait_ms = queue.receive_wait_ms;
  if (plan.messages_max == 0 || plan.messages_max > kBatchMessagesMax ||
      plan.visibility_ms > kLeaseMsMax || plan.wait_ms > kReceiveWaitMsMax)
    return fail(Errc::invalid_argument);
  if (!request.attempt_id.empty() && (!queue.fifo || !is_id(request.attempt_id)))
    return fail(Errc::invalid_argument);
  return plan;
}

Status check_count(size_t entries) {
  if (entries == 0) return fail(Errc::batch_empty);
  if (entries > kBatchMessagesMax) return fail(Errc::batch_too_large);
  return {};
}

}  // namespace millrace::engine
