#include "engine/shard_state.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/planted.h"
#include "engine/limits.h"
#include "engine/record_check.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

constexpr uint64_t kRecordHeaderBytes = sizeof(storage::RecordHeader);

Position body_position(Position record) {
  return record + kRecordHeaderBytes;
}

Position end_of(Position record, uint64_t body_bytes) {
  return record + padded8(kRecordHeaderBytes + body_bytes);
}

storage::Space space_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::lease:
    case RecordKind::extend:
      return storage::Space::leases;
    case RecordKind::ack:
    case RecordKind::purge:
    case RecordKind::expire:
      return storage::Space::frees;
    case RecordKind::dead_letter:
    case RecordKind::move:
      return storage::Space::moves;
    case RecordKind::carry:
    case RecordKind::slot_end:
    case RecordKind::carry_shared:
    case RecordKind::dedup:
    case RecordKind::move_ids:
      return storage::Space::cleans;
    case RecordKind::enqueue:
    case RecordKind::queue_put:
    case RecordKind::queue_delete:
    case RecordKind::topic_put:
    case RecordKind::topic_delete:
    case RecordKind::subscription_put:
    case RecordKind::subscription_delete:
    case RecordKind::meta:
    case RecordKind::move_task:
    case RecordKind::move_in:
    case RecordKind::publish:
      break;
  }
  return storage::Space::grows;
}

// Sorted slots, each once, as runs.
void merge_runs(std::vector<uint64_t>& slots, std::vector<SlotRun>& runs) {
  if (!std::is_sorted(slots.begin(), slots.end())) std::sort(slots.begin(), slots.end());
  runs.clear();
  for (const uint64_t slot : slots) {
    if (!runs.empty()) {
      const uint64_t next = runs.back().first_slot + runs.back().count;
      if (slot < next) continue;
      if (slot == next) {
        ++runs.back().count;
        continue;
      }
    }
    runs.push_back({slot, 1, 0});
  }
}

}  // namespace

ShardState::ShardState(ShardId shard, storage::Log& log, const ReceiptKey& key, TimeMs wheel_start)
    : shard_(shard), log_(log), sealer_(key), timers_(wheel_start), names_(key) {}

void ShardState::add_queue(QueueId queue, Partition::Kind kind) {
  auto& partition = partitions_[queue];
  if (partition == nullptr) partition = std::make_unique<Partition>(queue, kind);
  if (recovered_) partition->find_groups(context());
}

Partition* ShardState::find(QueueId queue) {
  if (last_found_ != nullptr && last_found_->queue() == queue) return last_found_;
  const auto found = partitions_.find(queue);
  if (found == partitions_.end()) return nullptr;
  last_found_ = found->second.get();
  return last_found_;
}

void ShardState::drop_queue(QueueId queue) {
  Partition* partition = find(queue);
  if (partition == nullptr) return;
  partition->release(context());
  for (const MoveOrigin origin : move_ids_.origins())
    if (origin.queue == queue)
      for (const uint64_t slot : move_ids_.slots(origin, [](Position) { return true; }))
        move_ids_.erase(log_, origin, slot);
  if (partition->slot_end_told != Position{})
    log_.remove_live(partition->slot_end_told, sizeof(SlotEnd));
  last_found_ = nullptr;
  partitions_.erase(queue);
}

// --- recovery ---

void ShardState::on_record(const storage::Record& record) {
  if (!refused_.empty()) return;
  if (const std::string_view wrong = wrong_with(record); !wrong.empty()) {
    refused_ = fmt::format("the record at position {}, of kind {}, can't be: {}",
                           record.position.value, record.kind, wrong);
    return;
  }
  account_checkpoint();
  const Bytes body = record.body;
  const auto kind = static_cast<RecordKind>(record.kind);
  if (kind == RecordKind::slot_end) {
    for (size_t at = 0; body.size() - at >= sizeof(SlotEnd); at += sizeof(SlotEnd)) {
      const auto end = read_at<SlotEnd>(body, at);
      note_queue(end.queue_id);
      Partition* partition = find(QueueId{end.queue_id});
      if (partition == nullptr) continue;
      partition->apply_slot_end(Slot{end.slot_end});
      told(*partition, record.position);
    }
    return;
  }
  if (kind == RecordKind::publish)
    return apply_publish(read_at<PublishHead>(body), body, record.position);
  if (kind == RecordKind::carry_shared)
    return apply_carry_shared(read_at<CarrySharedHead>(body), body, record.position);
  note_queue(read_at<uint32_t>(body));    // all other bodies begin with it
  if (kind == RecordKind::dead_letter) {  // about two of them
    if (const auto head = read_head<DeadLetterHead>(body);
        head && body.size() >= sizeof *head + sizeof(MessageHeader))
      apply_dead_letter(*head, body.subspan(sizeof *head), record.position);
    return;
  }
  if (kind == RecordKind::move) {
    if (const auto head = read_head<MoveHead>(body))
      apply_move(*head, body.subspan(sizeof *head), record.position);
    return;
  }
  if (kind == RecordKind::move_in) {
    if (const auto head = read_head<MoveInHead>(body))
      apply_move_in(*head, body.subspan(sizeof *head), record.position);
    return;
  }
  if (kind == RecordKind::move_ids) {
    if (const auto head = read_head<MoveIdsHead>(body))
      apply_move_ids(*head,
                     items_after<uint64_t, MoveIdsHead>(
                         body, static_cast<uint32_t>((body.size() - sizeof *head) / 8)),
                     record.position);
    return;
  }
  Partition* partition = find(QueueId{read_at<uint32_t>(body)});
  if (partition == nullptr) return;
  switch (kind) {
    case RecordKind::enqueue:
      if (const auto head = read_head<EnqueueHead>(body)) {
        partition->apply_enqueue(context(), *head, body.subspan(sizeof *head),
                                 body_position(record.position) + sizeof *head);
        told(*partition, record.position);
      }
      break;
    case RecordKind::lease:
      if (base::planted(base::Bug::lease_lost_on_restart)) break;
      if (const auto head = read_head<LeaseHead>(body))
        partition->apply_lease(context(), *head,
                               items_after<SlotRun, LeaseHead>(body, head->run_count));
      break;
    case RecordKind::extend:
      if (const auto head = read_head<ExtendHead>(body))
        partition->apply_extend(context(), *head,
                                items_after<ExtendMark, ExtendHead>(body, head->count));
      break;
    case RecordKind::ack:
    case RecordKind::expire:
      if (const auto head = read_head<AckHead>(body))
        partition->apply_ack(context(), items_after<SlotRun, AckHead>(body, head->run_count));
      break;
    case RecordKind::carry:
      if (const auto head = read_head<CarryHead>(body);
          head && body.size() >= sizeof *head + sizeof(MessageHeader))
        partition->apply_carry(context(), *head, body.subspan(sizeof *head),
                               body_position(record.position) + sizeof *head);
      break;
    case RecordKind::purge:
      if (const auto head = read_head<SlotEnd>(body)) {
        if (!base::planted(base::Bug::purge_forgotten))
          partition->apply_purge(context(), Slot{head->slot_end});
        told(*partition, record.position);
      }
      break;
    case RecordKind::dedup:
      if (base::planted(base::Bug::dedup_lost_when_cleaned)) break;
      if (const auto head = read_head<DedupHead>(body))
        partition->apply_dedup(context(), items_after<DedupMark, DedupHead>(body, head->count),
                               record.position);
      break;
    case RecordKind::dead_letter:  // above: they are about several partitions
    case RecordKind::move:
    case RecordKind::move_in:
    case RecordKind::move_ids:
    case RecordKind::publish:
    case RecordKind::carry_shared:
    case RecordKind::slot_end:
    case RecordKind::queue_put:
    case RecordKind::queue_delete:
    case RecordKind::topic_put:
    case RecordKind::topic_delete:
    case RecordKind::subscription_put:
    case RecordKind::subscription_delete:
    case RecordKind::meta:
    case RecordKind::move_task:
      break;  // the catalog's
  }
}

void ShardState::finish_recovery() {
  account_checkpoint();
  for (auto& [id, partition] : partitions_) {
    if (base::planted(base::Bug::sequence_reused)) partition->forget_slot_end(context());
    partition->find_groups(context());
    partition->set_visible_end(partition->slot_end());
  }
  recovered_ = true;
}

// --- operations ---

Result<Position> ShardState::append(RecordKind kind, Bytes head, Bytes items) {
  const std::array<Bytes, 2> parts{head, items};
  const auto position = log_.append(raw(kind), parts, space_of(kind));
  if (!position) return fail(position.error());
  last_end_ = end_of(*position, head.size() + items.size());
  return *position;
}

void ShardState::become_visible(Partition& partition, Position end, bool wait_durable) {
  // A queue that no longer asks for commit still delivers in order.
  const bool durable = wait_durable || partition.durable_waits > 0;
  auto& queue = durable ? coming_durable_ : coming_written_;
  // Records of one turn become visible together.
  if (!queue.empty() && queue.back().queue == partition.queue() &&
      queue.back().end > log_.written()) {
    queue.back().end = end;
    queue.back().slot_end = partition.slot_end();
    return;
  }
  if (durable) ++partition.durable_waits;
  queue.push({end, partition.queue(), partition.slot_end()});
}

Result<ShardState::Enqueued> ShardState::enqueue(Partition& partition, Bytes run, uint32_t count,
                                                 uint32_t delay_ms, bool wait_durable, TimeMs now,
                                                 std::span<const MessageNames> names) {
  if (timers_.size() + count > kTimersPerShardMax) {
    // Only what is delayed takes a timer; rare enough to look.
    for (size_t offset = 0; offset < run.size();) {
      const auto header = read_at<MessageHeader>(run, offset);
      const uint32_t delay = header.delay_ms == kDelayQueueDefault ? delay_ms : header.delay_ms;
      if (delay > 0) return fail(Errc::over_limit);
      offset += message_stride(header);
    }
  }
  const EnqueueHead head{raw(partition.queue()), count, raw(partition.slot_end()), now.value, 0};
  const uint64_t body_bytes = sizeof head + run.size();
  // Cleaning must be able to carry what is accepted: the head of a carry is the larger one.
  static_assert(sizeof(CarryHead) >= sizeof(EnqueueHead));
  if (sizeof(CarryHead) + run.size() > log_.body_bytes_max()) return fail(Errc::batch_too_large);
  std::byte* body = nullptr;
  // On FIFO the messages may go and their ids have to be told on.
  const uint64_t alone = kCarriedAloneBytes + (partition.kind().fifo ? DedupWindow::kLiveBytes : 0);
  const auto position =
      log_.begin_record(raw(RecordKind::enqueue), body_bytes, space_of(RecordKind::enqueue), &body,
                        count * alone - kRecordHeaderBytes - sizeof head);
  if (!position) return fail(position.error());
  std::memcpy(body, &head, sizeof head);
  std::memcpy(body + sizeof head, run.data(), run.size());
  for (size_t offset = sizeof head; offset < body_bytes;) {
    auto& header = *reinterpret_cast<MessageHeader*>(body + offset);
    header.record_offset = static_cast<uint32_t>(offset);
    if (header.delay_ms == kDelayQueueDefault) header.delay_ms = delay_ms;
    offset += message_stride(header);
  }
  partition.apply_enqueue(context(), head, {body + sizeof head, run.size()},
                          body_position(*position) + sizeof head, names);
  log_.seal_record();
  told(partition, *position);
  partition.tally.sent += count;
  last_end_ = end_of(*position, body_bytes);
  become_visible(partition, last_end_, wait_durable);
  return Enqueued{last_end_, Slot{head.first_slot}};
}

Result<ShardState::Enqueued> ShardState::enqueue_fifo(Partition& partition, Bytes run,
                                                      uint32_t count, const QueueAttributes& queue,
                                                      bool wait_durable, TimeMs now) {
  if (partition.dedup().size() + count > kDedupIdsPerPartitionMax) return fail(Errc::over_limit);
  intake_.read(partition, names_, queue.content_deduplication, run, count, now);
  // All are known: the answer waits for what is appended so far, which holds the first ones.
  Enqueued enqueued{last_end_, partition.slot_end(), {}};
  if (intake_.stored_count() > 0) {
    const auto stored = enqueue(partition, intake_.stored(), intake_.stored_count(), queue.delay_ms,
                                wait_durable, now, intake_.stored_names());
    if (!stored) return stored;
    enqueued = *stored;
  }
  dedup_due_ = std::min(dedup_due_, now + DedupWindow::kWindowMs);
  if (intake_.has_duplicates()) enqueued.slots = intake_.slots(enqueued.first_slot);
  return enqueued;
}

Result<std::optional<Position>> ShardState::lease(Partition& partition, uint32_t messages_max,
                                                  uint32_t bytes_max, uint32_t visibility_ms,
                                                  TimeMs now, std::vector<Delivery>* deliveries,
                                                  uint32_t holder) {
  stopped_short_ = false;
  if (timers_.size() >= kTimersPerShardMax) return fail(Errc::over_limit);
  if (partition.at_in_flight_limit()) {
    if (!partition.kind().fifo) return fail(Errc::over_limit);
    return std::optional<Position>{};
  }
  const uint64_t room = std::min(kTimersPerShardMax - timers_.size(), partition.in_flight_left());
  messages_max = static_cast<uint32_t>(std::min<uint64_t>(messages_max, room));
  const uint32_t chosen = choose(partition, messages_max, bytes_max, now);
  if (log_.fenced()) return fail(Errc::shard_fenced);
  if (chosen == 0) return std::optional<Position>{};
  const LeaseHead head{raw(partition.queue()), static_cast<uint32_t>(runs_.size()), now.value,
                       visibility_ms, 0};
  const Bytes items = bytes_of(std::span<const SlotRun>(runs_));
  const auto position = append(RecordKind::lease, bytes_of(head), items);
  if (!position) return fail(position.error());
  partition.apply_lease(context(), head, runs_, holder);
  const size_t first = deliveries->size();
  if (const Status status = deliver(partition, deliveries); !status) return fail(status.error());
  for (const Delivery& delivery : std::span(*deliveries).subspan(first))
    partition.count_receive(delivery, now);
  return std::optional<Position>{last_end_};
}

// Those in runs_, which are leased.
Status ShardState::deliver(const Partition& partition, std::vector<Delivery>* deliveries) {
  const SlotIndex& index = partition.index();
  const size_t first = deliveries->size();
  for (const SlotRun& run : runs_)
    for (uint32_t i = 0; i < run.count; ++i) {
      const Slot slot{run.first_slot + i};
      const SlotIndex::Entry at = index.entry(slot);
      const auto message = verified_message(index.position(at));
      if (!message) {
        deliveries->resize(first);
        return fail(Errc::shard_fenced);
      }
      const uint32_t count = index.receive_count(at);
      deliveries->push_back(
          {Receipt{pack_shard_slot(shard_, slot), raw(partition.queue()), count, 0},
           message->sent_at(), count, message->sent_at() + index.received(at).first_ms,
           message->bytes()});
      if (message->published()) [[unlikely]]
        deliveries->back().stamp = stamp_of(partition.queue(), slot, *message);
    }
  sealer_.seal_all(deliveries->size() - first,
                   [&](size_t i) -> Receipt& { return (*deliveries)[first + i].receipt; });
  return {};
}

std::optional<StoredMessage> ShardState::verified_message(Position at) {
  const auto message = message_at(log_, at);
  if (message && still_as_written(at, message->header)) [[likely]]
    return message;
  log_.fence_corrupt(at);
  return std::nullopt;
}

bool ShardState::still_as_written(Position message, const MessageHeader& header) {
  const uint64_t stride = message_stride(header);
  const uint64_t durable = log_.durable().value;
  const bool known = message >= verified_.begin && message + stride <= verified_.end;
  // What was durable stays; what was not may be another after each sync.
  if (known && (verified_.end.value <= verified_.durable || durable == verified_.durable))
    return true;
  const Position record{message.value - (header.record_offset & ~kSharedMessage) -
                        kRecordHeaderBytes};
  storage::RecordHeader record_header;
  std::memcpy(&record_header, log_.at(record), sizeof record_header);
  const uint64_t length = record_header.length;
  if (length > std::max(kVerifiedRecordBytes, 4 * stride) && length <= log_.body_bytes_max())
    return true;
  const auto read = log_.read_record(record);
  if (!read || message + stride > read->end()) return false;
  verified_ = {record, read->end(), durable};
  return true;
}

Result<Position> ShardState::append_ack(Partition& partition, TimeMs now) {
  merge_runs(slots_, runs_);
  const AckHead head{raw(partition.queue()), static_cast<uint32_t>(runs_.size())};
  const Bytes items = bytes_of(std::span<const SlotRun>(runs_));
  const auto position = append(RecordKind::ack, bytes_of(head), items);
  if (!position) return fail(position.error());
  partition.apply_ack(context(), runs_, now);
  return last_end_;
}

Status ShardState::append_gone(RecordKind kind, Partition& partition,
                               std::span<const uint64_t> slots) {
  runs_of(slots, &expired_runs_);
  const AckHead head{raw(partition.queue()), static_cast<uint32_t>(expired_runs_.size())};
  const auto position =
      append(kind, bytes_of(head), bytes_of(std::span<const SlotRun>(expired_runs_)));
  if (!position) return fail(position.error());
  partition.apply_ack(context(), expired_runs_);
  return {};
}

Result<Position> ShardState::append_extend(Partition& partition, TimeMs now, uint32_t holder) {
  const ExtendHead head{raw(partition.queue()), static_cast<uint32_t>(marks_.size()), now.value};
  const Bytes items = bytes_of(std::span<const ExtendMark>(marks_));
  const auto position = append(RecordKind::extend, bytes_of(head), items);
  if (!position) return fail(position.error());
  partition.apply_extend(context(), head, marks_, holder);
  return last_end_;
}

Result<Position> ShardState::purge(Partition& partition) {
  const SlotEnd body{raw(partition.queue()), 0, raw(partition.slot_end())};
  const auto position = append(RecordKind::purge, bytes_of(body), {});
  if (!position) return fail(position.error());
  partition.apply_purge(context(), partition.slot_end());
  told(partition, *position);
  return last_end_;
}

Result<ShardState::Carried> ShardState::carry(Partition& partition, Slot first, Position from,
                                              uint32_t count_max) {
  const SlotIndex& index = partition.index();
  Carried carried;
  const auto lies_here = [&](Slot slot, Position at) {
    return index.live(slot) && index.position(slot) == at;
  };
  if (!lies_here(first, from)) return carried;
  auto message = message_at(log_, from);
  if (!message) {
    log_.fence_corrupt(from);
    return fail(Errc::shard_fenced);
  }
  const auto status = partition.status(first, timers_);
  const ReceivedTimes received = index.received(first);
  const CarryHead head{
      raw(partition.queue()),       index.receive_count(first), raw(first),
      message->sent_at().value,     status.due.value,           static_cast<uint8_t>(status.state),
      seconds_up(received.last_ms), received.first_ms};
  // Neighbours in the same state go along: a record for each would take more room than they had.
  carried_run_.clear();
  for (Position at = from; carried.messages < count_max; ++carried.messages) {
    const Slot slot = first + carried.messages;
    if (!lies_here(slot, at)) break;
    const auto state = partition.status(slot, timers_);
    if (state.state != status.state || state.due != status.due ||
        index.receive_count(slot) != head.receive_count || index.received(slot) != received)
      break;
    message = message_at(log_, at);
    if (!message) break;  // the next call finds out
    MessageHeader header = message->header;
    const uint64_t stride = message_stride(header);
    if (carried.messages > 0 && carried_run_.size() + stride > kCarriedRunBytesMax) break;
    header.record_offset = static_cast<uint32_t>(sizeof head + carried_run_.size());
    const Bytes fixed = bytes_of(header);
    carried_run_.insert(carried_run_.end(), fixed.begin(), fixed.end());
    const Bytes rest = message->content();
    carried_run_.insert(carried_run_.end(), rest.begin(), rest.end());
    at = at + stride;
  }
  const std::array<Bytes, 2> parts{bytes_of(head), Bytes(carried_run_)};
  const auto position = log_.append(raw(RecordKind::carry), parts, space_of(RecordKind::carry));
  if (!position) return fail(position.error());
  partition.apply_carry(context(), head, carried_run_, body_position(*position) + sizeof head);
  carried.bytes = sizeof head + carried_run_.size();
  return carried;
}

Status ShardState::tell_dedup(Partition& partition, std::span<const DedupMark> marks) {
  if (marks.empty()) return {};
  const DedupHead head{raw(partition.queue()), static_cast<uint32_t>(marks.size())};
  const auto position = append(RecordKind::dedup, bytes_of(head), bytes_of(marks));
  if (!position) return fail(position.error());
  partition.apply_dedup(context(), marks, *position);
  return {};
}

uint64_t ShardState::index_bytes() const {
  uint64_t bytes = timers_.memory_bytes();
  for (const auto& [id, partition] : partitions_)
    bytes += partition->memory_bytes();
  return bytes;
}

uint64_t ShardState::memory_bytes() const {
  constexpr uint64_t kAttemptBytes = 128;
  constexpr uint64_t kMoveIdBytes = 50;
  uint64_t bytes = index_bytes() + shared_.memory_bytes() + attempts_.size() * kAttemptBytes +
                   move_ids_.count() * kMoveIdBytes +
                   (coming_written_.size() + coming_durable_.size()) * sizeof(Coming);
  for (const auto& [id, partition] : partitions_)
    bytes += partition->dedup().memory_bytes();
  return bytes;
}

uint64_t ShardState::live_messages() const {
  uint64_t live = 0;
  for (const auto& [id, partition] : partitions_)
    live += partition->index().live_count();
  return live;
}

uint64_t ShardState::digest(TimeMs now) {
  uint64_t sum = 0;
  for (const auto& [id, partition] : partitions_)
    sum += partition->digest(context(), now);
  return sum;
}

}  // namespace millrace::engine
