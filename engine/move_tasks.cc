#include "engine/move_tasks.h"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "engine/limits.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

// A message that was there when the task started may say that it came a little later: the shards
// read the clock each by itself.
constexpr int64_t kClocksApartMs = 1'000;

std::string failure_text(Errc error) {
  switch (error) {
    case Errc::queue_not_found:
      return "AWS.SimpleQueueService.NonExistentQueue";
    case Errc::not_found:
      return "CouldNotDetermineMessageSource";
    default:
      return std::string(errc_text(error));
  }
}

MailPtr answer_to(uint64_t job) {
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::admin_answer;
  answer->job = job;
  return answer;
}

void refuse(const Mail& mail, Errc error, std::string detail, Mailbox& mailbox) {
  MailPtr answer = answer_to(mail.job);
  answer->error = error;
  answer->detail = std::move(detail);
  mailbox.post(mail.from, std::move(answer));
}

uint64_t bit(ShardId shard) {
  return uint64_t{1} << raw(shard);
}

}  // namespace

std::vector<std::byte> encode_move_task(const MoveTask& task) {
  const MoveTaskHead head{task.id,
                          raw(task.source),
                          raw(task.destination),
                          task.rate,
                          static_cast<uint8_t>(task.state),
                          0,
                          static_cast<uint16_t>(task.destination_name.size()),
                          static_cast<uint16_t>(task.failure.size()),
                          0,
                          0,
                          task.moved,
                          task.to_move,
                          task.started_at_ms,
                          task.ended_at_ms};
  std::vector<std::byte> body;
  for (const Bytes part : {bytes_of(head), as_bytes(task.destination_name), as_bytes(task.failure)})
    body.insert(body.end(), part.begin(), part.end());
  return body;
}

std::optional<MoveTask> decode_move_task(Bytes body) {
  const auto head = read_head<MoveTaskHead>(body);
  if (!head || body.size() - sizeof *head < uint64_t{head->name_bytes} + head->failure_bytes ||
      head->state > static_cast<uint8_t>(MoveState::failed))
    return std::nullopt;
  const std::string_view texts = as_text(body.subspan(sizeof *head));
  return MoveTask{.id = head->task_id,
                  .source = QueueId{head->source_queue_id},
                  .destination = QueueId{head->destination_queue_id},
                  .rate = head->rate,
                  .state = MoveState{head->state},
                  .moved = head->moved,
                  .to_move = head->to_move,
                  .started_at_ms = head->started_at_ms,
                  .ended_at_ms = head->ended_at_ms,
                  .destination_name = std::string(texts.substr(0, head->name_bytes)),
                  .failure = std::string(texts.substr(head->name_bytes, head->failure_bytes))};
}

// --- what is kept ---

bool MoveTasks::on_record(const storage::Record& record) {
  auto task = decode_move_task(record.body);
  if (!task) return false;
  last_id_ = std::max(last_id_, task->id);
  std::vector<Kept>& tasks = history_[task->source];
  // Cleaning writes old ones again, behind newer ones.
  auto place = std::find_if(tasks.begin(), tasks.end(),
                            [&](const Kept& each) { return each.task.id >= task->id; });
  if (place != tasks.end() && place->task.id == task->id)
    log_->remove_live(place->position, place->bytes);
  else
    place = tasks.insert(place, Kept{});
  *place = {std::move(*task), record.position, record.end() - record.position};
  log_->add_live(place->position, place->bytes);
  if (tasks.size() > kMoveTasksKept) {
    log_->remove_live(tasks.front().position, tasks.front().bytes);
    tasks.erase(tasks.begin());
  }
  return true;
}

void MoveTasks::queue_gone(QueueId queue) {
  const auto found = history_.find(queue);
  if (found == history_.end()) return;
  for (const Kept& kept : found->second) {
    log_->remove_live(kept.position, kept.bytes);
    const auto running = running_.find(kept.task.id);
    if (running == running_.end()) continue;
    // The shards give it up when they hear of the queue.
    for (const auto* askers : {&running->second.starters, &running->second.cancellers})
      orphans_.insert(orphans_.end(), askers->begin(), askers->end());
    running_.erase(running);
  }
  history_.erase(found);
}

MoveTasks::Kept* MoveTasks::find(QueueId source, uint64_t task) {
  const auto found = history_.find(source);
  if (found == history_.end()) return nullptr;
  const auto kept = std::find_if(found->second.begin(), found->second.end(),
                                 [&](const Kept& each) { return each.task.id == task; });
  return kept == found->second.end() ? nullptr : &*kept;
}

// Live path and replay change the tasks by the same on_record().
Status MoveTasks::put(const MoveTask& task, storage::Space space) {
  const auto body = encode_move_task(task);
  const std::array<Bytes, 1> parts{Bytes(body)};
  const auto position = log_->append(raw(RecordKind::move_task), parts, space);
  if (!position) return fail(position.error());
  const storage::Record record{*position, raw(RecordKind::move_task), body};
  last_end_ = record.end();
  (void)on_record(record);
  return {};
}

// Of a task that has not ended. Until it has, messages of it may be on their way: after a restart
// it goes on, also if it was being cancelled.
Status MoveTasks::put_running(const MoveTask& task, storage::Space space) {
  const MoveState state = task.state;
  MoveTask running = task;
  running.state = MoveState::running;
  const Status done = put(running, space);
  find(running.source, running.id)->task.state = state;
  return done;
}

Status MoveTasks::carry(const storage::Record& record) {
  const auto task = decode_move_task(record.body);
  if (!task) return {};
  const Kept* kept = find(task->source, task->id);
  if (kept == nullptr || kept->position != record.position) return {};
  if (running_.contains(task->id)) return put_running(kept->task, storage::Space::cleans);
  return put(MoveTask(kept->task), storage::Space::cleans);
}

// --- requests ---

void MoveTasks::on_admin(const Mail& mail, Position catalog_end, TimeMs now, Mailbox& mailbox) {
  const QueueInfo* source = catalog_.find(mail.queue);
  if (source == nullptr)
    return refuse(mail, Errc::queue_not_found, "there is no such source queue", mailbox);
  last_end_ = std::max(last_end_, catalog_end);
  switch (mail.admin) {
    case AdminKind::move_start:
      return start(mail, *source, now, mailbox);
    case AdminKind::move_cancel:
      return cancel(mail, *source, mailbox);
    default:
      return list(mail, mailbox);
  }
}

Status MoveTasks::check_start(const Mail& mail, const QueueInfo& source,
                              std::string* detail) const {
  const auto wrong = [&](Errc error, std::string text) -> Status {
    *detail = std::move(text);
    return fail(error);
  };
  const QueueInfo* destination = catalog_.find(mail.move.destination);
  if (mail.move.destination != QueueId{} && destination == nullptr)
    return wrong(Errc::queue_not_found, "there is no such destination queue");
  bool named = false;
  catalog_.for_each([&](const QueueInfo& queue) {
    named = named || queue.attributes.dead_letter_queue == source.name;
  });
  if (!named)
    return wrong(Errc::not_a_dead_letter_queue,
                 fmt::format("no RedrivePolicy names '{}'; a source may be the dead-letter queue "
                             "of at least one queue",
                             source.name));
  if (destination == &source)
    return wrong(Errc::same_queue,
                 fmt::format("source and destination are '{}'; they may be two queues, or give no "
                             "destination",
                             source.name));
  if (destination != nullptr && destination->attributes.fifo != source.attributes.fifo)
    return wrong(Errc::queue_types_differ,
                 fmt::format("'{}' is a {} queue; messages of '{}' may go to a {} queue",
                             destination->name, destination->attributes.fifo ? "FIFO" : "standard",
                             source.name, source.attributes.fifo ? "FIFO" : "standard"));
  if (mail.move.rate > kMoveRateMax)
    return wrong(Errc::invalid_argument,
                 fmt::format("the rate is {}; it may be 1 to {} messages a second, or none given",
                             mail.move.rate, kMoveRateMax));
  for (const auto& [id, running] : running_)
    if (running.source == source.id)
      return wrong(Errc::move_task_running,
                   fmt::format("a task of '{}' is running; one may run at a time", source.name));
  if (running_.size() >= kMoveTasksRunningMax)
    return wrong(
        Errc::over_limit,
        fmt::format("{} move tasks are running; that is as many as may be", running_.size()));
  return {};
}

void MoveTasks::start(const Mail& mail, const QueueInfo& source, TimeMs now, Mailbox& mailbox) {
  std::string detail;
  Status valid = check_start(mail, source, &detail);
  MoveTask task{.id = std::max(last_id_ + 1, static_cast<uint64_t>(now.value) << 16),
                .source = source.id,
                .destination = mail.move.destination,
                .rate = mail.move.rate,
                .started_at_ms = now.value,
                .destination_name = {},
                .failure = {}};
  if (task.destination != QueueId{} && valid)
    task.destination_name = catalog_.find(task.destination)->name;
  if (valid) valid = put(task, storage::Space::grows);
  if (!valid) return refuse(mail, valid.error(), std::move(detail), mailbox);
  Running& running = running_[task.id];
  running.source = source.id;
  running.starters.push_back({mail.from, mail.job});
  waiting_.push({.end = last_end_, .launch = task.id, .to = {}, .answer = {}});
}

void MoveTasks::cancel(const Mail& mail, const QueueInfo& source, Mailbox& mailbox) {
  for (auto& [id, running] : running_) {
    if (running.source != source.id || (mail.move.task != 0 && mail.move.task != id)) continue;
    running.cancellers.push_back({mail.from, mail.job});
    if (!running.stopping) stop(id, running, MoveState::cancelled, mailbox);
    return;
  }
  refuse(mail, Errc::move_task_not_found,
         fmt::format("no such move task of '{}' is running", source.name), mailbox);
}

void MoveTasks::list(const Mail& mail, Mailbox& mailbox) {
  if (mail.messages_max == 0 || mail.messages_max > kMoveTasksKept)
    return refuse(mail, Errc::invalid_argument,
                  fmt::format("up to {} tasks are asked for; it may be 1 to {}", mail.messages_max,
                              kMoveTasksKept),
                  mailbox);
  MailPtr answer = answer_to(mail.job);
  if (const auto found = history_.find(mail.queue); found != history_.end())
    for (auto kept = found->second.rbegin();
         kept != found->second.rend() && answer->tasks.size() < mail.messages_max; ++kept)
      answer->tasks.push_back(kept->task);
  waiting_.push(
      {.end = last_end_, .launch = 0, .to = {mail.from, mail.job}, .answer = std::move(answer)});
}

// --- work ---

void MoveTasks::tell(MailKind kind, uint64_t id, const Running& running, Mailbox& mailbox) {
  const MoveTask& task = find(running.source, id)->task;
  for (uint16_t i = 0; i < mailbox.shards(); ++i) {
    const ShardId shard{i};
    if ((running.working & bit(shard)) == 0) continue;
    auto mail = std::make_unique<Mail>();
    mail->kind = kind;
    mail->queue = running.source;
    mail->move = {
        .task = id,
        .destination = task.destination,
        .rate = task.rate,
        .sharing = static_cast<uint32_t>(std::popcount(running.working)),
        .arrived_by = running.resumed ? TimeMs{task.started_at_ms} + kClocksApartMs : kNever};
    mailbox.post(shard, std::move(mail));
  }
}

void MoveTasks::launch(uint64_t id, Mailbox& mailbox) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& running = found->second;
  running.launched = true;
  running.moved.assign(mailbox.shards(), 0);
  if (running.stopping) return;
  running.working = mailbox.shards() == 64 ? ~uint64_t{0} : bit(ShardId{mailbox.shards()}) - 1;
  running.unstarted = running.working;
  tell(MailKind::move_start, id, running, mailbox);
}

void MoveTasks::stop(uint64_t id, Running& running, MoveState outcome, Mailbox& mailbox) {
  running.stopping = true;
  running.outcome = outcome;
  if (outcome == MoveState::cancelled) find(running.source, id)->task.state = MoveState::cancelling;
  tell(MailKind::move_stop, id, running, mailbox);
}

void MoveTasks::on_progress(const Mail& mail, Mailbox& mailbox) {
  const uint64_t id = mail.move.task;
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& running = found->second;
  MoveTask& task = find(running.source, id)->task;
  running.moved[raw(mail.from)] = mail.move.moved;
  task.moved = running.moved_before;
  for (const uint64_t moved : running.moved)
    task.moved += moved;
  if ((running.unstarted & bit(mail.from)) != 0) {
    running.unstarted &= ~bit(mail.from);
    running.ready += mail.move.ready;
    if (running.unstarted == 0 && !running.resumed) {
      task.to_move = running.ready;
      (void)put_running(task, storage::Space::grows);  // the next one says it too
      for (const Asker& asker : running.starters)
        answer_when_durable(asker, find(running.source, id)->task);
      running.starters.clear();
    }
  }
  if (mail.error != Errc::ok && !running.stopping) {
    running.failure = failure_text(mail.error);
    stop(id, running, MoveState::failed, mailbox);
  }
  if (!mail.move.done) return;
  running.working &= ~bit(mail.from);
  if (task.rate > 0 && !running.stopping) tell(MailKind::move_share, id, running, mailbox);
}

void MoveTasks::answer_when_durable(Asker to, const MoveTask& task) {
  MailPtr answer = answer_to(to.job);
  answer->tasks.push_back(task);
  waiting_.push({.end = last_end_, .launch = 0, .to = to, .answer = std::move(answer)});
}

// False: the disk is full.
bool MoveTasks::finish(uint64_t id, Running& running, TimeMs now) {
  MoveTask task = find(running.source, id)->task;
  task.state = running.outcome;
  task.failure = running.failure;
  task.ended_at_ms = now.value;
  if (!put(task, storage::Space::frees)) return false;
  for (const auto* askers : {&running.starters, &running.cancellers})
    for (const Asker& asker : *askers)
      answer_when_durable(asker, task);
  return true;
}

void MoveTasks::resume(Mailbox& mailbox) {
  for (const auto& [source, tasks] : history_) {
    if (tasks.empty()) continue;
    const MoveTask& task = tasks.back().task;
    if (task.state != MoveState::running) continue;
    Running& running = running_[task.id];
    running.source = source;
    running.moved_before = running.noted = task.moved;
    running.resumed = true;
  }
  for (const auto& [id, running] : running_)
    launch(id, mailbox);
}

void MoveTasks::tick(TimeMs now, Mailbox& mailbox) {
  next_look_ = kNever;
  if (log_->fenced()) return;
  for (auto entry = running_.begin(); entry != running_.end();) {
    auto& [id, running] = *entry;
    if (running.launched && running.working == 0) {
      if (finish(id, running, now)) {
        entry = running_.erase(entry);
        continue;
      }
      next_look_ = std::min(next_look_, now + kMoveRetryMs);
    }
    const MoveTask& task = find(running.source, id)->task;
    const TimeMs longest = TimeMs{task.started_at_ms} + kMoveTaskMsMax;
    if (now >= longest && running.launched && !running.stopping) {
      running.failure = "it ran for 36 hours, the longest a move task may";
      stop(id, running, MoveState::failed, mailbox);
    }
    if (!running.stopping) next_look_ = std::min(next_look_, longest);
    if (task.moved != running.noted && now >= running.note_at) {
      running.noted = task.moved;
      running.note_at = now + kMoveRecordMs;
      (void)put_running(task, storage::Space::grows);  // the next one says more
    }
    ++entry;
  }
}

void MoveTasks::note_progress() {
  if (log_->fenced()) return;
  for (const auto& [id, running] : running_)
    (void)put_running(find(running.source, id)->task, storage::Space::grows);
}

void MoveTasks::tell_durable(Position limit, Mailbox& mailbox) {
  for (const Asker& asker : orphans_) {
    MailPtr answer = answer_to(asker.job);
    answer->error = Errc::queue_not_found;
    mailbox.post(asker.shard, std::move(answer));
  }
  orphans_.clear();
  const bool fenced = log_->fenced();
  const Position durable = std::min(log_->durable(), limit);
  while (!waiting_.empty() && (fenced || waiting_.front().end <= durable)) {
    Waiting next = waiting_.pop();
    if (next.launch != 0 && !fenced) {
      launch(next.launch, mailbox);
    } else if (next.answer != nullptr) {
      if (fenced) {
        next.answer->error = Errc::shard_fenced;
        next.answer->tasks.clear();
      }
      mailbox.post(next.to.shard, std::move(next.answer));
    }
  }
  if (!fenced) return;
  for (auto& [id, running] : running_)
    for (auto* askers : {&running.starters, &running.cancellers}) {
      for (const Asker& asker : *askers) {
        MailPtr answer = answer_to(asker.job);
        answer->error = Errc::shard_fenced;
        mailbox.post(asker.shard, std::move(answer));
      }
      askers->clear();
    }
}

}  // namespace millrace::engine
