#include "engine/cleaner.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crash_point.h"
#include "engine/limits.h"
#include "engine/message_names.h"
#include "storage/format.h"

namespace millrace::engine {

namespace {

// What stands before the first message.
size_t head_bytes_of(const storage::Record& record) {
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::move: {
      const auto head = read_head<MoveHead>(record.body);
      return head ? sizeof *head + uint64_t{head->run_count} * sizeof(SlotRun) : sizeof(MoveHead);
    }
    case RecordKind::move_in: {
      const auto head = read_head<MoveInHead>(record.body);
      return head ? sizeof *head + uint64_t{head->count} * sizeof(uint64_t) : sizeof(MoveInHead);
    }
    case RecordKind::carry:
      return sizeof(CarryHead);
    case RecordKind::dead_letter:
      return sizeof(DeadLetterHead);
    default:
      return sizeof(EnqueueHead);
  }
}

}  // namespace

bool Cleaner::step() {
  storage::Log& log = state_.log();
  if (walked_ || log.fenced()) return false;
  if (!walking_ && !log.needs_cleaning()) return false;
  walking_ = true;
  uint64_t bytes = 0;
  for (uint32_t records = 0;
       records < kCleanedRecordsPerTickMax && bytes < kCarriedBytesPerTickMax;) {
    if (gathered_.size() >= kDedupMarksPerRecordMax && !tell_gathered()) return false;
    const auto record = unfinished_ ? unfinished_ : log.next_head_record();
    unfinished_.reset();
    if (!record) {
      const uint64_t segment = log.segment_of(log.head());
      if (!tell_gathered() || !state_.tell_move_ids(segment)) return false;
      const auto told_all = state_.tell_slot_ends(segment);
      walked_ = told_all && *told_all;
      return told_all.has_value();
    }
    // Records without messages cost only the walk.
    const auto kind = static_cast<RecordKind>(record->kind);
    if (kind == RecordKind::dedup) {
      gather_ids(*record);
      continue;
    }
    if (kind == RecordKind::publish || kind == RecordKind::carry_shared) {
      ++records;
      const auto carried = state_.carry_published(*record);
      if (!carried) {
        unfinished_ = record;
        return false;
      }
      bytes += *carried;
      continue;
    }
    if (kind != RecordKind::enqueue && kind != RecordKind::carry &&
        kind != RecordKind::dead_letter && kind != RecordKind::move && kind != RecordKind::move_in)
      continue;
    ++records;
    const auto carried = carry_alive(*record);
    if (!carried) {
      unfinished_ = record;
      return false;
    }
    bytes += *carried;
  }
  if (bytes > 0) base::crash_here("cleaning-midway");
  carried_bytes_ += bytes;
  return true;
}

Result<uint64_t> Cleaner::carry_alive(const storage::Record& record) {
  const size_t head_bytes = head_bytes_of(record);
  static_assert(offsetof(EnqueueHead, first_slot) == offsetof(CarryHead, slot));
  if (record.body.size() < head_bytes) return uint64_t{0};
  Partition* partition = state_.find(QueueId{read_at<uint32_t>(record.body)});
  if (partition == nullptr) return uint64_t{0};
  const uint64_t first_slot = read_at<uint64_t>(record.body, offsetof(EnqueueHead, first_slot));
  const Position body = record.position + sizeof(storage::RecordHeader);
  // Padding is no message: a record's body ends with its last one.
  uint32_t count = 0;
  for (size_t offset = head_bytes; record.body.size() - offset >= sizeof(MessageHeader); ++count)
    offset += message_stride(read_at<MessageHeader>(record.body, offset));
  uint64_t bytes = 0;
  size_t offset = head_bytes;
  const size_t gathered_before = gathered_.size();
  for (uint32_t i = 0; i < count;) {
    const auto carried = state_.carry(*partition, Slot{first_slot + i}, body + offset, count - i);
    if (!carried) {
      gathered_.resize(gathered_before);
      return fail(carried.error());
    }
    bytes += carried->bytes;
    if (carried->messages == 0) gather_id(*partition, record.body.data() + offset);
    for (const uint32_t next = i + std::max(carried->messages, 1u); i < next; ++i)
      offset += message_stride(read_at<MessageHeader>(record.body, offset));
  }
  return bytes + (gathered_.size() - gathered_before) * sizeof(DedupMark);
}

// A message that is gone, or lies elsewhere by now: if this segment is where its deduplication id
// is told, that is told again.
void Cleaner::gather_id(const Partition& partition, const std::byte* message) {
  if (partition.dedup().size() == 0) return;
  // In either scope, as it was when the message came.
  for (const bool by_group : {false, true}) {
    const auto id = dedup_key(state_.names(), properties_of(message), by_group);
    if (id && partition.dedup().find(*id) != nullptr) gathered_.push_back({partition.queue(), *id});
  }
}

void Cleaner::gather_ids(const storage::Record& record) {
  const auto head = read_head<DedupHead>(record.body);
  if (!head) return;
  for (const DedupMark& mark : items_after<DedupMark, DedupHead>(record.body, head->count))
    gathered_.push_back({QueueId{head->queue_id}, {mark.id_low, mark.id_high}});
}

// Of the ids gathered those that are in force, and told in the segment that is cleaned.
Status Cleaner::tell_gathered() {
  const uint64_t segment = state_.log().segment_of(state_.log().head());
  for (size_t i = 0; i < gathered_.size();) {
    const QueueId queue = gathered_[i].queue;
    Partition* partition = state_.find(queue);
    marks_.clear();
    for (; i < gathered_.size() && gathered_[i].queue == queue &&
           marks_.size() < kDedupMarksPerRecordMax;
         ++i) {
      const base::Hash128& id = gathered_[i].id;
      const DedupWindow::Entry* entry =
          partition == nullptr ? nullptr : partition->dedup().find(id);
      if (entry != nullptr && entry->segment == segment)
        marks_.push_back({id.low, id.high, raw(entry->slot), entry->at.value});
    }
    // What is told by then is passed over the next time.
    if (marks_.empty()) continue;
    if (const Status status = tell(*partition, marks_); !status) return status;
  }
  gathered_.clear();
  return {};
}

// Together, or one by one where the room that is left takes no more: for that there always is some.
Status Cleaner::tell(Partition& partition, std::span<const DedupMark> marks) {
  if (state_.tell_dedup(partition, marks)) return {};
  for (const DedupMark& mark : marks)
    if (const Status status = state_.tell_dedup(partition, {&mark, 1}); !status) return status;
  return {};
}

void Cleaner::free_head() {
  storage::Log& log = state_.log();
  if (!walked_ || log.fenced() || log.end() != log.written()) return;
  MR_CHECK_DEEP(state_.accounts_hold());
  // All that could be read there is dead or carried: what still counts went bad.
  if (log.live_bytes(log.segment_of(log.head())) != 0) return log.fence_corrupt(log.head());
  base::crash_here("cleaning-not-freed");
  log.free_head();
  base::crash_here("cleaning-freed");
  walking_ = walked_ = false;
}

}  // namespace millrace::engine
