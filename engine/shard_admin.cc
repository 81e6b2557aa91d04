// The part of Shard that administers: queues, move tasks and figures are asked for here, and
// changes of the catalog, which its keeper on shard 0 makes durable, come back.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/limits.h"
#include "engine/outbox.h"
#include "engine/queue_attributes.h"
#include "engine/shard.h"

namespace millrace::engine {

void Shard::create_queue(std::string_view name, const QueueSettings& settings, ReplyTo reply) {
  if (const QueueInfo* known = catalog_.find(name)) {
    QueueAttributes same = known->attributes;
    std::string detail;
    if (apply_settings({.attributes = settings.attributes}, true, &same, &detail) &&
        same == known->attributes)
      return reply.sink->on_queues(reply.token, {Errc::ok, {}, {known, 1}});
  }
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::create;
  mail->name = name;
  mail->settings = settings;
  ask_keeper(std::move(mail), reply);
}

void Shard::set_queue(QueueId queue, const QueueSettings& settings, ReplyTo reply) {
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::set;
  mail->queue = queue;
  mail->settings = settings;
  ask_keeper(std::move(mail), reply);
}

void Shard::delete_queue(QueueId queue, ReplyTo reply) {
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::remove;
  mail->queue = queue;
  ask_keeper(std::move(mail), reply);
}

void Shard::start_move(const MoveRequest& request, ReplyTo reply) {
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::move_start;
  mail->queue = request.source;
  mail->move.destination = request.destination;
  mail->move.rate = request.rate;
  ask_keeper(std::move(mail), reply);
}

void Shard::cancel_move(QueueId source, uint64_t task, ReplyTo reply) {
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::move_cancel;
  mail->queue = source;
  mail->move.task = task;
  ask_keeper(std::move(mail), reply);
}

void Shard::list_moves(QueueId source, uint32_t max, ReplyTo reply) {
  auto mail = std::make_unique<Mail>();
  mail->admin = AdminKind::move_list;
  mail->queue = source;
  mail->messages_max = max;
  ask_keeper(std::move(mail), reply);
}

void Shard::Asked::answer(const Mail& mail) const {
  if (to.sink == nullptr) return;
  if (what >= AdminKind::move_start)
    return to.sink->on_moves(to.token, {mail.error, mail.detail, mail.tasks});
  if (what < AdminKind::topic_create)
    return to.sink->on_queues(to.token, {mail.error, mail.detail, mail.queues});
  TopicReply reply{mail.error, mail.detail, {}, {}};
  if (mail.topic_change != nullptr) {
    if (mail.topic_change->topic) reply.topics = {&*mail.topic_change->topic, 1};
    if (mail.topic_change->subscription)
      reply.subscriptions = {&*mail.topic_change->subscription, 1};
  }
  to.sink->on_topics(to.token, reply);
}

void Shard::Asked::refuse(Errc error) const {
  Mail mail;
  mail.error = error;
  answer(mail);
}

void Shard::ask_keeper(MailPtr mail, ReplyTo reply) {
  const Asked asked{reply, mail->admin};
  if (admin_.size() >= kGathersPerShardMax) return asked.refuse(Errc::over_limit);
  mail->kind = MailKind::admin;
  mail->job = next_admin_++;
  admin_[mail->job] = asked;
  mailbox_.post(ShardId{0}, std::move(mail));
}

void Shard::answer_admin(const Mail& mail) {
  const auto found = admin_.find(mail.job);
  if (found == admin_.end()) return;
  const Asked asked = found->second;
  admin_.erase(found);
  asked.answer(mail);
}

void Shard::purge_queue(QueueId queue, ReplyTo reply) {
  if (catalog_.find(queue) == nullptr)
    return reply.sink->on_queues(reply.token, {Errc::queue_not_found, {}, {}});
  gathers_.purge(queue, reply);
}

void Shard::list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                        ReplyTo reply) {
  std::vector<QueueInfo> queues;
  catalog_.list(prefix, after, std::min(max, kListQueuesMax), &queues);
  reply.sink->on_queues(reply.token, {Errc::ok, {}, queues});
}

void Shard::queue_stats(std::span<const QueueId> queues, ReplyTo reply) {
  std::vector<QueueInfo> asked;
  if (queues.empty()) catalog_.for_each([&](const QueueInfo& queue) { asked.push_back(queue); });
  for (const QueueId queue : queues) {
    const QueueInfo* info = catalog_.find(queue);
    if (info == nullptr) return reply.sink->on_queues(reply.token, {Errc::queue_not_found, {}, {}});
    asked.push_back(*info);
  }
  gathers_.counters(std::move(asked), reply);
}

void Shard::broker_stats(ReplyTo reply) {
  gathers_.shard_stats(durability_, reply);
}

ShardStats Shard::stats() const {
  const storage::ScrubFigures scrubbed = log_->scrubbed();
  return {.shard = id_,
          .head = log_->head(),
          .end = log_->end(),
          .written = log_->written(),
          .durable = log_->durable(),
          .live_bytes = log_->live_bytes(),
          .disk_bytes = log_->bytes_on_disk(),
          .bytes_written = log_->bytes_written(),
          .syncs = log_->syncs(),
          .index_bytes = state_.index_bytes(),
          .ticks = ticks_,
          .busy_ticks = busy_ticks_,
          .backup_held_bytes = log_->copy_held_bytes(),
          .backup_bytes = backups_.bytes_read(),
          .scrubbed_bytes = scrubbed.bytes,
          .scrub_mended = scrubbed.mended,
          .scrub_unreadable = scrubbed.unreadable,
          .memory_bytes = memory_bytes(),
          .memory_bytes_max = gate_.memory_bytes_max(),
          .waiting = receives_.waiting(),
          .timers = state_.timers().size(),
          .refused_memory = gate_.refused().memory,
          .refused_behind = gate_.refused().behind,
          .fenced = fenced_,
          .disk_full = log_->disk_full(),
          .memory_full = gate_.memory_full(),
          .commits = std::make_shared<const CommitTimes>(commit_clock_.times())};
}

void Shard::apply_catalog_change(const Mail& mail) {
  bool interval = interval_queues_;
  if (mail.topic_change != nullptr) {
    apply_topic_change(*mail.topic_change);
  } else if (!mail.queues.empty()) {
    const QueueInfo& queue = mail.queues.front();
    const bool fresh = catalog_.find(queue.id) == nullptr;
    catalog_.put(queue);
    if (fresh) add_partition(queue);
    note_rules(*catalog_.find(queue.id));
    interval |= queue.attributes.durability == Durability::interval;
  } else {
    remove_queue(mail.queue);
  }
  // All queues are looked at only if one that was, or is, gives a reason: there may be thousands.
  note_redrives();
  if (interval) note_interval_queues();
  auto applied = std::make_unique<Mail>();
  applied->kind = MailKind::catalog_applied;
  applied->job = mail.job;
  mailbox_.post(mail.from, std::move(applied));
}

void Shard::apply_topic_change(const TopicChange& change) {
  std::vector<SubscriptionInfo> gone;
  if (change.topic_gone != TopicId{}) topics_.list(change.topic_gone, {}, UINT32_MAX, &gone);
  if (const SubscriptionInfo* one = topics_.find(change.subscription_gone)) gone.push_back(*one);
  topics_.apply(change);
  if (change.topic) add_window(*change.topic);
  if (change.topic_gone != TopicId{}) state_.drop_queue(QueueId{raw(change.topic_gone)});
  for (const SubscriptionInfo& one : gone)
    if (catalog_.find_outbox(outbox_id(one.id)) != nullptr) remove_queue(outbox_id(one.id));
  if (change.subscription && follow_outbox(*change.subscription))
    note_rules(*catalog_.find_outbox(outbox_id(change.subscription->id)));
}

void Shard::remove_queue(QueueId queue) {
  receives_.queue_deleted(queue);
  state_.drop_queue(queue);
  catalog_.remove(queue);
}

// Whether a new one was made.
bool Shard::follow_outbox(const SubscriptionInfo& subscription) {
  const auto outbox = outbox_of(subscription);
  if (!outbox || catalog_.find_outbox(outbox->id) != nullptr) return false;
  catalog_.put_outbox(*outbox);
  add_partition(*outbox);
  return true;
}

// A FIFO topic whose home this is.
void Shard::add_window(const TopicInfo& topic) {
  const QueueId id{raw(topic.id)};
  if (!topic.attributes.fifo || topic.home != id_ || state_.find(id) != nullptr) return;
  state_.add_queue(id, {.fifo = true});
  state_.retention_changed(*state_.find(id), now_);
}

void Shard::add_partition(const QueueInfo& queue) {
  const QueueAttributes& attributes = queue.attributes;
  state_.add_queue(queue.id,
                   {attributes.fifo, attributes.deduplication_scope == DeduplicationScope::group});
  receives_.queue_created(*state_.find(queue.id));
}

void Shard::note_rules(const QueueInfo& queue) {
  redrives_ = redrives_ || !queue.attributes.dead_letter_queue.empty();
  Partition& partition = *state_.find(queue.id);
  partition.set_rules(rules_of(catalog_, queue, mailbox_.shards()));
  state_.retention_changed(partition, now_);
}

// A queue came or went: others may have named it.
void Shard::note_redrives() {
  if (!redrives_) return;
  catalog_.for_each([&](const QueueInfo& queue) {
    if (!queue.attributes.dead_letter_queue.empty()) note_rules(queue);
  });
}

void Shard::note_interval_queues() {
  interval_queues_ = false;
  if (durability_ != Durability::none) return;
  catalog_.for_each([&](const QueueInfo& queue) {
    interval_queues_ |= queue.attributes.durability == Durability::interval;
  });
}

}  // namespace millrace::engine
