#include "engine/receives.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/each_bit.h"
#include "engine/deliveries.h"
#include "engine/limits.h"

namespace millrace::engine {
// --- requests ---

const QueueInfo* Receives::queue_of(const ReceiveRequest& request) const {
  return request.outbox ? parts_.catalog.find_outbox(request.queue)
                        : parts_.catalog.find(request.queue);
}

void Receives::receive(const ReceiveRequest& request, ReplyTo to) {
  const QueueInfo* info = queue_of(request);
  Partition* partition = parts_.state.find(request.queue);
  if (info == nullptr || partition == nullptr)
    return to.sink->on_receive(to.token, {Errc::queue_not_found, {}});
  auto plan = plan_receive(request, info->attributes);
  if (!plan) return to.sink->on_receive(to.token, {plan.error(), {}});
  plan->attempt = parts_.state.attempt_key(request.queue, request.attempt_id);
  if (parts_.state.log().fenced()) return to.sink->on_receive(to.token, {Errc::shard_fenced, {}});

  WaiterLine* line = waiters_.find_line(request.queue);
  const bool alone = line == nullptr || waiters_.first(*line) == kNoWaiter;
  if (alone || plan->is_attempt()) {
    // Nobody was here before: no need to stand in line. Nor for what an attempt was given already.
    auto& deliveries = parts_.commits.deliveries();
    const auto first = static_cast<uint32_t>(deliveries.size());
    const auto leased =
        alone ? lease(*partition, *plan, plan->messages_max) : repeat(*partition, *plan);
    // Of the queue's limit another shard may have some left.
    const bool limited = !leased && leased.error() == Errc::over_limit;
    if (!leased && !limited) return to.sink->on_receive(to.token, {leased.error(), {}});
    if (leased && *leased) {
      const auto count = static_cast<uint32_t>(deliveries.size()) - first;
      return park({.end = **leased,
                   .kind = Parked::Kind::receive,
                   .first = first,
                   .count = count,
                   .to = to,
                   .kept = plan->is_attempt()},
                  *partition);
    }
    if (alone && plan->wait_ms == 0 && parts_.other_shards() == 0 &&
        !parts_.state.stopped_short()) {
      partition->tally.empty_receives += !limited && !plan->rest;
      return to.sink->on_receive(to.token, {leased.error(), {}});
    }
  }
  line = &waiters_.line(request.queue, parts_.other_shards());
  Waiter waiter;
  waiter.to = to;
  waiter.queue = request.queue;
  waiter.plan = *plan;
  waiter.due = plan->wait_ms == 0;
  const auto added = waiters_.add(waiter, parts_.now + plan->wait_ms);
  if (!added) return to.sink->on_receive(to.token, {added.error(), {}});
  mark_dirty(request.queue, *line);
}

Result<std::optional<Position>> Receives::lease(Partition& partition, const ReceivePlan& plan,
                                                uint32_t messages_max) {
  ShardState& state = parts_.state;
  auto& deliveries = parts_.commits.deliveries();
  if (auto repeated = repeat(partition, plan); !repeated || *repeated) return repeated;
  const size_t first = deliveries.size();
  const auto leased = state.lease(partition, messages_max, plan.bytes_max, plan.visibility_ms,
                                  parts_.now, &deliveries, plan.holder);
  if (plan.is_attempt() && leased && *leased)
    state.remember_attempt(plan.attempt, std::span<const Delivery>(deliveries).subspan(first),
                           plan.visibility_ms, parts_.now);
  return leased;
}

Result<std::optional<Position>> Receives::repeat(Partition& partition, const ReceivePlan& plan) {
  if (!plan.is_attempt()) return std::optional<Position>{};
  return parts_.state.repeat(partition, plan.attempt, plan.visibility_ms, parts_.now,
                             &parts_.commits.deliveries(), plan.holder);
}

// Leases are shown when their record is written; on FIFO when it is as durable as the queue's
// sends. There a lease that a power loss takes back would let another message of the group
// overtake.
void Receives::park(Parked parked, const Partition& partition) {
  if (!partition.kind().fifo || !parts_.waits_durable(partition.queue()))
    return parts_.commits.park(CommitQueue::Level::written, std::move(parked));
  auto& gathered = parts_.commits.deliveries();
  if (parked.mail == nullptr) parked.mail = std::make_unique<Mail>();
  copy_deliveries(std::span<const Delivery>(gathered).subspan(parked.first), &parked.mail->bytes,
                  &parked.mail->deliveries);
  gathered.resize(parked.first);
  parked.first = parked.count = 0;
  parts_.commits.park(CommitQueue::Level::durable, std::move(parked));
}

Status Receives::subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo to) {
  const QueueInfo* info = queue_of(request);
  if (info == nullptr) return fail(Errc::queue_not_found);
  const auto plan = plan_receive(request, info->attributes);
  if (!plan) return fail(plan.error());
  if (parts_.state.log().fenced()) return fail(Errc::shard_fenced);
  WaiterLine& line = waiters_.line(request.queue, parts_.other_shards());
  Waiter waiter;
  waiter.to = to;
  waiter.queue = request.queue;
  waiter.plan = *plan;
  waiter.credit = credit;
  waiter.standing = true;
  const auto added = waiters_.add(waiter, kNever);
  if (!added) return fail(added.error());
  mark_dirty(request.queue, line);
  return {};
}

Status Receives::add_credit(ReplyTo to, uint64_t messages) {
  Waiter* waiter = waiters_.find(waiters_.find(to));
  if (waiter == nullptr || !waiter->standing) return fail(Errc::subscription_not_found);
  waiter->credit += std::min(messages, UINT64_MAX - waiter->credit);
  if (waiter->resting) waiters_.move_to_back(waiter->id);
  mark_dirty(waiter->queue, *waiters_.find_line(waiter->queue));
  return {};
}

Status Receives::unsubscribe(ReplyTo to) {
  const WaiterId id = waiters_.find(to);
  Waiter* waiter = waiters_.find(id);
  if (waiter == nullptr || !waiter->standing) return fail(Errc::subscription_not_found);
  waiters_.remove(id);
  parts_.commits.cancel_receives(to);
  return {};
}

void Receives::cancel(ReplyTo to) {
  const WaiterId id = waiters_.find(to);
  if (Waiter* waiter = waiters_.find(id); waiter != nullptr && !waiter->standing)
    return waiters_.remove(id);  // it waits, so nothing is parked for it
  parts_.commits.cancel_receives(to);
}

void Receives::cancel_all(const ReplySink* sink) {
  for (WaiterId id = waiters_.first_of(sink); id != kNoWaiter; id = waiters_.first_of(sink))
    waiters_.remove(id);
  for (auto* ended : {&ended_, &answering_})
    for (Ended& one : *ended)
      if (one.to.sink == sink) one.to.sink = nullptr;
}

// --- reasons to serve ---

void Receives::mark_dirty(QueueId queue, WaiterLine& line) {
  if (line.dirty) return;
  line.dirty = true;
  dirty_.push_back(queue);
}

void Receives::something_ready(Partition& partition) {
  WaiterLine* line = waiters_.find_line(partition.queue());
  if (line != nullptr && waiters_.first(*line) != kNoWaiter) mark_dirty(partition.queue(), *line);
  if (partition.interested_shards != 0 && (ready_.empty() || ready_.back() != partition.queue()))
    ready_.push_back(partition.queue());
}

void Receives::acknowledged(std::span<const Receipt> receipts) {
  uint32_t queue = 0;  // 0 is no queue's
  for (const Receipt& receipt : receipts) {
    if (receipt.queue_id == queue) continue;
    queue = receipt.queue_id;
    Partition* partition = parts_.state.find(QueueId{queue});
    if (partition != nullptr && partition->kind().fifo) something_ready(*partition);
  }
}

void Receives::extended(std::span<const ExtendEntry> entries) {
  for (const ExtendEntry& entry : entries)
    if (entry.visibility_ms == 0)
      if (Partition* partition = parts_.state.find(QueueId{entry.receipt.queue_id}))
        something_ready(*partition);
}

void Receives::queue_created(Partition& partition) {
  // Another shard may have asked before this one knew the queue.
  partition.interested_shards = parts_.other_shards();
}

void Receives::queue_deleted(QueueId queue) {
  WaiterLine* line = waiters_.find_line(queue);
  if (line == nullptr) return;
  while (waiters_.any(*line) != kNoWaiter)
    end(waiters_.any(*line), Errc::queue_not_found);
  for (const uint8_t asks : line->asks)
    asks_under_way_ -= asks;
  waiters_.remove_line(queue);
}

void Receives::fail_all(Errc error) {
  waiters_.for_each([&](Waiter& waiter) { end(waiter.id, error); });
}

void Receives::end(WaiterId id, Errc error) {
  const ReplyTo to = waiters_.find(id)->to;
  // What was leased for it and waits for a sync may not come after the end.
  if (waiters_.find(id)->standing) parts_.commits.cancel_receives(to);
  waiters_.remove(id);
  ended_.push_back({to, error});
}

void Receives::answer_ended() {
  served_bytes_ = 0;
  answering_.clear();
  answering_.swap(ended_);
  for (size_t i = 0; i < answering_.size(); ++i) {  // cancel_all() may clear sinks meanwhile
    const Ended ended = answering_[i];
    if (ended.to.sink != nullptr) ended.to.sink->on_receive(ended.to.token, {ended.error, {}});
  }
  answering_.clear();
}

bool Receives::expire() {
  const uint32_t ended = waiters_.expire(parts_.now, kTimersPerTickMax, [&](Waiter& waiter) {
    mark_dirty(waiter.queue, *waiters_.find_line(waiter.queue));
  });
  return ended == kTimersPerTickMax;
}

// --- serving ---

bool Receives::serve() {
  // A fenced shard has no waiters any more; what others tell it changes nothing.
  const bool fenced = parts_.state.log().fenced();
  bool appended = false;
  serve_starved();
  serving_.clear();
  serving_.swap(dirty_);
  size_t served = 0;
  for (; served < serving_.size() && served_bytes_ < kServedBytesPerTickMax; ++served) {
    const QueueId queue = serving_[served];
    if (WaiterLine* line = waiters_.find_line(queue)) line->dirty = false;
    if (!fenced) appended |= serve_line(queue);
  }
  // Before the line that took the last bytes, so that every line has its turn.
  dirty_.insert(dirty_.begin(), serving_.begin() + static_cast<std::ptrdiff_t>(served),
                serving_.end());
  return appended;
}

bool Receives::serve_line(QueueId queue) {
  WaiterLine* line = waiters_.find_line(queue);
  Partition* partition = parts_.state.find(queue);
  if (line == nullptr || partition == nullptr) return false;
  auto& deliveries = parts_.commits.deliveries();
  uint32_t served = 0;
  bool empty_here = false;
  Errc failed = Errc::ok;
  WaiterId next = kNoWaiter;
  for (WaiterId id = waiters_.first(*line); id != kNoWaiter; id = next) {
    next = waiters_.next(id);
    Waiter& waiter = *waiters_.find(id);
    if (!waiter.standing && waiter.asked > 0) continue;
    if (!empty_here) {
      if (served == kServedPerLineMax || served_bytes_ >= kServedBytesPerTickMax) {
        mark_dirty(queue, *line);
        return true;
      }
      auto messages_max = waiter.plan.messages_max;
      if (waiter.standing && waiter.credit < messages_max)
        messages_max = static_cast<uint32_t>(waiter.credit);
      const auto first = static_cast<uint32_t>(deliveries.size());
      const auto leased = lease(*partition, waiter.plan, messages_max);
      if (!leased) {
        failed = leased.error();
        starve(queue);
      } else if (*leased) {
        ++served;
        const auto count = static_cast<uint32_t>(deliveries.size()) - first;
        served_bytes_ += delivered_bytes(std::span(deliveries).subspan(first));
        park({.end = **leased,
              .kind = Parked::Kind::receive,
              .first = first,
              .count = count,
              .to = waiter.to,
              .pushed = waiter.standing,
              .kept = waiter.plan.is_attempt()},
             *partition);
        if (waiter.standing) {
          waiter.credit -= count;
          waiters_.move_to_back(id);
          // Alone: on with it while there is something.
          if (next == kNoWaiter && !waiter.resting) next = id;
        } else {
          waiters_.remove(id);
        }
        continue;
      } else if (parts_.state.stopped_short()) {
        mark_dirty(queue, *line);
        return true;
      }
      if (partition->at_in_flight_limit()) starve(queue);
      empty_here = true;
    }
    if (waiter.asked > 0) continue;
    if (!ask_another(*line, waiter)) break;  // nothing to be had: neither for those behind
    if (waiter.standing && waiter.credit == 0) waiters_.move_to_back(id);
  }
  if (line->maybe == 0) answer_due(queue, *line, failed);
  return served > 0;
}

bool Receives::ask_another(WaiterLine& line, Waiter& waiter) {
  const uint16_t shards = parts_.mailbox.shards();
  for (uint16_t tried = 0; line.maybe != 0 && tried < shards; ++tried) {
    next_shard_ = static_cast<uint16_t>((next_shard_ + 1) % shards);
    if ((line.maybe >> next_shard_ & 1) == 0) continue;
    if (line.asks[next_shard_] == kRemoteReceivesPerQueueMax) continue;
    ++line.asks[next_shard_];
    ++asks_under_way_;
    auto mail = std::make_unique<Mail>();
    mail->kind = MailKind::receive;
    mail->job = static_cast<uint64_t>(waiter.id);
    mail->queue = waiter.queue;
    mail->messages_max = waiter.plan.messages_max;
    if (waiter.standing && waiter.credit < mail->messages_max)
      mail->messages_max = static_cast<uint32_t>(waiter.credit);
    mail->bytes_max = waiter.plan.bytes_max;
    mail->visibility_ms = waiter.plan.visibility_ms;
    mail->attempt = waiter.plan.attempt;
    mail->holder = waiter.plan.holder;
    waiter.asked = mail->messages_max;
    if (waiter.standing) waiter.credit -= waiter.asked;
    parts_.mailbox.post(ShardId{next_shard_}, std::move(mail));
    return true;
  }
  return false;
}

void Receives::starve(QueueId queue) {
  if (std::find(starved_.begin(), starved_.end(), queue) == starved_.end())
    starved_.push_back(queue);
}

void Receives::serve_starved() {
  if (starved_.empty() || !parts_.state.can_lease()) return;
  std::erase_if(starved_, [&](QueueId queue) {
    Partition* partition = parts_.state.find(queue);
    if (partition == nullptr) return true;
    if (partition->at_in_flight_limit()) return false;
    something_ready(*partition);
    return true;
  });
}

void Receives::answer_due(QueueId queue, WaiterLine& line, Errc error) {
  for (size_t i = 0; i < line.due.size();) {
    const WaiterId id = line.due[i];
    if (waiters_.find(id)->asked > 0) {
      ++i;
      continue;
    }
    const bool waited = waiters_.find(id)->plan.wait_ms > 0;
    const Errc told = error == Errc::over_limit && waited ? Errc::ok : error;
    if (told == Errc::ok && !waiters_.find(id)->plan.rest)
      ++parts_.state.find(queue)->tally.empty_receives;
    end(id, told);  // takes it out of line.due
  }
}

// --- other shards ---

void Receives::on_receive(Mail& mail) {
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::receive_answer;
  answer->job = mail.job;
  answer->queue = mail.queue;
  answer->attempt = mail.attempt;
  Partition* partition = parts_.state.find(mail.queue);
  if (partition == nullptr) {
    answer->error = Errc::queue_not_found;
    return parts_.mailbox.post(mail.from, std::move(answer));
  }
  auto& deliveries = parts_.commits.deliveries();
  const auto first = static_cast<uint32_t>(deliveries.size());
  const auto leased = lease(*partition,
                            {.messages_max = mail.messages_max,
                             .bytes_max = mail.bytes_max,
                             .visibility_ms = mail.visibility_ms,
                             .attempt = mail.attempt,
                             .holder = mail.holder},
                            mail.messages_max);
  if (leased && *leased) {
    const auto count = static_cast<uint32_t>(deliveries.size()) - first;
    return park({.end = **leased,
                 .kind = Parked::Kind::mail,
                 .first = first,
                 .count = count,
                 .mail_to = mail.from,
                 .mail = std::move(answer)},
                *partition);
  }
  answer->error = leased.error();
  answer->more = leased && parts_.state.stopped_short();
  if (!leased || partition->at_in_flight_limit()) starve(mail.queue);
  partition->interested_shards |= uint64_t{1} << raw(mail.from);
  parts_.mailbox.post(mail.from, std::move(answer));
}

void Receives::on_answer(Mail& mail) {
  WaiterLine* line = waiters_.find_line(mail.queue);
  if (line != nullptr && line->asks[raw(mail.from)] > 0) {
    --line->asks[raw(mail.from)];
    --asks_under_way_;
    if (mail.deliveries.empty() && !mail.more) line->maybe &= ~(uint64_t{1} << raw(mail.from));
    mark_dirty(mail.queue, *line);
  }
  const WaiterId id{mail.job};
  Waiter* waiter = waiters_.find(id);
  if (waiter == nullptr) {
    // Who asks again with an attempt's id is given what it was; perhaps that is under way already.
    if (mail.attempt == AttemptKey{}) return_leases(mail.from, mail.deliveries);
    return;
  }
  const auto count = static_cast<uint32_t>(mail.deliveries.size());
  if (waiter->standing) waiter->credit += waiter->asked - count;
  waiter->asked = 0;
  if (count == 0) {
    if (waiter->resting) waiters_.move_to_back(id);
    return;
  }
  const ReplyTo to = waiter->to;
  if (waiter->standing)
    waiters_.move_to_back(id);
  else
    waiters_.remove(id);
  to.sink->on_receive(to.token, {Errc::ok, mail.deliveries});
}

void Receives::return_leases(ShardId shard, std::span<const Delivery> deliveries) {
  if (deliveries.empty()) return;
  auto mail = std::make_unique<Mail>();
  mail->kind = MailKind::give_back;
  for (const Delivery& delivery : deliveries)
    mail->entries.push_back({delivery.receipt, 0});
  parts_.mailbox.post(shard, std::move(mail));
}

void Receives::on_give_back(const Mail& mail) {
  std::vector<Errc> results(mail.entries.size());
  // Nobody waits for the outcome: what fails comes back when its lease ends.
  (void)parts_.state.extend({mail.entries}, results, parts_.now, [](QueueId) { return false; });
  extended(mail.entries);
}

void Receives::give_back(std::span<const Delivery> deliveries) {
  Mail mail;
  for (const Delivery& delivery : deliveries)
    mail.entries.push_back({delivery.receipt, 0});
  on_give_back(mail);
}

void Receives::on_something_ready(const Mail& mail) {
  if (parts_.state.find(mail.queue) == nullptr) return;
  WaiterLine* line = waiters_.find_line(mail.queue);
  if (line == nullptr) return;  // a new line asks everybody
  line->maybe |= uint64_t{1} << raw(mail.from);
  mark_dirty(mail.queue, *line);
}

void Receives::tell_interested() {
  for (const QueueId queue : ready_) {
    Partition* partition = parts_.state.find(queue);
    if (partition == nullptr || !partition->has_visible_ready()) continue;
    base::each_bit(partition->interested_shards, [&](size_t shard) {
      auto mail = std::make_unique<Mail>();
      mail->kind = MailKind::something_ready;
      mail->queue = queue;
      parts_.mailbox.post(ShardId{static_cast<uint16_t>(shard)}, std::move(mail));
    });
    partition->interested_shards = 0;
  }
  ready_.clear();
}

}  // namespace millrace::engine
