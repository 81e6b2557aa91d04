// What Partition tells about itself: counters, times, and a digest for the tests of recovery.
#include "base/hash.h"
#include "engine/partition.h"

namespace millrace::engine {

void Partition::count_receive(const Delivery& delivery, TimeMs now) {
  ++tally.received;
  if (tally.times == nullptr) tally.times = std::make_unique<QueueTimes>();
  if (delivery.receive_count == 1)
    tally.times->wait.add(now - delivery.sent_at -
                          read_at<MessageHeader>(delivery.message).delay_ms);
  else
    ++tally.redelivered;
}

void Partition::count_ack(SlotIndex::Entry at, const StoredMessage& message, TimeMs now) {
  ++tally.acked;
  if (tally.times == nullptr) return;
  tally.times->lease.add(now - message.sent_at() - index_->received(at).last_ms);
}

QueueCounters Partition::counters(const storage::Log& log) const {
  QueueCounters c;
  // On FIFO those of a blocked group too: they are not leased.
  c.ready = index_->live_count() - leased_ - delayed_;
  c.leased = leased_;
  c.delayed = delayed_;
  c.bytes = bytes_.total() - (index_->live_count() - shared_) * kCarriedAloneBytes -
            dedup_.size() * DedupWindow::kLiveBytes;
  c.sent = tally.sent;
  c.received = tally.received;
  c.acked = tally.acked;
  c.expired = tally.expired;
  c.empty_receives = tally.empty_receives;
  c.redelivered = tally.redelivered;
  c.dead_lettered = tally.dead_lettered;
  c.aged_out = tally.aged_out;
  if (tally.times != nullptr) c.times = std::make_shared<QueueTimes>(*tally.times);
  // Messages past the visible end may not be written yet, so their bytes can't be asked.
  const Slot oldest = index_->first_live();
  if (oldest < visible_end_)
    if (const auto message = message_at(log, index_->position(oldest)))
      c.oldest_sent_at_ms = message->sent_at().value;
  return c;
}

uint64_t Partition::digest(const PartitionContext& context, TimeMs now) const {
  uint64_t digest = base::mix(raw(queue_), index_->live_count());
  index_->for_each_live([&](Slot slot) {
    Status s = status(slot, context.timers);
    if (s.state != MessageState::ready && s.due <= now) s = {MessageState::ready, TimeMs{0}};
    const auto message = message_at(context.log, index_->position(slot));
    digest = base::mix(digest, raw(slot));
    digest = base::mix(digest, index_->receive_count(slot));
    digest = base::mix(digest, static_cast<uint32_t>(index_->received(slot).first_ms));
    digest = base::mix(digest, static_cast<uint32_t>(index_->received(slot).last_ms));
    digest = base::mix(digest, static_cast<uint64_t>(s.state));
    digest = base::mix(digest, static_cast<uint64_t>(s.due.value));
    if (!message) return;
    digest = base::mix(digest, static_cast<uint64_t>(message->sent_at().value));
    digest = base::hash64(message->content(), digest);
  });
  return digest;
}

}  // namespace millrace::engine
