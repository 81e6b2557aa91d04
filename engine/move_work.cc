#include "engine/move_work.h"

#include <algorithm>

#include "engine/limits.h"

namespace millrace::engine {
namespace {

constexpr uint64_t kOneMessage = 1'000'000'000;

// What the task earns here in a millisecond, in billionths of a message.
uint64_t earned_per_ms(const MovePart& part) {
  return uint64_t{part.rate} * (kOneMessage / 1'000) / part.sharing;
}

}  // namespace

MoveWork::Task* MoveWork::find(uint64_t task) {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(),
                                  [&](const Task& each) { return each.part.task == task; });
  return found == tasks_.end() ? nullptr : &*found;
}

void MoveWork::on_start(const Mail& mail) {
  Task task{.part = mail.move, .source = mail.queue, .credited_at = parts_.now};
  task.part.started = true;
  if (const Partition* source = parts_.state.find(mail.queue)) {
    task.end = source->visible_end();
    task.part.ready = source->counters(parts_.state.log()).ready;
  }
  tell(task);
  tasks_.push_back(std::move(task));
}

void MoveWork::on_share(const Mail& mail) {
  Task* task = find(mail.move.task);
  if (task == nullptr || task->ended) return;
  (void)allowed(*task, 0);  // up to now it earned by its old share
  task->part.sharing = mail.move.sharing;
  task->due = parts_.now;
}

void MoveWork::on_stop(const Mail& mail) {
  if (Task* task = find(mail.move.task); task != nullptr && !task->ended) end(*task, Errc::ok);
}

// How many messages may be moved now, `max` at most.
uint32_t MoveWork::allowed(Task& task, uint32_t max) {
  if (task.part.rate == 0) return max;
  const auto passed = static_cast<uint64_t>(std::max<int64_t>(0, parts_.now - task.credited_at));
  const uint64_t each = earned_per_ms(task.part);
  const uint64_t most = std::max(kOneMessage, each * 1'000);
  task.credit = passed > 1'000 ? most : std::min(most, task.credit + passed * each);
  task.credited_at = parts_.now;
  return static_cast<uint32_t>(std::min<uint64_t>(max, task.credit / kOneMessage));
}

void MoveWork::end(Task& task, Errc error) {
  task.error = error;
  task.ended = true;
  task.through = parts_.state.moved_through();
  task.due = kNever;
}

void MoveWork::tell(Task& task) {
  auto mail = std::make_unique<Mail>();
  mail->kind = MailKind::move_progress;
  mail->queue = task.source;
  mail->error = task.error;
  mail->move = task.part;
  parts_.mailbox.post(ShardId{0}, std::move(mail));
  task.told = task.part.moved;
  task.told_at = parts_.now;
}

void MoveWork::move_some(Task& task, uint32_t* messages, uint32_t* bytes,
                         const std::function<void(Partition&)>& ready) {
  Partition* source = parts_.state.find(task.source);
  if (source == nullptr) return end(task, Errc::queue_not_found);
  if (task.part.destination != QueueId{} && parts_.state.find(task.part.destination) == nullptr)
    return end(task, Errc::queue_not_found);
  if (!source->index().next_ready(Slot{0}, task.end)) return end(task, Errc::ok);
  const uint32_t now_allowed = allowed(task, *messages);
  if (now_allowed > 0) {
    const auto moved = parts_.state.move_ready(*source,
                                               {.destination = task.part.destination,
                                                .end = task.end,
                                                .arrived_by = task.part.arrived_by,
                                                .messages_max = now_allowed,
                                                .bytes_max = *bytes},
                                               parts_.now);
    task.part.moved += moved.messages;
    if (task.part.rate > 0) task.credit -= moved.messages * kOneMessage;
    *messages -= moved.messages;
    *bytes -= static_cast<uint32_t>(std::min<uint64_t>(*bytes, moved.bytes));
    if (source->kind().fifo && moved.messages > 0) ready(*source);
    if (moved.none_left) return end(task, Errc::ok);
    if (moved.error == Errc::disk_full) {
      task.due = parts_.now + kMoveRetryMs;
      return;
    }
    if (moved.error != Errc::ok) return end(task, moved.error);
    if (!source->index().next_ready(Slot{0}, task.end)) return end(task, Errc::ok);
  }
  if (task.part.rate == 0) {
    task.due = parts_.now;
    return;
  }
  const uint64_t missing = kOneMessage - std::min(kOneMessage, task.credit);
  const uint64_t each = earned_per_ms(task.part);
  task.due = parts_.now +
             std::max<int64_t>(kMoveStepMs, static_cast<int64_t>((missing + each - 1) / each));
}

bool MoveWork::step(const std::function<void(Partition&)>& ready) {
  if (tasks_.empty() || parts_.state.log().fenced()) return false;
  uint32_t messages = kMovedPerTickMax;
  uint32_t bytes = kMovedBytesPerTickMax;
  bool more = false;
  ++first_;
  for (size_t n = 0; n < tasks_.size(); ++n) {
    Task& task = tasks_[(first_ + n) % tasks_.size()];
    if (task.due <= parts_.now && messages > 0 && bytes > 0)
      move_some(task, &messages, &bytes, ready);
    more |= task.due <= parts_.now;
    task.part.done = task.ended && parts_.state.log().durable() >= task.through;
    if (task.part.done ||
        (task.part.moved != task.told && parts_.now >= task.told_at + kMoveReportMs))
      tell(task);
  }
  std::erase_if(tasks_, [](const Task& task) { return task.part.done; });
  return more;
}

TimeMs MoveWork::next_deadline() const {
  TimeMs next = kNever;
  for (const Task& task : tasks_)
    next = std::min(next, task.due);
  return next;
}

}  // namespace millrace::engine
