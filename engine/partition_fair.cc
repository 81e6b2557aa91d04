// The part of Partition for standard queues with messages that name a group: a tenant each.
#include "engine/message_names.h"
#include "engine/partition.h"

namespace millrace::engine {

uint32_t Partition::choose_fairly(const storage::Log& log, uint32_t messages_max,
                                  uint32_t bytes_max, std::vector<SlotRun>* runs) const {
  const size_t first_run = runs->size();
  uint32_t chosen = 0;
  uint64_t bytes = 0;
  fair_->begin(visible_end_, leased_);
  while (chosen < messages_max) {
    const auto slot = fair_->next();
    if (!slot) break;
    // What can't be read is chosen: whoever leases it finds out.
    const auto message = message_at(log, index_->position(*slot));
    if (message) bytes += message_stride(message->header);
    if (bytes > bytes_max && chosen > 0) break;
    push_run(runs, first_run, *slot, 1);
    ++chosen;
  }
  return chosen;
}

uint32_t Partition::choose_oldest(const storage::Log& log, uint32_t messages_max,
                                  uint32_t bytes_max, std::vector<SlotRun>* runs) const {
  if (fair_ == nullptr) return choose(log, messages_max, bytes_max, runs);
  const size_t first_run = runs->size();
  uint32_t chosen = 0;
  uint64_t bytes = 0;
  for (auto slot = next_ready(Slot{0}, visible_end_); slot && chosen < messages_max;
       slot = next_ready(*slot + 1, visible_end_)) {
    const auto message = message_at(log, index_->position(*slot));
    if (message) bytes += message_stride(message->header);
    if (bytes > bytes_max && chosen > 0) break;
    push_run(runs, first_run, *slot, 1);
    ++chosen;
  }
  return chosen;
}

std::optional<Slot> Partition::next_ready(Slot from, Slot below) const {
  if (fair_ == nullptr) return index_->next_ready(from, below);
  for (auto slot = index_->next_live(from); slot && *slot < below;
       slot = index_->next_live(*slot + 1))
    if (index_->timer(*slot) == kNoTimer) return slot;
  return std::nullopt;
}

// Of one that is ready if it has no timer, and marked so.
void Partition::join_tenant(const PartitionContext& context, Slot slot, const std::byte* message) {
  if (!keeps_groups_ && named_groups_) return;  // find_groups() will
  const auto group = find_property(properties_of(message), PropertyTag::group);
  if (!group) return;
  if (!keeps_groups_) {
    named_groups_ = true;
    return;
  }
  if (fair_ == nullptr) fair_ = std::make_unique<FairGroups>(*index_);
  const TimerId timer = index_->timer(slot);
  std::optional<TimerKind> hidden;
  if (timer != kNoTimer) hidden = context.timers.target(timer).kind;
  fair_->join(slot, context.names.of(*group), hidden);
}

// Messages of a queue that none names a group in are not looked at.
void Partition::find_tenants(const PartitionContext& context) {
  if (!named_groups_) return;
  named_groups_ = false;
  for (auto slot = index_->next_live(Slot{0}); slot; slot = index_->next_live(*slot + 1)) {
    index_->set_ready(*slot, index_->timer(*slot) == kNoTimer);
    // Replay has just verified them; what changed since is fenced when it is leased.
    const auto message = message_at(context.log, index_->position(*slot));
    if (message) join_tenant(context, *slot, message->at);
  }
}

}  // namespace millrace::engine
