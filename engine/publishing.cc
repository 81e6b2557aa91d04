// Publishing: the part of ShardState for messages that are in several queues.
//
// A publish is one record: the messages once, and for each queue the slots they have there. So a
// message is in all of its queues or in none, whatever happens. Each queue's part refers to the one
// place; what lies there is alive until the last queue has let go of it (SharedMessages), and is
// carried with all the references it still has.
//
// What differs from copy to copy - the subscription in an envelope's link - is not in the message
// but beside the reference, and is put in its place when a copy is taken out.
#include <algorithm>
#include <array>
#include <bit>

#include "base/each_bit.h"
#include "engine/limits.h"
#include "engine/shard_state.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

constexpr uint64_t kRecordHeader = sizeof(storage::RecordHeader);

bool holds(const SharedReference& reference, uint64_t slot) {
  return slot == reference.slot;
}

// The stamp of a slot; null: it is not among the entries behind the head, which has `before` bytes
// with them. (Bytes that changed on the disk may count more than there are.)
template <class Entry, class Head>
const std::byte* find_stamp(const std::byte* body, uint64_t before, uint32_t Head::*count,
                            uint32_t queue, uint64_t slot) {
  const uint64_t room = (before - sizeof(Head)) / sizeof(Entry);
  const std::span<const Entry> entries(
      reinterpret_cast<const Entry*>(body + sizeof(Head)),
      std::min<uint64_t>(read_at<Head>({body, sizeof(Head)}).*count, room));
  auto at = std::lower_bound(entries.begin(), entries.end(), queue,
                             [](const Entry& e, uint32_t id) { return e.queue_id < id; });
  for (; at != entries.end() && at->queue_id == queue; ++at)
    if (holds(*at, slot)) return reinterpret_cast<const std::byte*>(at->stamp);
  return nullptr;
}

}  // namespace

// Where each message of a publish record lies in its body.
void ShardState::find_published(Bytes body, const PublishHead& head) {
  published_.clear();
  size_t offset = sizeof head + uint64_t{head.target_count} * sizeof(PublishTarget);
  for (uint32_t i = 0; i < head.message_count; ++i) {
    offset += sizeof(SharedHead);
    published_.push_back(static_cast<uint32_t>(offset));
    offset += message_stride(read_at<MessageHeader>(body, offset));
  }
}

Result<Position> ShardState::publish(const PublishRequest& request, std::span<const Target> targets,
                                     TimeMs now) {
  targets_.clear();
  std::array<uint32_t, kSharedMessagesMax> references{};
  uint64_t delayed = 0;
  for (const Target& target : targets) {
    const PublishCopy& copy = *target.copy;
    const bool same_queue = !targets_.empty() && targets_.back().queue_id == raw(copy.queue);
    const uint64_t slot = same_queue ? targets_.back().first_slot + slots_of(targets_.back())
                                     : raw(find(copy.queue)->slot_end());
    PublishTarget to{
        raw(copy.queue), target.delay_ms, slot, copy.messages, raw(copy.subscription), 0, {}};
    std::copy(copy.stamp.begin(), copy.stamp.end(), std::begin(to.stamp));
    targets_.push_back(to);
    base::each_bit(copy.messages, [&](size_t i) { ++references[i]; });
    if (target.delay_ms != 0) delayed += slots_of(to);
  }
  if (delayed > 0 && timers_.size() + delayed > kTimersPerShardMax) return fail(Errc::over_limit);
  const PublishHead head{
      raw(request.topic), static_cast<uint32_t>(targets_.size()), request.count, 0, now.value, 0};
  const Bytes table = bytes_of(std::span<const PublishTarget>(targets_));
  const uint64_t body_bytes =
      sizeof head + table.size() + request.count * sizeof(SharedHead) + request.messages.size();
  if (body_bytes > log_.body_bytes_max()) return fail(Errc::batch_too_large);
  // Each message may have to be carried by itself, with all its references.
  uint64_t carried = 0;
  for (uint32_t i = 0; i < request.count; ++i)
    carried += kSharedApartBytes + references[i] * kReferenceBytes;
  carried += request.messages.size() + targets_.size() * sizeof(SlotEnd);
  std::byte* body = nullptr;
  const auto position =
      log_.begin_record(raw(RecordKind::publish), body_bytes, storage::Space::grows, &body,
                        carried - std::min(carried, kRecordHeader + body_bytes));
  if (!position) return fail(position.error());
  std::memcpy(body, &head, sizeof head);
  std::memcpy(body + sizeof head, table.data(), table.size());
  size_t to = sizeof head + table.size();
  size_t from = 0;
  for (uint32_t i = 0; i < request.count; ++i) {
    const SharedHead shared{references[i], request.stamps.empty() ? 0 : request.stamps[i]};
    std::memcpy(body + to, &shared, sizeof shared);
    to += sizeof shared;
    auto header = read_at<MessageHeader>(request.messages, from);
    const uint64_t stride = message_stride(header);
    std::memcpy(body + to, request.messages.data() + from, stride);
    header.record_offset = static_cast<uint32_t>(to) | kSharedMessage;
    header.delay_ms = 0;
    std::memcpy(body + to, &header, sizeof header);
    to += stride;
    from += stride;
  }
  last_end_ = *position + storage::record_stride(body_bytes);
  apply_publish(head, {body, body_bytes}, *position);
  log_.seal_record();
  // Those of one queue lie together.
  for (size_t i = 0; i < targets_.size(); ++i) {
    Partition& partition = *find(QueueId{targets_[i].queue_id});
    partition.tally.sent += slots_of(targets_[i]);
    if (i + 1 < targets_.size() && targets_[i + 1].queue_id == targets_[i].queue_id) continue;
    become_visible(partition, last_end_, targets[i].durable);
  }
  return last_end_;
}

void ShardState::apply_publish(const PublishHead& head, Bytes body, Position record) {
  find_published(body, head);
  const Position at = record + kRecordHeader;
  std::array<uint32_t, kSharedMessagesMax> came{};
  for (const PublishTarget& target :
       items_after<PublishTarget, PublishHead>(body, head.target_count)) {
    note_queue(target.queue_id);
    Partition* partition = find(QueueId{target.queue_id});
    if (partition == nullptr) continue;  // deleted since
    base::each_bit(partition->apply_publish(context(), head, target, body, at, published_),
                   [&](size_t i) { ++came[i]; });
    told(*partition, record);
  }
  for (size_t i = 0; i < published_.size(); ++i) {
    const uint32_t offset = published_[i];
    if (read_at<SharedHead>(body, offset - sizeof(SharedHead)).references > 1)
      shared_.add(log_, at + offset, read_at<MessageHeader>(body, offset), came[i]);
  }
}

void ShardState::apply_carry_shared(const CarrySharedHead& head, Bytes body, Position record) {
  const size_t offset =
      sizeof head + uint64_t{head.reference_count} * sizeof(SharedReference) + sizeof(SharedHead);
  const auto shared = read_at<SharedHead>(body, offset - sizeof(SharedHead));
  const Position at = record + (kRecordHeader + offset);
  uint32_t here = 0;
  for (const SharedReference& reference :
       items_after<SharedReference, CarrySharedHead>(body, head.reference_count)) {
    note_queue(reference.queue_id);
    Partition* partition = find(QueueId{reference.queue_id});
    if (partition != nullptr &&
        partition->apply_carry(context(), reference, shared, body.data() + offset, at))
      ++here;
  }
  if (shared.references > 1) shared_.add(log_, at, read_at<MessageHeader>(body, offset), here);
}

// --- windows of FIFO topics ---

Status ShardState::note_published(Partition& window, std::span<const DedupMark> marks, Slot end,
                                  TimeMs now) {
  const auto write = [&](RecordKind kind, Bytes head, Bytes items, uint64_t spread) {
    std::byte* body = nullptr;
    const auto position = log_.begin_record(raw(kind), head.size() + items.size(),
                                            storage::Space::grows, &body, spread);
    if (!position) return position;
    std::memcpy(body, head.data(), head.size());
    if (!items.empty()) std::memcpy(body + head.size(), items.data(), items.size());
    log_.seal_record();
    last_end_ = *position + storage::record_stride(head.size() + items.size());
    return position;
  };
  (void)window.expire_dedup(log_, now, static_cast<uint32_t>(2 * marks.size()));
  if (window.dedup().size() + marks.size() > kDedupIdsPerPartitionMax)
    return fail(Errc::over_limit);
  // First, so that no number is given out again though ids were not noted.
  if (end > window.slot_end()) {
    const SlotEnd body{raw(window.queue()), 0, raw(end)};
    const auto position = write(RecordKind::slot_end, bytes_of(body), {}, 0);
    if (!position) return fail(position.error());
    window.apply_slot_end(end);
    told(window, *position);
  }
  if (marks.empty()) return {};
  const DedupHead head{raw(window.queue()), static_cast<uint32_t>(marks.size())};
  const auto position = write(RecordKind::dedup, bytes_of(head), bytes_of(marks),
                              marks.size() * DedupWindow::kLiveBytesApart);
  if (!position) return fail(position.error());
  window.apply_dedup(context(), marks, *position);
  dedup_due_ = std::min(dedup_due_, now + DedupWindow::kWindowMs);
  return {};
}

// --- cleaning ---

void ShardState::gather_reference(uint32_t queue, uint64_t slot, Position from,
                                  const uint8_t* stamp) {
  Partition* partition = find(QueueId{queue});
  if (partition == nullptr) return;
  const SlotIndex& index = partition->index();
  if (!index.live(Slot{slot}) || index.position(Slot{slot}) != from) return;
  const auto status = partition->status(Slot{slot}, timers_);
  const ReceivedTimes received = index.received(Slot{slot});
  SharedReference reference{queue,
                            index.receive_count(Slot{slot}),
                            slot,
                            status.due.value,
                            static_cast<uint8_t>(status.state),
                            seconds_up(received.last_ms),
                            received.first_ms,
                            {}};
  std::copy(stamp, stamp + sizeof reference.stamp, reference.stamp);
  references_.push_back(reference);
}

// Those in references_, of the message there.
Result<uint64_t> ShardState::carry_gathered(Position from) {
  if (references_.empty()) return uint64_t{0};
  const auto message = message_at(log_, from);
  if (!message || !message->published()) {
    log_.fence_corrupt(from);
    return fail(Errc::shard_fenced);
  }
  const CarrySharedHead head{static_cast<uint32_t>(references_.size()), 0, 0,
                             message->sent_at().value, 0};
  const Bytes table = bytes_of(std::span<const SharedReference>(references_));
  const SharedHead shared{head.reference_count, message->shared_head().stamp_at};
  MessageHeader header = message->header;
  header.record_offset =
      static_cast<uint32_t>(sizeof head + table.size() + sizeof shared) | kSharedMessage;
  carried_run_.clear();
  for (const Bytes part :
       {bytes_of(head), table, bytes_of(shared), bytes_of(header), message->content()})
    carried_run_.insert(carried_run_.end(), part.begin(), part.end());
  const auto position = append(RecordKind::carry_shared, carried_run_, {});
  if (!position) return fail(position.error());
  apply_carry_shared(head, carried_run_, *position);
  return uint64_t{carried_run_.size()};
}

Result<uint64_t> ShardState::carry_published(const storage::Record& record) {
  const Bytes body = record.body;
  const Position at = record.position + kRecordHeader;
  uint64_t bytes = 0;
  if (static_cast<RecordKind>(record.kind) == RecordKind::carry_shared) {
    const auto head = read_at<CarrySharedHead>(body);
    references_.clear();
    const Position from = at + (sizeof head + sizeof(SharedHead) +
                                uint64_t{head.reference_count} * sizeof(SharedReference));
    for (const SharedReference& reference :
         items_after<SharedReference, CarrySharedHead>(body, head.reference_count))
      gather_reference(reference.queue_id, reference.slot, from, reference.stamp);
    return carry_gathered(from);
  }
  const auto head = read_at<PublishHead>(body);
  find_published(body, head);
  const auto targets = items_after<PublishTarget, PublishHead>(body, head.target_count);
  for (uint32_t i = 0; i < head.message_count; ++i) {
    const Position from = at + published_[i];
    const uint64_t bit = uint64_t{1} << i;
    references_.clear();
    for (const PublishTarget& target : targets)
      if ((target.messages & bit) != 0)
        gather_reference(
            target.queue_id,
            target.first_slot + static_cast<uint64_t>(std::popcount(target.messages & (bit - 1))),
            from, target.stamp);
    const auto carried = carry_gathered(from);
    if (!carried) return carried;
    bytes += *carried;
  }
  return bytes;
}

// --- copies ---

Stamp ShardState::stamp_of(QueueId queue, Slot slot, const StoredMessage& message) const {
  const uint32_t at = message.shared_head().stamp_at;
  if (at == 0 || at + uint64_t{kUuidTextBytes} > message.header.body_bytes) return {};
  const std::byte* body = message.at - message.offset();
  storage::RecordHeader record;
  std::memcpy(&record, body - sizeof record, sizeof record);
  const uint64_t before = message.offset() - sizeof(SharedHead);
  const std::byte* stamp =
      static_cast<RecordKind>(record.kind) == RecordKind::publish
          ? find_stamp<PublishTarget>(body, before, &PublishHead::target_count, raw(queue),
                                      raw(slot))
          : find_stamp<SharedReference>(body, before, &CarrySharedHead::reference_count, raw(queue),
                                        raw(slot));
  return {stamp, stamp != nullptr ? at : 0};
}

}  // namespace millrace::engine
