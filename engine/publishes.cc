#include "engine/publishes.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "engine/request_check.h"

namespace millrace::engine {

// Fills targets_ and level_.
Errc Publishes::check(const PublishRequest& request) {
  if (request.count > kSharedMessagesMax) return Errc::batch_too_large;
  QueueAttributes any;
  any.message_bytes_max = kMessageBytesMax;
  if (const RunFault fault = check_run(request.messages, request.count, any);
      fault.error != Errc::ok)
    return fault.error;
  if (!request.stamps.empty() && request.stamps.size() != request.count)
    return Errc::invalid_argument;
  std::array<uint32_t, kSharedMessagesMax> body_bytes{};
  uint32_t longest = 0;
  size_t offset = 0;
  for (uint32_t i = 0; i < request.count; ++i) {
    const auto header = read_at<MessageHeader>(request.messages, offset);
    offset += message_stride(header);
    body_bytes[i] = header.body_bytes;
    longest = std::max(longest, header.body_bytes);
    if (!request.stamps.empty() && request.stamps[i] != 0 &&
        uint64_t{request.stamps[i]} + kUuidTextBytes > header.body_bytes)
      return Errc::invalid_argument;
  }
  const uint64_t all = ~uint64_t{0} >> (kSharedMessagesMax - request.count);
  const bool unsafe = parts_.state.log().durable() < safe_at_;
  uint64_t wanted = 0;
  targets_.clear();
  level_ = Durability::none;
  for (const PublishCopy& copy : request.copies) {
    if (copy.messages == 0 || (copy.messages & ~all) != 0) return Errc::invalid_argument;
    wanted |= copy.messages;
    const QueueInfo* queue = parts_.catalog.find_any(copy.queue);
    if (queue == nullptr || parts_.state.find(copy.queue) == nullptr) return Errc::queue_not_found;
    if (queue->attributes.fifo) return Errc::invalid_argument;
    if (longest > queue->attributes.message_bytes_max)
      for (uint32_t i = 0; i < request.count; ++i)
        if ((copy.messages >> i & 1) != 0 && body_bytes[i] > queue->attributes.message_bytes_max)
          return Errc::message_too_large;
    const Durability level = parts_.level(*queue);
    level_ = std::max(level_, level);
    targets_.push_back({&copy, queue->attributes.delay_ms, level == Durability::commit || unsafe});
  }
  return wanted == all ? Errc::ok : Errc::invalid_argument;
}

void Publishes::publish(const PublishRequest& request, ReplyTo to) {
  const ShardId own = parts_.mailbox.own();
  const auto refuse = [&](Errc error) {
    to.sink->on_send(to.token, {.error = error, .shard = own});
  };
  if (const Errc error = check(request); error != Errc::ok) return refuse(error);
  if (const Errc refusal = gate_.judge(); refusal != Errc::ok) return refuse(refusal);
  if (parts_.state.log().fenced()) return refuse(Errc::shard_fenced);
  std::sort(targets_.begin(), targets_.end(),
            [](const ShardState::Target& a, const ShardState::Target& b) {
              return std::tie(a.copy->queue, a.copy->subscription) <
                     std::tie(b.copy->queue, b.copy->subscription);
            });
  Position end{};
  for (std::span<const ShardState::Target> left = targets_; !left.empty();) {
    const auto now = left.first(std::min<size_t>(left.size(), kTargetsPerRecordMax));
    left = left.subspan(now.size());
    const auto published = parts_.state.publish(request, now, parts_.now);
    if (!published) return refuse(published.error());
    end = *published;
  }
  const bool durable = level_ == Durability::commit || parts_.state.log().durable() < safe_at_;
  parts_.commits.park(park_level(durable),
                      {.end = end,
                       .kind = Parked::Kind::send,
                       .to = to,
                       .send = {.durability = level_, .shard = own, .position = end}});
}

}  // namespace millrace::engine
