#include "engine/waiters.h"

#include "base/assert.h"

namespace millrace::engine {

Result<WaiterId> Waiters::add(const Waiter& waiter, TimeMs due_at) {
  if (size_ >= kWaitersPerShardMax) return fail(Errc::over_limit);
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slab_.size());
    slab_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Waiter& added = slab_[index];
  added = waiter;
  added.id = WaiterId{next_life_++ << 32 | index};
  ++size_;
  link_line(added);
  const auto [sink, fresh] = sinks_.try_emplace(waiter.to.sink, index);
  added.sink_previous = UINT32_MAX;
  added.sink_next = fresh ? UINT32_MAX : sink->second;
  if (!fresh) slab_[sink->second].sink_previous = index;
  sink->second = index;
  if (waiter.due)
    mark_due(added);
  else if (due_at != kNever)
    added.timer = timers_.start(due_at, {0, TimerKind::lease, Slot{index}});
  return added.id;
}

Waiter* Waiters::find(WaiterId id) {
  const uint32_t index = index_of(id);
  if (id == kNoWaiter || index >= slab_.size() || slab_[index].id != id) return nullptr;
  return &slab_[index];
}

void Waiters::remove(WaiterId id) {
  Waiter* waiter = find(id);
  MR_ASSERT(waiter != nullptr);
  const uint32_t index = index_of(id);
  if (waiter->timer != kNoTimer) timers_.stop(waiter->timer);
  if (waiter->due) {
    auto& due = find_line(waiter->queue)->due;
    slab_[index_of(due.back())].due_place = waiter->due_place;
    due[waiter->due_place] = due.back();
    due.pop_back();
  }
  unlink_line(*waiter);
  if (waiter->sink_next != UINT32_MAX)
    slab_[waiter->sink_next].sink_previous = waiter->sink_previous;
  if (waiter->sink_previous != UINT32_MAX)
    slab_[waiter->sink_previous].sink_next = waiter->sink_next;
  else if (waiter->sink_next != UINT32_MAX)
    sinks_[waiter->to.sink] = waiter->sink_next;
  else
    sinks_.erase(waiter->to.sink);
  *waiter = Waiter{};
  free_.push_back(index);
  --size_;
}

void Waiters::move_to_back(WaiterId id) {
  Waiter& waiter = *find(id);
  unlink_line(waiter);
  link_line(waiter);
}

WaiterLine* Waiters::find_line(QueueId queue) {
  const auto found = lines_.find(queue);
  return found == lines_.end() ? nullptr : &found->second;
}

WaiterLine& Waiters::line(QueueId queue, uint64_t maybe) {
  const auto [found, fresh] = lines_.try_emplace(queue);
  if (fresh) found->second.maybe = maybe;
  return found->second;
}

WaiterId Waiters::find(ReplyTo to) {
  const auto sink = sinks_.find(to.sink);
  for (uint32_t i = sink == sinks_.end() ? UINT32_MAX : sink->second; i != UINT32_MAX;
       i = slab_[i].sink_next)
    if (slab_[i].to.token == to.token) return slab_[i].id;
  return kNoWaiter;
}

WaiterId Waiters::first_of(const ReplySink* sink) {
  const auto found = sinks_.find(sink);
  return found == sinks_.end() ? kNoWaiter : slab_[found->second].id;
}

void Waiters::mark_due(Waiter& waiter) {
  auto& due = find_line(waiter.queue)->due;
  waiter.due = true;
  waiter.due_place = static_cast<uint32_t>(due.size());
  due.push_back(waiter.id);
}

void Waiters::link_line(Waiter& waiter) {
  WaiterLine& line = *find_line(waiter.queue);
  waiter.resting = waiter.standing && waiter.credit == 0;
  WaiterLine::Ends& ends = waiter.resting ? line.resting : line.standing;
  const uint32_t index = index_of(waiter.id);
  waiter.line_previous = ends.last;
  waiter.line_next = UINT32_MAX;
  (ends.last == UINT32_MAX ? ends.first : slab_[ends.last].line_next) = index;
  ends.last = index;
}

void Waiters::unlink_line(Waiter& waiter) {
  WaiterLine& line = *find_line(waiter.queue);
  WaiterLine::Ends& ends = waiter.resting ? line.resting : line.standing;
  (waiter.line_previous == UINT32_MAX ? ends.first : slab_[waiter.line_previous].line_next) =
      waiter.line_next;
  (waiter.line_next == UINT32_MAX ? ends.last : slab_[waiter.line_next].line_previous) =
      waiter.line_previous;
}

}  // namespace millrace::engine
