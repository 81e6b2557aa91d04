#include "engine/sends.h"

#include <algorithm>
#include <utility>

#include "engine/limits.h"
#include "engine/message_names.h"
#include "engine/request_check.h"
#include "engine/take_each.h"

namespace millrace::engine {

// The remainder is for queues of earlier versions (Catalog::tied_to).
ShardId home_of(const QueueInfo& queue, const base::KeyedHash& names, Bytes properties,
                uint16_t shards) {
  uint64_t part = 0;
  if (queue.attributes.partitions > 1)
    part = group_key(names, properties).high % queue.attributes.partitions;
  return ShardId{static_cast<uint16_t>((raw(queue.first_shard) + part) % shards)};
}

void Sends::send(const SendRequest& request, ReplyTo to) {
  const auto refuse = [&](Errc error, uint32_t bad_index = 0) {
    to.sink->on_send(to.token,
                     {.error = error, .bad_index = bad_index, .shard = parts_.mailbox.own()});
  };
  const QueueInfo* queue = parts_.catalog.find(request.queue);
  if (queue == nullptr) return refuse(Errc::queue_not_found);
  const RunFault fault = check_run(request.messages, request.count, queue->attributes);
  if (fault.error != Errc::ok) return refuse(fault.error, fault.bad_index);
  if (const Errc refusal = gate_.judge(); refusal != Errc::ok) return refuse(refusal);
  if (queue->attributes.fifo && parts_.mailbox.shards() > 1) return forward(*queue, request, to);
  store_and_answer(*queue, request, to);
}

// Into this shard's partition.
Result<Sends::Stored> Sends::store(const QueueInfo& queue, Bytes run, uint32_t count) {
  Partition* partition = parts_.state.find(queue.id);
  if (partition == nullptr) return fail(Errc::queue_not_found);
  if (parts_.state.log().fenced()) return fail(Errc::shard_fenced);
  const Durability level = parts_.level(queue);
  const bool durable = level == Durability::commit || parts_.state.log().durable() < safe_at_;
  const auto enqueued =
      queue.attributes.fifo
          ? parts_.state.enqueue_fifo(*partition, run, count, queue.attributes, durable, parts_.now)
          : parts_.state.enqueue(*partition, run, count, queue.attributes.delay_ms, durable,
                                 parts_.now);
  if (!enqueued) return fail(enqueued.error());
  return Stored{enqueued->end, durable, level, enqueued->first_slot, enqueued->slots};
}

void Sends::store_and_answer(const QueueInfo& queue, const SendRequest& request, ReplyTo to) {
  const auto stored = store(queue, request.messages, request.count);
  const ShardId own = parts_.mailbox.own();
  if (!stored) return to.sink->on_send(to.token, {.error = stored.error(), .shard = own});
  Parked parked{.end = stored->end,
                .kind = Parked::Kind::send,
                .to = to,
                .send = {.durability = stored->level,
                         .shard = own,
                         .position = stored->end,
                         .first_slot = stored->first}};
  if (!stored->slots.empty()) {
    parked.shard_slots = std::make_unique<std::vector<uint64_t>>();
    for (const Slot slot : stored->slots)
      parked.shard_slots->push_back(pack_shard_slot(own, slot));
  }
  parts_.commits.park(park_level(stored->durable), std::move(parked));
}

void Sends::forward(const QueueInfo& queue, const SendRequest& request, ReplyTo to) {
  const uint16_t shards = parts_.mailbox.shards();
  const ShardId own = parts_.mailbox.own();
  const base::KeyedHash& names = parts_.state.names();
  homes_.clear();
  for (size_t offset = 0; homes_.size() < request.count;) {
    const std::byte* message = request.messages.data() + offset;
    homes_.push_back(home_of(queue, names, properties_of(message), shards));
    offset += message_stride(*reinterpret_cast<const MessageHeader*>(message));
  }
  if (std::all_of(homes_.begin(), homes_.end(), [own](ShardId home) { return home == own; }))
    return store_and_answer(queue, request, to);
  std::vector<Part> parts(shards);
  uint16_t used = 0;
  size_t offset = 0;
  for (uint32_t i = 0; i < request.count; ++i) {
    const std::byte* message = request.messages.data() + offset;
    const uint64_t stride = message_stride(*reinterpret_cast<const MessageHeader*>(message));
    Part& part = parts[raw(homes_[i])];
    used += part.order.empty();
    part.run.insert(part.run.end(), message, message + stride);
    part.order.push_back(i);
    offset += stride;
  }
  if (forwarded_.size() >= kGathersPerShardMax)
    return to.sink->on_send(to.token, {.error = Errc::over_limit, .shard = parts_.mailbox.own()});
  const uint64_t job = next_job_++;
  Forwarded& under_way = forwarded_[job];
  under_way.to = to;
  under_way.parts_left = used;
  under_way.bytes = sizeof(Forwarded) + request.messages.size() + request.count * 12ull;
  forwarded_bytes_ += under_way.bytes;
  under_way.reply.durability = parts_.level(queue);
  under_way.shard_slots.resize(request.count);
  under_way.order.resize(shards);
  for (uint16_t shard = 0; shard < shards; ++shard) {
    if (parts[shard].order.empty()) continue;
    auto mail = std::make_unique<Mail>();
    mail->kind = MailKind::send;
    mail->job = job;
    mail->queue = queue.id;
    mail->messages_max = static_cast<uint32_t>(parts[shard].order.size());
    mail->bytes = std::move(parts[shard].run);
    under_way.order[shard] = std::move(parts[shard].order);
    // What is ours is stored now, as a run that is all ours would be: none overtakes another.
    mail->from = own;
    if (ShardId{shard} == own)
      on_send(*mail);
    else
      parts_.mailbox.post(ShardId{shard}, std::move(mail));
  }
}

void Sends::on_send(const Mail& mail) {
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::sent;
  answer->job = mail.job;
  const QueueInfo* queue = parts_.catalog.find(mail.queue);
  const Errc refusal = queue == nullptr ? Errc::queue_not_found : gate_.judge();
  const auto stored = refusal != Errc::ok ? Result<Stored>(fail(refusal))
                                          : store(*queue, mail.bytes, mail.messages_max);
  if (!stored) {
    answer->error = stored.error();
    return parts_.mailbox.post(mail.from, std::move(answer));
  }
  answer->position = stored->end;
  for (uint32_t i = 0; i < mail.messages_max; ++i)
    answer->shard_slots.push_back(pack_shard_slot(
        parts_.mailbox.own(), stored->slots.empty() ? stored->first + i : stored->slots[i]));
  parts_.commits.park(park_level(stored->durable), {.end = stored->end,
                                                    .kind = Parked::Kind::mail,
                                                    .mail_to = mail.from,
                                                    .mail = std::move(answer)});
}

void Sends::on_sent(const Mail& mail) {
  const auto found = forwarded_.find(mail.job);
  if (found == forwarded_.end()) return;
  Forwarded& sent = found->second;
  if (mail.error != Errc::ok) {
    sent.reply.error = mail.error;
  } else {
    const auto& order = sent.order[raw(mail.from)];
    for (size_t i = 0; i < order.size(); ++i)
      sent.shard_slots[order[i]] = mail.shard_slots[i];
    sent.reply.shard = mail.from;
    sent.reply.position = mail.position;
  }
  if (--sent.parts_left > 0) return;
  Forwarded done = std::move(sent);
  forwarded_.erase(found);
  forwarded_bytes_ -= done.bytes;
  if (done.to.sink == nullptr) return;
  // A part that failed fails the run: sent again, what was stored is a duplicate.
  if (done.reply.error != Errc::ok) {
    return done.to.sink->on_send(done.to.token, {.error = done.reply.error});
  }
  done.reply.first_slot = slot_of(done.shard_slots.front());
  done.reply.shard_slots = done.shard_slots;
  done.to.sink->on_send(done.to.token, done.reply);
}

void Sends::cancel_all(const ReplySink* sink) {
  for (auto& [job, sent] : forwarded_)
    if (sent.to.sink == sink) sent.to.sink = nullptr;
}

void Sends::fail_all(Errc error) {
  take_each(forwarded_, [&](const Forwarded& sent) {
    forwarded_bytes_ -= sent.bytes;
    if (sent.to.sink != nullptr) sent.to.sink->on_send(sent.to.token, {.error = error});
  });
}

}  // namespace millrace::engine
