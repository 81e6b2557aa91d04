// The checkpoint of a shard: ShardState::save() and load(), and the part of each partition.
//
// All fixed-width, little endian, but for the slot index's own bytes:
//   u64 position of the log's head   u32 partitions   u32 version, 3
//   each: u32 queue id   u32 timers   u64 slot_end_told   u32 segments   u32 deduplication ids
//         u32 flags: 1 messages are not in the order they were sent, 2 some of a standard queue
//         name a group   u32 live messages that other queues have too
//         segments x { u64 segment, u64 live bytes }   timers x { u64 slot << 1 | delay, i64 due }
//         ids, oldest first, x { u64 u64 id, u64 slot, i64 at, u64 segment }
//         SlotIndex::save()
//   messages that several queues have: u64 how many, x { u64 position, u32 references, u32 bytes }
#include <algorithm>
#include <array>
#include <cstring>

#include "engine/record_check.h"
#include "engine/shard_state.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kNotInOrder = 1;
constexpr uint32_t kNameGroups = 2;
// Far more than carrying a segment's messages can take: sums of these do not overflow.
constexpr uint64_t kLiveBytesPerSegmentMax = uint64_t{1} << 40;

struct StateHead {
  uint64_t log_head;
  uint32_t partitions;
  uint32_t version;
};
struct PartitionHead {
  uint32_t queue_id;
  uint32_t timers;
  uint64_t slot_end_told;
  uint32_t segments;
  uint32_t dedup_ids;
  uint32_t flags;
  uint32_t shared;
};
struct SavedShared {
  uint64_t position;
  uint32_t references;
  uint32_t bytes;
};
struct SavedId {
  uint64_t low;
  uint64_t high;
  uint64_t slot;
  int64_t at_ms;
  uint64_t segment;
};
struct SavedTimer {
  uint64_t slot_kind;
  int64_t due_ms;
};

template <class T>
void put(std::vector<std::byte>& out, const T& value) {
  const Bytes bytes = bytes_of(value);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class T>
bool take(Bytes& in, T* value) {
  if (in.size() < sizeof(T)) return false;
  *value = read_at<T>(in);
  in = in.subspan(sizeof(T));
  return true;
}

}  // namespace

void Partition::save(const TimerWheel& timers, std::vector<std::byte>& out) const {
  const uint32_t flags =
      (in_order_ ? 0 : kNotInOrder) | (fair_ != nullptr && fair_->groups() > 0 ? kNameGroups : 0);
  put(out,
      PartitionHead{raw(queue_), static_cast<uint32_t>(leased_ + delayed_), slot_end_told.value,
                    static_cast<uint32_t>(bytes_.entries().size()),
                    static_cast<uint32_t>(dedup_.size()), flags, static_cast<uint32_t>(shared_)});
  for (const SegmentBytes::Entry& entry : bytes_.entries())
    put(out, entry);
  index_->for_each_live([&](Slot slot) {
    const TimerId timer = index_->timer(slot);
    if (timer == kNoTimer) return;
    const bool delay = timers.target(timer).kind == TimerKind::delay;
    put(out, SavedTimer{raw(slot) << 1 | delay, timers.deadline(timer).value});
  });
  dedup_.for_each_in_order([&](const base::Hash128& id, const DedupWindow::Entry& entry) {
    put(out, SavedId{id.low, id.high, raw(entry.slot), entry.at.value, entry.segment});
  });
  index_->save(out);
}

bool SurvivingBytes::holds(uint64_t position) const {
  // Messages lie in about the order that they are asked about.
  if (last_ == nullptr || position < last_->begin || position >= last_->end) {
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), position,
                         [](uint64_t at, const storage::ByteRange& r) { return at < r.begin; });
    if (after == ranges_.begin() || position >= std::prev(after)->end) return false;
    last_ = &*std::prev(after);
  }
  return position + sizeof(MessageHeader) <= last_->end;
}

bool SurvivingBytes::holds_segment(uint64_t sequence) const {
  return sequence <= UINT64_MAX / segment_bytes_ - 1 &&
         holds(sequence * segment_bytes_ + storage::kSegmentDataOffset);
}

millrace::Status Partition::load(TimerWheel& timers, const SurvivingBytes& surviving, Bytes& in) {
  PartitionHead head;
  if (!take(in, &head)) return fail(Errc::corrupt);
  if (head.slot_end_told != 0 && !surviving.holds(head.slot_end_told)) return fail(Errc::corrupt);
  slot_end_told = Position{head.slot_end_told};
  for (uint32_t i = 0; i < head.segments; ++i) {
    SegmentBytes::Entry entry;
    if (!take(in, &entry) || !surviving.holds_segment(entry.segment) ||
        entry.bytes > kLiveBytesPerSegmentMax)
      return fail(Errc::corrupt);
    bytes_.add(entry.segment, entry.bytes);
  }
  if (in.size() / sizeof(SavedTimer) < head.timers) return fail(Errc::corrupt);
  const Bytes saved_timers = in.first(head.timers * sizeof(SavedTimer));
  in = in.subspan(saved_timers.size());
  for (uint32_t i = 0; i < head.dedup_ids; ++i) {
    SavedId id;
    if (!take(in, &id) || !surviving.holds_segment(id.segment) || id.slot >= kSlotsEnd ||
        id.at_ms < 0 || id.at_ms >= kRecordTimeMsMax)
      return fail(Errc::corrupt);
    // Its bytes are in the segments' sums.
    dedup_.put({id.low, id.high}, {Slot{id.slot}, TimeMs{id.at_ms}, id.segment},
               [](uint64_t, int) {});
  }
  if (dedup_.size() != head.dedup_ids) return fail(Errc::corrupt);
  in_order_ = (head.flags & kNotInOrder) == 0;
  named_groups_ = (head.flags & kNameGroups) != 0;
  if (const auto loaded = index_->load(in); !loaded) return loaded;
  if (raw(index_->end()) > kSlotsEnd) return fail(Errc::corrupt);
  if (head.shared > index_->live_count()) return fail(Errc::corrupt);
  shared_ = head.shared;
  bool all_there = true;
  index_->for_each_live(
      [&](Slot slot) { all_there &= surviving.holds(index_->position(slot).value); });
  if (!all_there) return fail(Errc::corrupt);
  for (uint32_t i = 0; i < head.timers; ++i) {
    const auto saved = read_at<SavedTimer>(saved_timers, i * sizeof(SavedTimer));
    const Slot slot{saved.slot_kind >> 1};
    if (!index_->live(slot) || index_->ready(slot) || index_->timer(slot) != kNoTimer)
      return fail(Errc::corrupt);
    const TimerKind kind = (saved.slot_kind & 1) != 0 ? TimerKind::delay : TimerKind::lease;
    index_->set_timer(slot, timers.start(TimeMs{saved.due_ms}, {raw(queue_), kind, slot}));
    ++(kind == TimerKind::lease ? leased_ : delayed_);
  }
  // Every message that is not ready has a timer, or it would wait for ever. With groups it may be
  // behind others of its own; find_groups() makes each ready that is to be.
  if (!kind_.fifo && !named_groups_ &&
      index_->ready_count() + leased_ + delayed_ != index_->live_count())
    return fail(Errc::corrupt);
  return {};
}

void Partition::account(storage::Log& log) const {
  for (const SegmentBytes::Entry& entry : bytes_.entries())
    log.add_live(Position{entry.segment * log.segment_bytes()}, entry.bytes);
  log.add_apart(apart_bytes());
  if (slot_end_told != Position{}) log.add_live(slot_end_told, sizeof(SlotEnd));
}

std::vector<std::byte> ShardState::save() const {
  std::vector<std::byte> out;
  put(out, StateHead{log_.head().value, static_cast<uint32_t>(partitions_.size()), kVersion});
  for (const auto& [id, partition] : partitions_)
    partition->save(timers_, out);
  put(out, uint64_t{shared_.size()});
  shared_.for_each([&](Position position, uint32_t references, uint32_t bytes) {
    put(out, SavedShared{position.value, references, bytes});
  });
  return out;
}

Status ShardState::load_shared(const SurvivingBytes& surviving, Bytes& in, SharedMessages* shared) {
  uint64_t count = 0;
  if (!take(in, &count) || in.size() / sizeof(SavedShared) < count) return fail(Errc::corrupt);
  for (uint64_t i = 0; i < count; ++i) {
    SavedShared saved;
    if (!take(in, &saved) || !surviving.holds(saved.position) || saved.references == 0)
      return fail(Errc::corrupt);
    shared->put(Position{saved.position}, saved.references, saved.bytes);
  }
  return shared->size() == count ? Status() : fail(Errc::corrupt);
}

Status ShardState::load(Bytes bytes) {
  StateHead head;
  if (!take(bytes, &head) || head.version != kVersion || head.log_head != log_.head().value)
    return fail(Errc::corrupt);
  const SurvivingBytes surviving(log_.surviving(), log_.segment_bytes());
  std::unordered_map<QueueId, std::unique_ptr<Partition>> loaded;
  Status status;
  for (uint32_t i = 0; status && i < head.partitions; ++i) {
    if (bytes.size() < sizeof(PartitionHead)) {
      status = fail(Errc::corrupt);
      break;
    }
    const QueueId queue{read_at<PartitionHead>(bytes).queue_id};
    note_queue(raw(queue));
    if (loaded.contains(queue)) {
      status = fail(Errc::corrupt);
      break;
    }
    const Partition* known = find(queue);
    auto partition =
        std::make_unique<Partition>(queue, known != nullptr ? known->kind() : Partition::Kind{});
    status = partition->load(timers_, surviving, bytes);
    loaded[queue] = std::move(partition);
  }
  SharedMessages shared;
  if (status) status = load_shared(surviving, bytes, &shared);
  if (status && !bytes.empty()) status = fail(Errc::corrupt);
  for (auto& [queue, partition] : loaded) {
    const auto known = partitions_.find(queue);
    if (status && known != partitions_.end()) {
      partition->interested_shards = known->second->interested_shards;
      known->second = std::move(partition);
      unaccounted_ = true;
    } else {
      // Of a queue deleted since, or of a bad checkpoint.
      partition->forget_references(&shared);
      partition->forget_timers(timers_);
    }
  }
  if (status) shared_ = std::move(shared);
  last_found_ = nullptr;
  return status;
}

void ShardState::account_checkpoint() {
  if (!unaccounted_) return;
  unaccounted_ = false;
  for (const auto& [id, partition] : partitions_)
    partition->account(log_);
  shared_.account(log_);
}

}  // namespace millrace::engine
