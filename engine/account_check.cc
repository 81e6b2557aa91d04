// ShardState::accounts_hold(): the log's live bytes, counted again from what is alive.
#include <map>

#include "base/assert.h"
#include "engine/shard_state.h"
#include "storage/format.h"

namespace millrace::engine {

bool Partition::count_live(const storage::Log& log, std::map<uint64_t, uint64_t>& sums) const {
  std::map<uint64_t, uint64_t> own;
  Position verified{};
  bool readable = true;
  index_->for_each_live([&](Slot slot) {
    const Position position = index_->position(slot);
    const auto message = message_at(log, position);
    readable = readable && message;
    if (!readable) return;
    const Position record{position.value - message->offset() - sizeof(storage::RecordHeader)};
    readable = record == verified || log.read_record(record);
    verified = record;
    own[log.segment_of(position)] += message->is_shared() ? kReferenceBytes
                                     : message->published()
                                         ? kReferenceBytes + shared_cost(message->header)
                                         : live_cost(message->header);
  });
  if (!readable) return false;
  dedup_.for_each(
      [&](const DedupWindow::Entry& entry) { own[entry.segment] += DedupWindow::kLiveBytes; });
  MR_ASSERT(own.size() == bytes_.entries().size());
  for (const SegmentBytes::Entry& entry : bytes_.entries())
    MR_ASSERT(own[entry.segment] == entry.bytes);
  for (const auto& [segment, bytes] : own)
    sums[segment] += bytes;
  if (slot_end_told != Position{}) sums[log.segment_of(slot_end_told)] += sizeof(SlotEnd);
  return true;
}

bool ShardState::accounts_hold() const {
  // What is only gathered can't be read; what a failed sync covered may have changed.
  if (log_.end() != log_.written() || log_.fenced()) return true;
  std::map<uint64_t, uint64_t> sums;
  uint64_t apart = 0;
  for (const auto& [id, partition] : partitions_) {
    if (!partition->count_live(log_, sums)) return true;
    apart += partition->apart_bytes();
  }
  move_ids_.for_each_position([&](Position told) {
    sums[log_.segment_of(told)] += MoveIds::kLiveBytes;
    apart += MoveIds::kLiveBytesApart;
  });
  shared_.for_each([&](Position position, uint32_t, uint32_t bytes) {
    sums[log_.segment_of(position)] += bytes;
    apart += kSharedApartBytes;
  });
  uint64_t total = 0;
  for (const auto& [segment, bytes] : sums) {
    if (log_.live_bytes(segment) != bytes) return false;
    total += bytes;
  }
  return log_.live_bytes() + apart == total;
}

}  // namespace millrace::engine
