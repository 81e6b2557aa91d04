#include "engine/move_work.h"

#include <algorithm>

#include "engine/limits.h"
#include "engine/message_names.h"
#include "engine/sends.h"

namespace millrace::engine {
namespace {

constexpr uint64_t kOneMessage = 1'000'000'000;

// What the task earns here in a millisecond, in billionths of a message.
uint64_t earned_per_ms(const MovePart& part) {
  return uint64_t{part.rate} * (kOneMessage / 1'000) / part.sharing;
}

bool has_ready(const Partition& source, Slot end) {
  return source.next_ready(Slot{0}, std::min(end, source.visible_end())).has_value();
}

// No use in trying again.
bool is_final(Errc error) {
  return error == Errc::queue_not_found || error == Errc::not_found ||
         error == Errc::batch_too_large;
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
    task.end = source->slot_end();
    task.part.ready = source->counters(parts_.state.log()).ready;
  }
  const Partition* destination = parts_.state.find(task.part.destination);
  task.across = destination != nullptr && destination->kind().fifo && parts_.mailbox.shards() > 1;
  if (task.across) find_hidden(task);
  tell(task);
  tasks_.push_back(std::move(task));
}

// What an earlier life of the process left on its way goes on; the others are told that only that
// is.
void MoveWork::find_hidden(Task& task) {
  const Partition* source = parts_.state.find(task.source);
  if (source != nullptr && task.part.arrived_by != kNever) {
    std::vector<uint64_t> slots = parts_.state.hidden(*source, parts_.now);
    task.open.insert(slots.begin(), slots.end());
    if (!slots.empty()) task.to_send.push_back({{}, {}, std::move(slots)});
  }
  for (uint16_t i = 0; i < parts_.mailbox.shards(); ++i) {
    auto mail = std::make_unique<Mail>();
    mail->kind = MailKind::move_closed;
    mail->origin = task.source;
    mail->all_others = true;
    mail->shard_slots.assign(task.open.begin(), task.open.end());
    parts_.mailbox.post(ShardId{i}, std::move(mail));
  }
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

// What came just before the task started may not be durable yet, and so not be shown. What is on
// its way holds back the others of its group until it has arrived.
void MoveWork::nothing_ready(Task& task, const Partition& source) {
  if (!task.open.empty()) {
    task.due = kNever;
    return;
  }
  if (source.visible_end() >= task.end) return end(task, Errc::ok);
  task.due = parts_.now + kMoveStepMs;
}

void MoveWork::move_some(Task& task, uint32_t* messages, uint32_t* bytes,
                         const std::function<void(Partition&)>& ready) {
  Partition* source = parts_.state.find(task.source);
  if (source == nullptr) return end(task, Errc::queue_not_found);
  if (task.part.destination != QueueId{} && parts_.state.find(task.part.destination) == nullptr)
    return end(task, Errc::queue_not_found);
  if (!has_ready(*source, task.end)) return nothing_ready(task, *source);
  uint32_t now_allowed = allowed(task, *messages);
  if (task.across)
    now_allowed = std::min<uint32_t>(
        now_allowed,
        kMovesOpenMax - std::min<uint32_t>(kMovesOpenMax, static_cast<uint32_t>(task.open.size())));
  const std::function<ShardId(Bytes)> home = [&](Bytes properties) {
    return home_of_message(task, properties);
  };
  if (now_allowed > 0) {
    const auto moved = parts_.state.move_ready(*source,
                                               {.destination = task.part.destination,
                                                .end = task.end,
                                                .arrived_by = task.part.arrived_by,
                                                .messages_max = now_allowed,
                                                .bytes_max = *bytes,
                                                .home = task.across ? &home : nullptr},
                                               parts_.now);
    if (!moved.hidden.empty()) {
      task.open.insert(moved.hidden.begin(), moved.hidden.end());
      task.to_send.push_back(
          {parts_.state.moved_through(), {}, {moved.hidden.begin(), moved.hidden.end()}});
    }
    task.part.moved += moved.messages;
    if (task.part.rate > 0) task.credit -= (moved.messages + moved.hidden.size()) * kOneMessage;
    *messages -= moved.messages + static_cast<uint32_t>(moved.hidden.size());
    *bytes -= static_cast<uint32_t>(std::min<uint64_t>(*bytes, moved.bytes));
    if (source->kind().fifo && moved.messages > 0) ready(*source);
    if (moved.none_left) return nothing_ready(task, *source);
    if (is_final(moved.error)) return end(task, moved.error);
    if (moved.error != Errc::ok) {  // a full disk
      task.due = parts_.now + kMoveRetryMs;
      return;
    }
    if (!has_ready(*source, task.end)) return nothing_ready(task, *source);
  }
  if (task.across && task.open.size() >= kMovesOpenMax) {
    task.due = kNever;  // until some have arrived
    return;
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
    if (task.across) tell_what_is_durable(task);
    more |= task.due <= parts_.now;
    task.part.done =
        task.ended && !task.has_under_way() && parts_.state.log().durable() >= task.through;
    if (task.part.done ||
        (task.part.moved != task.told && parts_.now >= task.told_at + kMoveReportMs))
      tell(task);
  }
  std::erase_if(tasks_, [](const Task& task) { return task.part.done; });
  return more;
}

TimeMs MoveWork::next_deadline() const {
  TimeMs next = kNever;
  for (const Task& task : tasks_) {
    next = std::min(next, task.due);
    for (const Task::ToSend& batch : task.to_send)
      if (batch.due > TimeMs{}) next = std::min(next, batch.due);
  }
  return next;
}

// --- across shards ---

ShardId MoveWork::home_of_message(const Task& task, Bytes properties) const {
  const QueueInfo* destination = parts_.catalog.find(task.part.destination);
  if (destination == nullptr) return parts_.mailbox.own();  // it is not there: the task ends
  return home_of(*destination, parts_.state.names(), properties, parts_.mailbox.shards());
}

void MoveWork::tell_what_is_durable(Task& task) {
  const Position durable = parts_.state.log().durable();
  if (parts_.state.find(task.source) == nullptr) {
    task.open.clear();
    task.to_send.clear();
    task.closing.clear();
    return;
  }
  std::vector<Task::ToSend> ready;
  std::erase_if(task.to_send, [&](Task::ToSend& batch) {
    if (batch.hidden_at > durable || batch.due > parts_.now) return false;
    ready.push_back(std::move(batch));
    return true;
  });
  for (const Task::ToSend& batch : ready)
    send_over(task, batch);
  std::erase_if(task.closing, [&](Task::Closing& closing) {
    if (closing.through > durable) return false;
    auto mail = std::make_unique<Mail>();
    mail->kind = MailKind::move_closed;
    mail->origin = task.source;
    mail->shard_slots = std::move(closing.slots);
    parts_.mailbox.post(closing.home, std::move(mail));
    return true;
  });
}

void MoveWork::send_over(Task& task, const Task::ToSend& batch) {
  const Partition& source = *parts_.state.find(task.source);
  std::vector<MailPtr> mails(parts_.mailbox.shards());
  const auto post = [&](size_t home) {
    if (mails[home] != nullptr)
      parts_.mailbox.post(ShardId{static_cast<uint16_t>(home)}, std::move(mails[home]));
    mails[home] = nullptr;
  };
  for (const uint64_t slot : batch.slots) {
    if (!task.open.contains(slot)) continue;
    if (!source.index().live(Slot{slot})) {  // purged, or too old
      task.open.erase(slot);
      continue;
    }
    std::vector<std::byte> message;
    if (parts_.state.copy_out(source, Slot{slot}, &message) != Errc::ok) return;
    const size_t home = raw(home_of_message(task, properties_of(message.data())));
    if (mails[home] != nullptr && mails[home]->bytes.size() + message.size() > kMovedRunBytesMax)
      post(home);
    if (mails[home] == nullptr) {
      mails[home] = std::make_unique<Mail>();
      mails[home]->kind = MailKind::move_over;
      mails[home]->queue = task.part.destination;
      mails[home]->origin = task.source;
      mails[home]->move.task = task.part.task;
    }
    mails[home]->shard_slots.push_back(slot);
    mails[home]->bytes.insert(mails[home]->bytes.end(), message.begin(), message.end());
  }
  for (size_t home = 0; home < mails.size(); ++home)
    post(home);
}

void MoveWork::on_over(const Mail& mail) {
  ShardState& state = parts_.state;
  if (state.log().fenced()) return;
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::move_arrived;
  answer->move.task = mail.move.task;
  answer->shard_slots = mail.shard_slots;
  answer->results.assign(mail.shard_slots.size(), Errc::ok);
  const MoveOrigin origin{mail.origin, mail.from};
  std::vector<uint64_t> fresh;
  std::vector<std::byte> run;
  size_t offset = 0;
  for (const uint64_t slot : mail.shard_slots) {
    const std::byte* message = mail.bytes.data() + offset;
    const uint64_t stride = message_stride(*reinterpret_cast<const MessageHeader*>(message));
    offset += stride;
    if (state.move_ids().knows(origin, slot)) continue;
    fresh.push_back(slot);
    run.insert(run.end(), message, message + stride);
  }
  Errc error = Errc::ok;
  if (!fresh.empty()) {
    Partition* target = state.find(mail.queue);
    error = target == nullptr ? Errc::queue_not_found
                              : state.take_in(*target, origin, fresh, run, parts_.now);
  }
  for (size_t i = 0; error != Errc::ok && i < mail.shard_slots.size(); ++i)
    if (!state.move_ids().knows(origin, mail.shard_slots[i])) answer->results[i] = error;
  parts_.commits.park(CommitQueue::Level::durable, {.end = state.last_end(),
                                                    .kind = Parked::Kind::mail,
                                                    .mail_to = mail.from,
                                                    .mail = std::move(answer)});
}

void MoveWork::on_arrived(const Mail& mail) {
  Task* task = find(mail.move.task);
  if (task == nullptr || parts_.state.log().fenced()) return;
  // Its shard could not store them for sure and takes nothing more: the next life asks again.
  if (mail.error != Errc::ok) return;
  Partition* source = parts_.state.find(task->source);
  if (source == nullptr) return;
  std::vector<uint64_t> there;
  std::vector<uint64_t> refused;
  std::vector<uint64_t> again;
  Errc error = Errc::ok;
  for (size_t i = 0; i < mail.shard_slots.size(); ++i) {
    if (!task->open.contains(mail.shard_slots[i])) continue;
    if (mail.results[i] == Errc::ok)
      there.push_back(mail.shard_slots[i]);
    else
      (is_final(mail.results[i]) ? refused : again).push_back(mail.shard_slots[i]);
    if (is_final(mail.results[i])) error = mail.results[i];
  }
  const auto close = [&](const std::vector<uint64_t>& slots, Errc closed) {
    if (closed != Errc::ok) {
      again.insert(again.end(), slots.begin(), slots.end());
      return false;
    }
    for (const uint64_t slot : slots)
      task->open.erase(slot);
    return true;
  };
  if (!there.empty() && close(there, parts_.state.let_go(*source, there))) {
    task->part.moved += there.size();
    task->through = parts_.state.moved_through();
    task->closing.push_back({task->through, mail.from, there});
  }
  if (!refused.empty() && close(refused, parts_.state.show_again(*source, refused, parts_.now)) &&
      !task->ended)
    end(*task, error);
  if (!again.empty()) task->to_send.push_back({{}, parts_.now + kMoveRetryMs, std::move(again)});
  if (!task->ended) task->due = std::min(task->due, parts_.now);
}

void MoveWork::on_closed(const Mail& mail) {
  if (parts_.state.log().fenced()) return;
  const MoveOrigin origin{mail.origin, mail.from};
  // On a full disk they stay known, which does no harm.
  (void)(mail.all_others ? parts_.state.forget_moved_in_but(origin, mail.shard_slots)
                         : parts_.state.forget_moved_in(origin, mail.shard_slots));
}

}  // namespace millrace::engine
