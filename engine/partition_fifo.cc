// The half of Partition that only FIFO queues use: groups and deduplication.
#include "base/planted.h"
#include "engine/message_names.h"
#include "engine/partition.h"

namespace millrace::engine {

// --- groups ---

// As many as may be of the group whose first message is the oldest, then of the next. A group ends
// at its first message that is hidden or not visible yet.
uint32_t Partition::choose_from_groups(const storage::Log& log, uint32_t messages_max,
                                       uint32_t bytes_max, std::vector<SlotRun>* runs) const {
  const size_t first_run = runs->size();
  uint32_t chosen = 0;
  uint64_t bytes = 0;
  for (auto head = index_->next_ready(Slot{0}, visible_end_); head && chosen < messages_max;
       head = index_->next_ready(*head + 1, visible_end_)) {
    for (auto slot = head; slot && *slot < visible_end_ && chosen < messages_max;
         slot = groups_->next(*slot)) {
      if (index_->timer(*slot) != kNoTimer) break;
      // What can't be read is chosen: whoever leases it finds out.
      const auto message = message_at(log, index_->position(*slot));
      if (message) bytes += message_stride(message->header);
      if (bytes > bytes_max && chosen > 0) return chosen;
      push_run(runs, first_run, *slot, 1);
      ++chosen;
    }
  }
  return chosen;
}

void Partition::make_ready(Slot slot) {
  if (fair_ != nullptr && fair_->show(slot)) return;
  if (groups_ != nullptr && !groups_->is_head(slot) && !base::planted(base::Bug::group_overtaken))
    return;
  index_->set_ready(slot, true);
}

void Partition::erase(const PartitionContext& context, SlotIndex::Entry at) {
  const Slot slot = at.slot();
  stop_timer(context, at);
  index_->erase(at);
  if (fair_ != nullptr) fair_->leave(slot);
  if (groups_ == nullptr) return;
  const auto head = groups_->remove(slot);
  if (head && index_->timer(*head) == kNoTimer) index_->set_ready(*head, true);
}

void Partition::find_groups(const PartitionContext& context) {
  if (keeps_groups_) return;
  keeps_groups_ = true;
  if (!kind_.fifo) return find_tenants(context);
  groups_ = std::make_unique<GroupIndex>();
  for (auto slot = index_->next_live(Slot{0}); slot; slot = index_->next_live(*slot + 1)) {
    // Replay has just verified them; what changed since is fenced when it is leased.
    const auto message = message_at(context.log, index_->position(*slot));
    const Bytes properties =
        message ? message->content().first(message->header.properties_bytes) : Bytes{};
    const bool head = groups_->append(*slot, group_key(context.names, properties));
    index_->set_ready(*slot, head && index_->timer(*slot) == kNoTimer);
  }
}

// Those of a run that was just enqueued; where each lies is in the scratch.
void Partition::name_messages(const PartitionContext& context, const EnqueueHead& head, Bytes run,
                              Position run_position, std::span<const MessageNames> names) {
  auto& scratch = context.scratch;
  const size_t count = scratch.offsets.size();
  if (names.size() != count) {
    scratch.names.clear();
    for (const uint32_t offset : scratch.offsets)
      scratch.names.push_back(
          names_of(context.names, properties_of(run.data() + offset), kind_.dedup_by_group));
    names = scratch.names;
  }
  const TimeMs now{head.sent_at_ms};
  (void)expire_dedup(context.log, now, static_cast<uint32_t>(2 * count));
  for (size_t i = 0; i < count; ++i)
    join_group(Slot{head.first_slot + i}, names[i].group);
  // One right after the other, as each waits for memory.
  DedupChange change{context.log.segment_of(run_position)};
  for (size_t i = 0; i < count; ++i)
    if (const auto& id = names[i].id)
      remember(context, {id->low, id->high, head.first_slot + i, now.value}, run_position, &change);
  account_dedup(context.log, change.segment, change.entries);
}

void Partition::join_group(Slot slot, const GroupKey& group) {
  if (groups_ == nullptr) return;  // find_groups() will
  const bool head = groups_->append(slot, group);
  if (head && index_->timer(slot) == kNoTimer) index_->set_ready(slot, true);
}

// --- deduplication ---

// Of so many entries, which come or (below 0) go.
void Partition::account_dedup(storage::Log& log, uint64_t segment, int entries) {
  const Position position{segment * log.segment_bytes()};
  const auto count = static_cast<uint64_t>(entries < 0 ? -entries : entries);
  const uint64_t bytes = count * DedupWindow::kLiveBytes;
  if (entries > 0) {
    log.add_live(position, bytes);
    log.add_apart(count * DedupWindow::kLiveBytesApart);
    bytes_.add(segment, bytes);
  } else if (entries < 0) {
    // As with messages: less than was added means that the bytes below changed.
    if (bytes_.remove(segment, bytes)) {
      log.remove_live(position, bytes);
      log.remove_apart(count * DedupWindow::kLiveBytesApart);
    } else {
      log.fence_corrupt(position);
    }
  }
}

void Partition::remember(const PartitionContext& context, const DedupMark& mark, Position told_at,
                         DedupChange* change) {
  storage::Log& log = context.log;
  dedup_.put({mark.id_low, mark.id_high},
             {Slot{mark.slot}, TimeMs{mark.at_ms}, log.segment_of(told_at)},
             [&](uint64_t segment, int entries) {
               if (segment == change->segment)
                 change->entries += entries;
               else
                 account_dedup(log, segment, entries);
             });
}

// Of a carried message. While it runs, an id that is forgotten is over, and stays so; in replay the
// carry may be the first that is heard of it.
void Partition::remember_again(const PartitionContext& context, Slot slot, TimeMs at,
                               const std::byte* message, Position told_at) {
  if (groups_ != nullptr && dedup_.size() == 0) return;
  const auto id = dedup_key(context.names, properties_of(message), kind_.dedup_by_group);
  if (!id) return;
  if (groups_ == nullptr || dedup_.find(*id) != nullptr) {
    const DedupMark mark{id->low, id->high, raw(slot), at.value};
    apply_dedup(context, {&mark, 1}, told_at);
  }
  // It may have come in the other scope.
  const auto other = dedup_key(context.names, properties_of(message), !kind_.dedup_by_group);
  const DedupWindow::Entry* entry = dedup_.find(*other);
  if (entry == nullptr || entry->slot != slot) return;
  const DedupMark mark{other->low, other->high, raw(slot), at.value};
  apply_dedup(context, {&mark, 1}, told_at);
}

void Partition::apply_dedup(const PartitionContext& context, std::span<const DedupMark> marks,
                            Position told_at) {
  DedupChange change{context.log.segment_of(told_at)};
  for (const DedupMark& mark : marks)
    remember(context, mark, told_at, &change);
  account_dedup(context.log, change.segment, change.entries);
}

bool Partition::expire_dedup(storage::Log& log, TimeMs now, uint32_t max) {
  // They came in order, and so those of one segment lie together.
  DedupChange change;
  const bool more = dedup_.expire(now, max, [&](uint64_t segment, int entries) {
    if (segment != change.segment) {
      account_dedup(log, change.segment, change.entries);
      change = {segment};
    }
    change.entries += entries;
  });
  account_dedup(log, change.segment, change.entries);
  return more;
}

}  // namespace millrace::engine
