#include "engine/gathers.h"

#include <algorithm>

#include "base/assert.h"
#include "engine/deliveries.h"
#include "engine/limits.h"
#include "engine/request_check.h"
#include "engine/take_each.h"

namespace millrace::engine {
namespace {

const Receipt& receipt_of(const Receipt& receipt) {
  return receipt;
}
const Receipt& receipt_of(const ExtendEntry& entry) {
  return entry.receipt;
}

std::shared_ptr<const QueueTimes> sum_of(const std::shared_ptr<const QueueTimes>& a,
                                         const std::shared_ptr<const QueueTimes>& b) {
  if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
  auto sum = std::make_shared<QueueTimes>(*a);
  sum->wait.add(b->wait);
  sum->lease.add(b->lease);
  return sum;
}

}  // namespace

// --- asking ---

uint64_t Gathers::start(Gather gather) {
  const uint64_t job = next_job_++;
  gathers_.emplace(job, std::move(gather));
  return job;
}

bool Gathers::full() const {
  return gathers_.size() >= kGathersPerShardMax;
}

void Gathers::ask_all(uint64_t job, MailKind kind, const std::function<void(Mail&)>& fill) {
  const uint16_t shards = parts_.mailbox.shards();
  gathers_.at(job).parts_left = shards;
  for (uint16_t shard = 0; shard < shards; ++shard) {
    auto mail = std::make_unique<Mail>();
    mail->kind = kind;
    mail->job = job;
    fill(*mail);
    parts_.mailbox.post(ShardId{shard}, std::move(mail));
  }
}

// Sends each entry that is well so far to the shard its receipt names, in one mail a shard.
template <class Entry>
void Gathers::scatter(MailKind kind, std::span<const Entry> entries, std::vector<Entry> Mail::*part,
                      std::vector<Errc> results, ReplyTo to, uint32_t holder) {
  if (full()) return to.sink->on_results(to.token, {Errc::over_limit, {}});
  const uint16_t shards = parts_.mailbox.shards();
  std::vector<MailPtr> mails(shards);
  Gather gather{.kind = kind, .to = to};
  gather.order.resize(shards);
  for (uint32_t i = 0; i < entries.size(); ++i) {
    if (results[i] != Errc::ok) continue;
    const uint16_t shard = raw(shard_of(receipt_of(entries[i]).shard_slot));
    if (mails[shard] == nullptr) mails[shard] = std::make_unique<Mail>();
    ((*mails[shard]).*part).push_back(entries[i]);
    gather.order[shard].push_back(i);
  }
  gather.results = std::move(results);
  for (const auto& mail : mails)
    gather.parts_left += mail != nullptr;
  if (gather.parts_left == 0) return finish(gather);
  const uint64_t job = start(std::move(gather));
  for (uint16_t shard = 0; shard < shards; ++shard) {
    if (mails[shard] == nullptr) continue;
    mails[shard]->kind = kind;
    mails[shard]->job = job;
    mails[shard]->holder = holder;
    parts_.mailbox.post(ShardId{shard}, std::move(mails[shard]));
  }
}

void Gathers::ack(std::span<const Receipt> receipts, std::vector<Errc> results, ReplyTo to) {
  scatter(MailKind::ack, receipts, &Mail::receipts, std::move(results), to);
}

void Gathers::extend(const ExtendRequest& request, std::vector<Errc> results, ReplyTo to) {
  scatter(MailKind::extend, request.entries, &Mail::entries, std::move(results), to,
          request.holder);
}

void Gathers::peek(const PeekRequest& request, ReplyTo to) {
  if (full()) return to.sink->on_peek(to.token, {Errc::over_limit, {}});
  const uint64_t job =
      start({.kind = MailKind::peek, .to = to, .messages_max = request.messages_max});
  gathers_.at(job).answers.resize(parts_.mailbox.shards());
  ask_all(job, MailKind::peek, [&](Mail& mail) {
    mail.queue = request.queue;
    mail.messages_max = request.messages_max;
    mail.states = request.states;
  });
}

void Gathers::purge(QueueId queue, ReplyTo to) {
  if (full()) return to.sink->on_queues(to.token, {Errc::over_limit, {}, {}});
  const uint64_t job = start({.kind = MailKind::purge, .to = to});
  ask_all(job, MailKind::purge, [&](Mail& mail) { mail.queue = queue; });
}

void Gathers::repeat(const ReceiveRequest& request, ReplyTo to) {
  const QueueInfo* info = parts_.catalog.find(request.queue);
  const auto plan =
      info == nullptr ? fail(Errc::queue_not_found) : plan_receive(request, info->attributes);
  if (!plan) return to.sink->on_receive(to.token, {plan.error(), {}});
  if (full()) return to.sink->on_receive(to.token, {Errc::over_limit, {}});
  const AttemptKey attempt = parts_.state.attempt_key(request.queue, request.attempt_id);
  const uint64_t job = start({.kind = MailKind::repeat, .to = to, .receive = request});
  Gather& gather = gathers_.at(job);
  gather.attempt_id = request.attempt_id;
  gather.answers.resize(parts_.mailbox.shards());
  ask_all(job, MailKind::repeat, [&](Mail& mail) {
    mail.queue = request.queue;
    mail.attempt = attempt;
    mail.visibility_ms = plan->visibility_ms;
    mail.holder = plan->holder;
  });
}

void Gathers::counters(std::vector<QueueInfo> queues, ReplyTo to) {
  if (full()) return to.sink->on_queues(to.token, {Errc::over_limit, {}, {}});
  std::vector<QueueId> ids;
  ids.reserve(queues.size());
  for (const QueueInfo& queue : queues)
    ids.push_back(queue.id);
  const uint64_t job = start({.kind = MailKind::counters, .to = to, .queues = std::move(queues)});
  ask_all(job, MailKind::counters, [&](Mail& mail) { mail.queue_ids = ids; });
}

void Gathers::shard_stats(Durability durability, ReplyTo to) {
  if (full()) return to.sink->on_stats(to.token, {Errc::over_limit, {}, {}});
  const uint64_t job = start({.kind = MailKind::shard_stats, .to = to, .durability = durability});
  gathers_.at(job).stats.resize(parts_.mailbox.shards());
  ask_all(job, MailKind::shard_stats, [](Mail&) {});
}

void Gathers::cancel_all(const ReplySink* sink) {
  for (auto& [job, gather] : gathers_)
    if (gather.to.sink == sink) gather.to.sink = nullptr;
}

void Gathers::cancel(ReplyTo to) {
  for (auto& [job, gather] : gathers_)
    if (gather.kind == MailKind::repeat && gather.to.sink == to.sink && gather.to.token == to.token)
      gather.to.sink = nullptr;
}

void Gathers::fail_all(Errc error) {
  take_each(gathers_, [&](Gather& gather) {
    gather.error = error;
    finish(gather);
  });
}

// --- a part asked of this shard ---

MailPtr Gathers::answer_to(const Mail& mail) const {
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::part_answer;
  answer->job = mail.job;
  return answer;
}

void Gathers::answer_when(Errc error, ShardState::Wait wait, const Mail& asked, MailPtr answer) {
  answer->error = error;
  if (error != Errc::ok || wait.end == Position{})
    return parts_.mailbox.post(asked.from, std::move(answer));
  parts_.commits.park(park_level(wait.durable), {.end = wait.end,
                                                 .kind = Parked::Kind::mail,
                                                 .mail_to = asked.from,
                                                 .mail = std::move(answer)});
}

void Gathers::on_ack(Mail& mail) {
  auto answer = answer_to(mail);
  if (parts_.state.log().fenced())
    return answer_when(Errc::shard_fenced, {}, mail, std::move(answer));
  answer->results.resize(mail.receipts.size());
  const auto wait = parts_.state.ack(mail.receipts, answer->results, parts_.now,
                                     [&](QueueId queue) { return parts_.waits_durable(queue); });
  receives_.acknowledged(mail.receipts);
  answer_when(wait.error(), wait.value_or({}), mail, std::move(answer));
}

void Gathers::on_extend(Mail& mail) {
  auto answer = answer_to(mail);
  if (parts_.state.log().fenced())
    return answer_when(Errc::shard_fenced, {}, mail, std::move(answer));
  answer->results.resize(mail.entries.size());
  const auto wait = parts_.state.extend({mail.entries, mail.holder}, answer->results, parts_.now,
                                        [&](QueueId queue) { return parts_.waits_durable(queue); });
  receives_.extended(mail.entries);
  answer_when(wait.error(), wait.value_or({}), mail, std::move(answer));
}

void peek_partition(ShardState& state, Partition& partition, uint32_t messages_max, uint8_t states,
                    Mail* mail) {
  const SlotIndex& index = partition.index();
  storage::Log& log = state.log();
  const auto add = [&](Slot slot) {
    const auto status = partition.status(slot, state.timers());
    if ((states >> static_cast<uint8_t>(status.state) & 1) == 0) return;
    const Position at = index.position(slot);
    const auto stored = message_at(log, at);
    if (!stored) return log.fence_corrupt(at);
    const Bytes message = stored->bytes();
    mail->bytes.insert(mail->bytes.end(), message.begin(), message.end());
    if (stored->published())
      put_stamp(state.stamp_of(partition.queue(), slot, *stored),
                mail->bytes.data() + mail->bytes.size() - message.size());
    // finish() points each at its bytes in the mail, which lie one after the other.
    PeekedMessage peeked{.shard_slot = pack_shard_slot(state.shard(), slot),
                         .sent_at = stored->sent_at(),
                         .due = status.due,
                         .receive_count = index.receive_count(slot),
                         .holder = index.holder(slot),
                         .state = status.state,
                         .message = message};
    if (peeked.receive_count > 0) {
      peeked.first_received_at = peeked.sent_at + index.received(slot).first_ms;
      peeked.last_received_at = peeked.sent_at + index.received(slot).last_ms;
    }
    mail->peeked.push_back(peeked);
  };
  // Where tenants are kept apart not all that is ready is marked so.
  const bool only_ready =
      states == 1 << static_cast<uint8_t>(MessageState::ready) && !partition.keeps_tenants();
  Slot from{0};
  // What no answer can hold is not copied: a thousand of the largest would be a gigabyte.
  const auto full = [&] {
    return mail->peeked.size() == messages_max || mail->bytes.size() >= kBatchBytesMax;
  };
  for (uint32_t n = 0; n < kPeekScannedMax && !full(); ++n) {
    const auto slot =
        only_ready ? index.next_ready(from, partition.visible_end()) : index.next_live(from);
    if (!slot || *slot >= partition.visible_end()) break;
    add(*slot);
    from = *slot + 1;
  }
}

void Gathers::on_peek(const Mail& mail) {
  auto answer = answer_to(mail);
  if (parts_.state.log().fenced())
    return answer_when(Errc::shard_fenced, {}, mail, std::move(answer));
  if (Partition* partition = parts_.state.find(mail.queue))
    peek_partition(parts_.state, *partition, mail.messages_max, mail.states, answer.get());
  parts_.mailbox.post(mail.from, std::move(answer));
}

void Gathers::on_purge(const Mail& mail) {
  auto answer = answer_to(mail);
  Partition* partition = parts_.state.find(mail.queue);
  if (partition == nullptr) {
    answer->error = Errc::queue_not_found;
    return parts_.mailbox.post(mail.from, std::move(answer));
  }
  const auto end = parts_.state.purge(*partition);
  answer_when(end.error(), {end.value_or({}), parts_.waits_durable(mail.queue)}, mail,
              std::move(answer));
}

void Gathers::on_repeat(const Mail& mail) {
  auto answer = answer_to(mail);
  Partition* partition = parts_.state.find(mail.queue);
  if (partition == nullptr || parts_.state.log().fenced()) {
    answer->error = partition == nullptr ? Errc::queue_not_found : Errc::shard_fenced;
    return parts_.mailbox.post(mail.from, std::move(answer));
  }
  auto& deliveries = parts_.commits.deliveries();
  const auto first = deliveries.size();
  const auto repeated = parts_.state.repeat(*partition, mail.attempt, mail.visibility_ms,
                                            parts_.now, &deliveries, mail.holder);
  copy_deliveries(std::span<const Delivery>(deliveries).subspan(first), &answer->bytes,
                  &answer->deliveries);
  deliveries.resize(first);
  const Position end = repeated && *repeated ? **repeated : Position{};
  answer_when(repeated.error(), {end, parts_.waits_durable(mail.queue)}, mail, std::move(answer));
}

void Gathers::on_counters(const Mail& mail) {
  auto answer = answer_to(mail);
  if (parts_.state.log().fenced())
    return answer_when(Errc::shard_fenced, {}, mail, std::move(answer));
  answer->counters.reserve(mail.queue_ids.size());
  for (const QueueId queue : mail.queue_ids) {
    const Partition* partition = parts_.state.find(queue);
    answer->counters.push_back(partition == nullptr ? QueueCounters{}
                                                    : partition->counters(parts_.state.log()));
  }
  parts_.mailbox.post(mail.from, std::move(answer));
}

void Gathers::on_shard_stats(const Mail& mail, const ShardStats& stats) {
  auto answer = answer_to(mail);
  answer->stats = stats;
  parts_.mailbox.post(mail.from, std::move(answer));
}

// --- answers ---

void Gathers::on_part(MailPtr mail) {
  const auto found = gathers_.find(mail->job);
  if (found == gathers_.end()) return;
  Gather& gather = found->second;
  if (mail->error != Errc::ok) {
    gather.error = mail->error;
  } else {
    switch (gather.kind) {
      case MailKind::ack:
      case MailKind::extend: {
        const auto& order = gather.order[raw(mail->from)];
        for (size_t i = 0; i < order.size(); ++i)
          gather.results[order[i]] = mail->results[i];
        break;
      }
      case MailKind::counters:
        for (size_t i = 0; i < gather.queues.size(); ++i) {
          QueueCounters& sum = gather.queues[i].counters;
          const QueueCounters& part = mail->counters[i];
          for (const auto field :
               {&QueueCounters::ready, &QueueCounters::leased, &QueueCounters::delayed,
                &QueueCounters::bytes, &QueueCounters::sent, &QueueCounters::received,
                &QueueCounters::acked, &QueueCounters::expired, &QueueCounters::empty_receives,
                &QueueCounters::redelivered, &QueueCounters::dead_lettered,
                &QueueCounters::aged_out})
            sum.*field += part.*field;
          if (part.oldest_sent_at_ms != 0 &&
              (sum.oldest_sent_at_ms == 0 || part.oldest_sent_at_ms < sum.oldest_sent_at_ms))
            sum.oldest_sent_at_ms = part.oldest_sent_at_ms;
          sum.times = sum_of(sum.times, part.times);
        }
        break;
      case MailKind::shard_stats:
        gather.stats[raw(mail->from)] = mail->stats;
        break;
      case MailKind::peek:
      case MailKind::repeat:
        gather.answers[raw(mail->from)] = std::move(mail);
        break;
      default:
        break;  // purge: the answer is all
    }
  }
  if (--gather.parts_left > 0) return;
  Gather done = std::move(gather);
  gathers_.erase(found);
  finish(done);
}

void Gathers::finish(Gather& gather) {
  ReplySink* sink = gather.to.sink;
  const uint64_t token = gather.to.token;
  if (sink == nullptr) return;
  switch (gather.kind) {
    case MailKind::ack:
    case MailKind::extend:
      // A part that failed as a whole fails the request: which entries it was does not matter to
      // who must ask again.
      if (gather.error != Errc::ok) return sink->on_results(token, {gather.error, {}});
      return sink->on_results(token, {Errc::ok, gather.results});
    case MailKind::peek: {
      std::vector<PeekedMessage> messages;
      for (const MailPtr& answer : gather.answers) {
        if (answer == nullptr) continue;
        size_t offset = 0;
        for (PeekedMessage& peeked : answer->peeked) {
          if (messages.size() == gather.messages_max) break;
          peeked.message = Bytes{answer->bytes.data() + offset, peeked.message.size()};
          offset += peeked.message.size();
          messages.push_back(peeked);
        }
      }
      return sink->on_peek(token, {gather.error, messages});
    }
    case MailKind::repeat:
      if (gather.error != Errc::ok) return sink->on_receive(token, {gather.error, {}});
      for (const MailPtr& answer : gather.answers)
        if (answer != nullptr && !answer->deliveries.empty())
          return sink->on_receive(token, {Errc::ok, answer->deliveries});
      gather.receive.attempt_id = gather.attempt_id;
      return receives_.receive(gather.receive, gather.to);
    case MailKind::counters:
      return sink->on_queues(token, {gather.error, {}, gather.queues});
    case MailKind::shard_stats:
      return sink->on_stats(token, {gather.error, gather.stats, gather.durability});
    default:
      return sink->on_queues(token, {gather.error, {}, {}});
  }
}

}  // namespace millrace::engine
