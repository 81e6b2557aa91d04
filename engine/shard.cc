#include "engine/shard.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/turn_trace.h"
#include "engine/limits.h"

namespace millrace::engine {

Shard::Shard(ShardId id, Mailroom& room, Environment& environment,
             std::unique_ptr<storage::Disk> disk, std::unique_ptr<storage::Log> log,
             const ReceiptKey& key, const BrokerOptions& options, MemoryBudget& budget,
             TimeMs wheel_start)
    : id_(id),
      environment_(environment),
      durability_(options.durability),
      disk_(std::move(disk)),
      log_(std::move(log)),
      now_(wheel_start),
      topic_admin_(topics_, environment_,
                   [this](MailPtr mail, ReplyTo reply) { ask_keeper(std::move(mail), reply); }),
      state_(id, *log_, key, wheel_start),
      gate_(budget),
      mailbox_(room, id),
      receives_(parts(), wheel_start),
      gathers_(parts(), receives_),
      sends_(parts(), slots_safe_at_, gate_),
      publishes_(parts(), slots_safe_at_, gate_),
      fifo_topics_(parts(), slots_safe_at_, topics_, sends_, publishes_),
      cleaner_(state_),
      move_work_(parts()),
      backups_(parts(), *disk_),
      interval_ms_(options.interval_ms) {}

Shard::~Shard() = default;

Result<storage::RecoveryReport> Shard::recover(const Catalog& catalog, const Topics& topics,
                                               bool restored, TimeMs now, std::string* why) {
  topics_.copy(topics);
  topics_.for_each([&](const TopicInfo& topic) { add_window(topic); });
  catalog.for_each([&](const QueueInfo& queue) {
    catalog_.put(queue);
    add_partition(queue);
  });
  std::vector<SubscriptionInfo> outside;
  topics_.list_outboxes(&outside);
  for (const SubscriptionInfo& subscription : outside)
    follow_outbox(subscription);
  note_interval_queues();
  Position from = log_->head();
  if (const auto checkpoint = log_->load_checkpoint())
    if (state_.load(checkpoint->second)) from = checkpoint->first;
  const auto report = log_->recover(from, state_, now);
  if (!report) return report;
  if (!state_.refused().empty()) {
    *why = state_.refused();
    return fail(Errc::damaged);
  }
  base::crash_here("shard-recovered");
  state_.finish_recovery();
  catalog_.for_each([&](const QueueInfo& queue) { note_rules(queue); });
  for (const SubscriptionInfo& subscription : outside)
    note_rules(*catalog_.find_outbox(outbox_id(subscription.id)));
  MR_CHECK_DEEP(state_.accounts_hold());
  // Whatever the durability is now: it may have been less before.
  if (restored || (!report->clean_shutdown && !report->created)) {
    const auto skipped =
        state_.skip_lost_slots(restored ? kSlotsSkippedByRestore : kSlotsSkippedAfterLoss);
    if (!skipped) return fail(skipped.error());
    slots_safe_at_ = *skipped;
  }
  return report;
}

void Shard::start(const base::ServerClock& clock, TimeMs retention_from) {
  clock_ = clock;
  state_.wait_with_retention(retention_from);
  refresh_clock();
  if (keeper_ != nullptr) keeper_->moves().resume(mailbox_);
}

void Shard::keep_catalog(std::unique_ptr<CatalogKeeper> keeper) {
  keeper_ = std::move(keeper);
  backup_keeper_ = std::make_unique<BackupKeeper>(*keeper_);
}

// --- messages ---

void Shard::send(const SendRequest& request, ReplyTo reply) {
  sends_.send(request, reply);
}

void Shard::publish(const PublishRequest& request, ReplyTo reply) {
  publishes_.publish(request, reply);
}

void Shard::publish_ordered(const OrderedPublishRequest& request, ReplyTo reply) {
  fifo_topics_.publish(request, reply);
}

// Puts a result for each receipt into results_. True if all are ours and of this shard.
template <class F>
bool Shard::judge_receipts(size_t count, F&& receipt_at) {
  bool simple = true;
  results_.assign(count, Errc::ok);
  for (size_t i = 0; i < count; ++i) {
    const ShardId shard = shard_of(receipt_at(i).shard_slot);
    if (raw(shard) >= mailbox_.shards()) results_[i] = Errc::receipt_invalid;
    simple = simple && shard == id_;
  }
  state_.sealer().check_all(count, receipt_at, [&](size_t i) {
    results_[i] = Errc::receipt_invalid;
    simple = false;
  });
  return simple;
}

void Shard::receive(const ReceiveRequest& request, ReplyTo reply) {
  if (!request.attempt_id.empty() && mailbox_.shards() > 1) return gathers_.repeat(request, reply);
  receives_.receive(request, reply);
}

void Shard::ack(const AckRequest& request, ReplyTo reply) {
  const auto refuse = [&](Errc error) { reply.sink->on_results(reply.token, {error, {}}); };
  if (const auto count = check_count(request.receipts.size()); !count) return refuse(count.error());
  const auto receipt_at = [&](size_t i) -> const Receipt& { return request.receipts[i]; };
  bool simple = judge_receipts(request.receipts.size(), receipt_at);
  if (!simple) return gathers_.ack(request.receipts, results_, reply);
  if (fenced_) return refuse(Errc::shard_fenced);
  const auto wait = state_.ack(request.receipts, results_, now_,
                               [&](QueueId queue) { return parts().waits_durable(queue); });
  if (!wait) return refuse(wait.error());
  receives_.acknowledged(request.receipts);
  answer_results(*wait, reply);
}

void Shard::extend(const ExtendRequest& request, ReplyTo reply) {
  const auto refuse = [&](Errc error) { reply.sink->on_results(reply.token, {error, {}}); };
  if (const auto count = check_count(request.entries.size()); !count) return refuse(count.error());
  const auto receipt_at = [&](size_t i) -> const Receipt& { return request.entries[i].receipt; };
  bool simple = judge_receipts(request.entries.size(), receipt_at);
  for (size_t i = 0; i < request.entries.size(); ++i) {
    if (results_[i] != Errc::ok || request.entries[i].visibility_ms <= kLeaseMsMax) continue;
    results_[i] = Errc::invalid_argument;
    simple = false;
  }
  if (!simple) return gathers_.extend(request, results_, reply);
  if (fenced_) return refuse(Errc::shard_fenced);
  const auto wait = state_.extend(request, results_, now_,
                                  [&](QueueId queue) { return parts().waits_durable(queue); });
  if (!wait) return refuse(wait.error());
  receives_.extended(request.entries);
  answer_results(*wait, reply);
}

void Shard::answer_results(const ShardState::Wait& wait, ReplyTo reply) {
  if (wait.end == Position{}) return reply.sink->on_results(reply.token, {Errc::ok, results_});
  const bool all_well =
      std::all_of(results_.begin(), results_.end(), [](Errc e) { return e == Errc::ok; });
  commits_.park(park_level(wait.durable),
                {.end = wait.end,
                 .kind = Parked::Kind::results,
                 .count = static_cast<uint32_t>(results_.size()),
                 .to = reply,
                 .results = all_well ? nullptr : std::make_unique<std::vector<Errc>>(results_)});
}

void Shard::peek(const PeekRequest& request, ReplyTo reply) {
  if (catalog_.find(request.queue) == nullptr)
    return reply.sink->on_peek(reply.token, {Errc::queue_not_found, {}});
  if (request.messages_max == 0 || request.messages_max > kPeekMessagesMax)
    return reply.sink->on_peek(reply.token, {Errc::invalid_argument, {}});
  gathers_.peek(request, reply);
}

Status Shard::subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) {
  return receives_.subscribe(request, credit, reply);
}

Status Shard::add_credit(ReplyTo subscription, uint64_t messages) {
  return receives_.add_credit(subscription, messages);
}

Status Shard::unsubscribe(ReplyTo subscription) {
  return receives_.unsubscribe(subscription);
}

void Shard::cancel(ReplyTo reply) {
  gathers_.cancel(reply);
  receives_.cancel(reply);
}

void Shard::cancel_all(ReplySink* sink) {
  receives_.cancel_all(sink);
  commits_.cancel(sink);
  gathers_.cancel_all(sink);
  sends_.cancel_all(sink);
  fifo_topics_.cancel_all(sink);
  backups_.cancel_all(sink);
  for (auto& [job, asked] : admin_)
    if (asked.to.sink == sink) asked.to.sink = nullptr;
}

// --- the turn ---

void Shard::refresh_clock() {
  boot_ns_ = environment_.boot_ns();
  now_ = clock_.at(boot_ns_);
}

bool Shard::tick() {
  refresh_clock();
  const Position end_before = log_->written();
  state_.begin_turn();
  reap_disk();
  bool more = drain_mail();
  base::turn_step("the disk's answers and mail");
  more |= expire_timers();
  base::turn_step("timers");
  (void)serve_waiters();
  base::turn_step("receives");
  more |= move_work_.step([&](Partition& partition) { receives_.something_ready(partition); });
  base::turn_step("move tasks");
  more |= cleaner_.step();  // what it carries can't be read before it is written
  base::turn_step("cleaning");
  write_and_reveal();
  // What became visible just now goes out this turn.
  for (uint32_t pass = 0; pass < kServePassesPerTickMax && serve_waiters(); ++pass) {
    base::turn_step("receives");
    write_and_reveal();
  }
  receives_.tell_interested();
  mailbox_.flush();
  base::turn_step("revealing");
  answer();
  base::turn_step("answers");
  cleaner_.free_head();
  base::turn_step("freeing");
  backups_.step();
  base::turn_step("backups");
  start_jobs();
  base::turn_step("jobs for the disk");
  note_gate();
  if (keeper_ != nullptr) {
    // Nobody objected in a day.
    if (keeper_->retention_waits() && !state_.retention_waits(now_))
      keeper_->set_retention_waits(false);
    keeper_->tick(now_, mailbox_);
    backup_keeper_->tick(now_, mailbox_);
  }
  mailbox_.flush();
  base::turn_step("the catalog");
  ++ticks_;
  busy_ticks_ += log_->written() != end_before;
  return more || ticks_held_ > 0 || receives_.has_work() || mailbox_.has_own_mail() ||
         mailbox_.has_waiting() || (!fenced_ && log_->end() != log_->written());
}

void Shard::reap_disk() {
  std::array<storage::Completion, 32> done;
  for (size_t n = done.size(); n == done.size();) {
    n = disk_->reap(done);
    for (size_t i = 0; i < n; ++i) {
      if (log_->owns_token(done[i].token)) log_->on_completion(done[i], now_);
      if (backups_.owns(done[i].token)) backups_.on_completion(done[i]);
    }
  }
  fence_if_failed();
}

bool Shard::drain_mail() {
  for (uint32_t n = 0; n < kMailPerTickMax; ++n) {
    MailPtr mail = mailbox_.take();
    if (mail == nullptr) return false;
    const bool long_work = mail->kind == MailKind::counters;
    handle(std::move(mail));
    // Who asks for the figures of many queues, some at a time, must not get them all in one turn.
    if (long_work) return true;
  }
  return true;
}

void Shard::handle(MailPtr mail) {
  switch (mail->kind) {
    case MailKind::send:
      return sends_.on_send(*mail);
    case MailKind::sent:
      return sends_.on_sent(*mail);
    case MailKind::ordered:
      return fifo_topics_.on_publish(*mail);
    case MailKind::ordered_answer:
      return fifo_topics_.on_answer(*mail);
    case MailKind::receive:
      return receives_.on_receive(*mail);
    case MailKind::receive_answer:
      return receives_.on_answer(*mail);
    case MailKind::give_back:
      return receives_.on_give_back(*mail);
    case MailKind::something_ready:
      return receives_.on_something_ready(*mail);
    case MailKind::ack:
      return gathers_.on_ack(*mail);
    case MailKind::extend:
      return gathers_.on_extend(*mail);
    case MailKind::peek:
      return gathers_.on_peek(*mail);
    case MailKind::purge:
      return gathers_.on_purge(*mail);
    case MailKind::repeat:
      return gathers_.on_repeat(*mail);
    case MailKind::counters:
      return gathers_.on_counters(*mail);
    case MailKind::shard_stats:
      return gathers_.on_shard_stats(*mail, stats());
    case MailKind::part_answer:
      return gathers_.on_part(std::move(mail));
    case MailKind::admin:
      return keeper_->on_admin(std::move(mail), now_, mailbox_);
    case MailKind::catalog_change:
      return apply_catalog_change(*mail);
    case MailKind::catalog_applied:
      return keeper_->on_applied(*mail, mailbox_);
    case MailKind::admin_answer:
      return answer_admin(*mail);
    case MailKind::move_start:
      return move_work_.on_start(*mail);
    case MailKind::move_share:
      return move_work_.on_share(*mail);
    case MailKind::move_stop:
      return move_work_.on_stop(*mail);
    case MailKind::move_over:
      return move_work_.on_over(*mail);
    case MailKind::move_arrived:
      return move_work_.on_arrived(*mail);
    case MailKind::move_closed:
      return move_work_.on_closed(*mail);
    case MailKind::move_progress:
      return keeper_->moves().on_progress(*mail, mailbox_);
    case MailKind::backup:
      if (BackupKeeper::is_for_keeper(*mail)) return backup_keeper_->on_mail(*mail, now_, mailbox_);
      return backups_.on_mail(*mail);
  }
}

bool Shard::expire_timers() {
  if (fenced_) return false;
  const uint32_t ended = state_.expire(
      now_, kTimersPerTickMax, [&](Partition& partition) { receives_.something_ready(partition); });
  state_.expire_messages(now_, [&](Partition& partition) { receives_.something_ready(partition); });
  state_.expire_dedup(now_);
  const bool more = receives_.expire();
  return more || ended == kTimersPerTickMax;
}

bool Shard::serve_waiters() {
  return receives_.serve();
}

void Shard::write_and_reveal() {
  if (!fenced_) (void)log_->write_batch(now_);  // a failure fences the log
  fence_if_failed();
  if (fenced_ || backups_.answers_wait()) return;
  state_.advance_visibility([&](Partition& partition) { receives_.something_ready(partition); });
}

void Shard::answer() {
  if (!fenced_) {
    commit_clock_.note_parked(commits_.parked_durable(), commits_.wants_durable(), boot_ns_);
    commit_clock_.note_durable(log_->durable(), boot_ns_);
    commits_.answer(log_->written(), backups_.answers_up_to(log_->durable()), mailbox_,
                    [&](std::span<const Delivery> leases) { receives_.give_back(leases); });
  }
  receives_.answer_ended();
}

void Shard::start_jobs() {
  if (fenced_) return;
  // Who was answered just now may have asked for more, which is written in the next turn.
  if (const Position wanted = commits_.wants_durable(); wanted != Position{})
    log_->sync_through(std::min(wanted, log_->written()));
  if (state_.moved_through() > log_->durable())
    log_->sync_through(std::min(state_.moved_through(), log_->written()));
  if (!interval_queues_ || log_->durable() == log_->written()) {
    // Nothing waits for it any more. Left in the past it would keep the thread from sleeping, and
    // the next message would be synced at once.
    interval_sync_due_ = kNever;
  } else {
    if (interval_sync_due_ == kNever) interval_sync_due_ = now_ + interval_ms_;
    if (interval_sync_due_ <= now_) {
      interval_sync_due_ = kNever;
      log_->sync_through(log_->written());
    }
  }
  ticks_held_ = hold_sync() ? ticks_held_ + 1 : 0;
  log_->start_jobs(now_, ticks_held_ > 0);
}

// A sync costs the shard's core as much as some ten requests do (the calls, the device's interrupt,
// two changes of thread), however many answers wait for it: with requests at hand it waits for
// their records. What waits is bounded, and so is for how long.
bool Shard::hold_sync() {
  const bool expected = std::exchange(more_expected_, false);
  return expected && !log_->sync_in_flight() && ticks_held_ < kTicksHeldMax &&
         commits_.waiting_durable() < kHeldAnswersMax &&
         log_->written().value - log_->durable().value < kHeldBytesMax;
}

void Shard::note_gate() {
  gate_.note_turn(boot_ns_, log_->durable(), commits_.size(), commits_.waiting_durable());
  if (gate_.wants_count(now_)) gate_.count(id_, memory_bytes(), now_);
}

// Without what is small whatever happens, and what lasts for a turn only.
uint64_t Shard::memory_bytes() const {
  constexpr uint64_t kWaiterBytes = 248;
  constexpr uint64_t kGatherBytes = 1'024;
  return state_.memory_bytes() + commits_.size() * sizeof(Parked) +
         receives_.waiting() * kWaiterBytes +
         (gathers_.under_way() + admin_.size()) * kGatherBytes + sends_.memory_bytes() +
         fifo_topics_.memory_bytes() + outside_bytes_;
}

// The catalog's log lies on the same disk: what failed it ends this shard too, and with it the
// process. Left alone it would serve on and refuse all that changes a queue.
void Shard::fence_if_failed() {
  if (!log_->fenced() && keeper_ != nullptr && keeper_->fenced()) log_->fence_as_well();
  if (fenced_ || !log_->fenced()) return;
  fenced_ = true;
  commits_.fail_all(Errc::shard_fenced, mailbox_);
  receives_.fail_all(Errc::shard_fenced);
}

TimeMs Shard::next_deadline() const {
  TimeMs next = std::min(receives_.next_deadline(), log_->next_deadline());
  if (!fenced_)
    next = std::min({next, state_.timers().next_deadline(), interval_sync_due_, state_.dedup_due(),
                     state_.retention_due(), move_work_.next_deadline()});
  if (keeper_ != nullptr)
    next = std::min({next, keeper_->next_deadline(), backup_keeper_->next_deadline()});
  return std::min(next, gate_.next_deadline());
}

void Shard::set_waker(std::function<void()> wake) {
  mailbox_.waker().set(std::move(wake));
}

bool Shard::idle() const {
  return commits_.empty() && gathers_.under_way() == 0 && sends_.under_way() == 0 &&
         fifo_topics_.under_way() == 0 && backups_.under_way() == 0 && admin_.empty() &&
         mailbox_.empty() && receives_.asks_under_way() == 0 && !receives_.has_work() &&
         (fenced_ || log_->end() == log_->written()) && (keeper_ == nullptr || keeper_->idle());
}

}  // namespace millrace::engine
