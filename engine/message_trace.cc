#include "engine/message_trace.h"

#include <algorithm>
#include <bit>

#include "engine/message_names.h"
#include "engine/record_check.h"

namespace millrace::engine {
namespace {

// The message at the front of `bytes`, whole; empty if it is not there.
Bytes first_message(Bytes bytes) {
  if (bytes.size() < sizeof(MessageHeader)) return {};
  const uint64_t stride = message_stride(read_at<MessageHeader>(bytes));
  return stride <= bytes.size() ? bytes.first(stride) : Bytes{};
}

uint32_t body_bytes(Bytes message) {
  return read_at<MessageHeader>(message).body_bytes;
}

}  // namespace

TraceEvent& MessageTrace::add(TraceEvent::Kind kind, const storage::Record& record, TimeMs at) {
  events_.push_back({.kind = kind,
                     .position = record.position,
                     .at = at,
                     .queue = queue_,
                     .slot = slot_,
                     .receive_count = receive_count_});
  return events_.back();
}

void MessageTrace::on_mark(const storage::CommitMark& mark) {
  for (; timed_ < events_.size(); ++timed_)
    if (events_[timed_].at == TimeMs{}) events_[timed_].at = TimeMs{mark.server_time_ms};
}

bool MessageTrace::is_it(uint32_t queue_id, uint64_t slot, Bytes message) const {
  const uint64_t shard_slot = (id_.shard_slot >> 48 << 48) | slot;
  return message_id(queue_id, shard_slot, properties_of(message.data())) == id_;
}

bool MessageTrace::in_runs(Bytes body, size_t head_bytes, uint32_t queue_id,
                           uint32_t run_count) const {
  if (!there_ || QueueId{queue_id} != queue_) return false;
  for (uint32_t i = 0; i < run_count; ++i) {
    const size_t at = head_bytes + i * sizeof(SlotRun);
    if (body.size() < at + sizeof(SlotRun)) return false;
    const auto run = read_at<SlotRun>(body, at);
    if (slot_ >= run.first_slot && slot_ - run.first_slot < run.count) return true;
  }
  return false;
}

void MessageTrace::on_record(const storage::Record& record) {
  if (!wrong_with(record).empty()) return;
  const Bytes body = record.body;
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::enqueue:
      return on_run(record, sizeof(EnqueueHead));
    case RecordKind::move:
      return on_move(record);
    case RecordKind::move_in:
      if (const auto head = read_head<MoveInHead>(body))
        on_run(record, sizeof *head + uint64_t{head->count} * sizeof(uint64_t));
      return;
    case RecordKind::carry:
      return on_carry(record);
    case RecordKind::dead_letter:
      return on_dead_letter(record);
    case RecordKind::publish:
      return on_publish(record);
    case RecordKind::carry_shared:
      return on_carry_shared(record);
    case RecordKind::extend:
      return on_extend(record);
    case RecordKind::lease:
      if (const auto head = read_head<LeaseHead>(body);
          head && in_runs(body, sizeof *head, head->queue_id, head->run_count)) {
        ++receive_count_;
        leaving_ = head->visibility_ms == UINT32_MAX;
        if (leaving_) return;
        const TimeMs at{head->leased_at_ms};
        add(TraceEvent::Kind::received, record, at).until = at + head->visibility_ms;
      }
      return;
    case RecordKind::ack:
    case RecordKind::expire:
      if (const auto head = read_head<AckHead>(body);
          head && in_runs(body, sizeof *head, head->queue_id, head->run_count)) {
        const bool acked = static_cast<RecordKind>(record.kind) == RecordKind::ack;
        if (acked && leaving_)
          add(TraceEvent::Kind::moved, record, {}).queue = QueueId{};
        else
          add(acked ? TraceEvent::Kind::acknowledged : TraceEvent::Kind::expired, record, {});
        there_ = false;
      }
      return;
    case RecordKind::purge:
      if (const auto head = read_head<SlotEnd>(body);
          head && there_ && QueueId{head->queue_id} == queue_ && slot_ < head->slot_end) {
        add(TraceEvent::Kind::purged, record, {});
        there_ = false;
      }
      return;
    case RecordKind::slot_end:
    case RecordKind::dedup:
    case RecordKind::move_ids:
    case RecordKind::queue_put:
    case RecordKind::queue_delete:
    case RecordKind::topic_put:
    case RecordKind::topic_delete:
    case RecordKind::subscription_put:
    case RecordKind::subscription_delete:
    case RecordKind::meta:
    case RecordKind::move_task:
      return;
  }
}

// Messages behind an EnqueueHead, or a head that begins like one, and what else stands there.
void MessageTrace::on_run(const storage::Record& record, uint64_t head_bytes) {
  const auto head = read_head<EnqueueHead>(record.body);
  const uint64_t slot = id_.shard_slot & 0xFFFF'FFFF'FFFF;
  if (!head || head->queue_id != id_.queue_id || slot < head->first_slot ||
      slot - head->first_slot >= head->count || record.body.size() < head_bytes)
    return;
  Bytes rest = record.body.subspan(head_bytes);
  for (uint64_t skip = slot - head->first_slot; skip > 0; --skip)
    rest = rest.subspan(first_message(rest).size());
  const Bytes message = first_message(rest);
  if (message.empty()) return;
  there_ = true;
  queue_ = QueueId{id_.queue_id};
  slot_ = slot;
  receive_count_ = 0;
  const TimeMs at{head->sent_at_ms};
  TraceEvent& event = add(TraceEvent::Kind::sent, record, at);
  event.bytes = body_bytes(message);
  const uint32_t delay_ms = read_at<MessageHeader>(message).delay_ms;
  if (delay_ms > 0) event.until = at + delay_ms;
}

void MessageTrace::on_move(const storage::Record& record) {
  const auto head = read_head<MoveHead>(record.body);
  if (!head) return;
  if (in_runs(record.body, sizeof *head, head->source_queue_id, head->run_count)) {
    there_ = false;
    add(TraceEvent::Kind::moved, record, TimeMs{head->sent_at_ms}).queue = QueueId{head->queue_id};
    return;
  }
  on_run(record, sizeof *head + uint64_t{head->run_count} * sizeof(SlotRun));
}

// Says only something new if all that came before is gone.
void MessageTrace::on_carry(const storage::Record& record) {
  const auto head = read_head<CarryHead>(record.body);
  if (!head || there_) return;
  uint64_t slot = head->slot;
  for (Bytes rest = record.body.subspan(sizeof *head);; ++slot) {
    const Bytes message = first_message(rest);
    if (message.empty()) return;
    rest = rest.subspan(message.size());
    if (!is_it(head->queue_id, slot, message)) continue;
    there_ = true;
    queue_ = QueueId{head->queue_id};
    slot_ = slot;
    receive_count_ = head->receive_count;
    TraceEvent& event = add(TraceEvent::Kind::found, record, {});
    event.until = TimeMs{head->due_ms};
    event.bytes = body_bytes(message);
    return;
  }
}

void MessageTrace::on_publish(const storage::Record& record) {
  const auto head = read_at<PublishHead>(record.body);
  const uint64_t slot = id_.shard_slot & 0xFFFF'FFFF'FFFF;
  for (const PublishTarget& target :
       items_after<PublishTarget, PublishHead>(record.body, head.target_count)) {
    if (target.queue_id != id_.queue_id || !holds(target, slot)) continue;
    // The how-manieth of the target's messages it is.
    uint64_t messages = target.messages;
    for (uint64_t skip = slot - target.first_slot; skip > 0; --skip)
      messages &= messages - 1;
    Bytes rest = record.body.subspan(sizeof head + uint64_t{head.target_count} * sizeof target);
    for (int skip = std::countr_zero(messages); skip > 0; --skip)
      rest =
          rest.subspan(sizeof(SharedHead) + first_message(rest.subspan(sizeof(SharedHead))).size());
    there_ = true;
    queue_ = QueueId{id_.queue_id};
    slot_ = slot;
    receive_count_ = 0;
    const TimeMs at{head.sent_at_ms};
    TraceEvent& event = add(TraceEvent::Kind::sent, record, at);
    event.bytes = body_bytes(rest.subspan(sizeof(SharedHead)));
    if (target.delay_ms > 0) event.until = at + target.delay_ms;
    return;
  }
}

// As a carry.
void MessageTrace::on_carry_shared(const storage::Record& record) {
  if (there_) return;
  const auto head = read_at<CarrySharedHead>(record.body);
  const Bytes message = record.body.subspan(
      sizeof head + uint64_t{head.reference_count} * sizeof(SharedReference) + sizeof(SharedHead));
  for (const SharedReference& reference :
       items_after<SharedReference, CarrySharedHead>(record.body, head.reference_count)) {
    if (!is_it(reference.queue_id, reference.slot, message)) continue;
    there_ = true;
    queue_ = QueueId{reference.queue_id};
    slot_ = reference.slot;
    receive_count_ = reference.receive_count;
    TraceEvent& event = add(TraceEvent::Kind::found, record, {});
    event.until = TimeMs{reference.due_ms};
    event.bytes = body_bytes(message);
    return;
  }
}

void MessageTrace::on_dead_letter(const storage::Record& record) {
  const auto head = read_head<DeadLetterHead>(record.body);
  if (!head) return;
  const Bytes message = first_message(record.body.subspan(sizeof *head));
  if (message.empty()) return;
  if (!is_here(head->source_queue_id, head->source_slot) &&
      (there_ || !is_it(head->queue_id, head->slot, message)))
    return;
  there_ = true;
  queue_ = QueueId{head->queue_id};
  slot_ = head->slot;
  receive_count_ = head->receive_count;
  add(TraceEvent::Kind::dead_lettered, record, {}).bytes = body_bytes(message);
}

void MessageTrace::on_extend(const storage::Record& record) {
  const auto head = read_head<ExtendHead>(record.body);
  if (!head || !there_ || QueueId{head->queue_id} != queue_) return;
  for (const ExtendMark& mark : items_after<ExtendMark, ExtendHead>(record.body, head->count)) {
    if (mark.slot != slot_) continue;
    const TimeMs at{head->at_ms};
    TraceEvent& event = add(TraceEvent::Kind::extended, record, at);
    if (mark.visibility_ms > 0) event.until = at + mark.visibility_ms;
  }
}

}  // namespace millrace::engine
