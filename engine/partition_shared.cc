// The part of Partition for published messages, which other queues may have too: they lie once in
// the log, and each queue refers to them.
#include "base/each_bit.h"
#include "engine/partition.h"

namespace millrace::engine {

uint64_t Partition::apply_publish(const PartitionContext& context, const PublishHead& head,
                                  const PublishTarget& target, Bytes body, Position position,
                                  std::span<const uint32_t> offsets) {
  if (kind_.fifo) return 0;
  auto& chosen = context.scratch.chosen;
  chosen.clear();
  uint64_t bytes = 0;
  uint64_t apart = 0;
  uint64_t shared = 0;
  uint32_t properties_bytes = 0;
  const auto header_at = [&](uint32_t offset) { return read_at<MessageHeader>(body, offset); };
  const auto account = [&](uint32_t offset) {
    const MessageHeader header = header_at(offset);
    properties_bytes |= header.properties_bytes;
    bytes += kReferenceBytes;
    if (read_at<SharedHead>(body, offset - sizeof(SharedHead)).references > 1) {
      ++shared;
      return;
    }
    bytes += shared_cost(header);
    apart += kCarriedAloneBytes;
  };
  base::each_bit(target.messages, [&](size_t i) { chosen.push_back(offsets[i]); });
  const Slot first{target.first_slot};
  const auto count = static_cast<uint32_t>(chosen.size());
  uint64_t came = target.messages;
  if (first == index_->end()) {
    (void)index_->append_run(position, chosen);
    for (const uint32_t offset : chosen)
      account(offset);
  } else {
    uint64_t left = target.messages;
    for (uint32_t i = 0; i < count; ++i, left &= left - 1) {
      if (index_->live(first + i)) {  // only a planted bug gives a slot out twice
        came &= ~(left & (~left + 1));
        continue;
      }
      place(first + i, position + chosen[i]);
      account(chosen[i]);
    }
  }
  if (target.delay_ms != 0)
    for (uint32_t i = 0; i < count; ++i)
      start_timer(context, first + i, TimerKind::delay, TimeMs{head.sent_at_ms} + target.delay_ms);
  (void)index_->set_ready_run(first, count);
  if (properties_bytes != 0)
    for (uint32_t i = 0; i < count; ++i)
      join_tenant(context, first + i, body.data() + chosen[i]);
  shared_ += shared;
  context.log.add_live(position, bytes);
  context.log.add_apart(apart);
  bytes_.add(context.log.segment_of(position), bytes);
  return came;
}

bool Partition::apply_carry(const PartitionContext& context, const SharedReference& reference,
                            const SharedHead& shared, const std::byte* message, Position position) {
  if (kind_.fifo) return false;
  take_carried(context, Slot{reference.slot},
               {reference.receive_count,
                {reference.first_received_ms, ms_of(reference.last_received_s)},
                static_cast<MessageState>(reference.state),
                TimeMs{reference.due_ms}},
               message, position);
  uint64_t bytes = kReferenceBytes;
  if (shared.references > 1) {
    ++shared_;
  } else {
    bytes += shared_cost(*reinterpret_cast<const MessageHeader*>(message));
    context.log.add_apart(kCarriedAloneBytes);
  }
  context.log.add_live(position, bytes);
  bytes_.add(context.log.segment_of(position), bytes);
  return true;
}

// All that is here goes. What is not written yet can't be read, so whether a message is shared is
// known by its position.
void Partition::release_shared(const PartitionContext& context) {
  if (shared_ == 0) return;
  index_->for_each_live(
      [&](Slot slot) { (void)context.shared.remove(context.log, index_->position(slot)); });
  shared_ = 0;
}

void Partition::forget_references(SharedMessages* shared) const {
  if (shared_ == 0) return;
  index_->for_each_live([&](Slot slot) { shared->forget(index_->position(slot)); });
}

}  // namespace millrace::engine
