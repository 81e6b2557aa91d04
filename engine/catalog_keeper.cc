#include "engine/catalog_keeper.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "engine/limits.h"
#include "engine/queue_attributes.h"
#include "engine/record_check.h"
#include "engine/redrive_policy.h"
#include "storage/format.h"

namespace millrace::engine {
Result<std::unique_ptr<CatalogKeeper>> CatalogKeeper::open(std::unique_ptr<storage::Disk> disk,
                                                           std::unique_ptr<storage::Log> log,
                                                           const ReceiptKey& fresh_key, TimeMs now,
                                                           std::string* message) {
  std::unique_ptr<CatalogKeeper> keeper(new CatalogKeeper(std::move(disk)));
  keeper->log_ = std::move(log);
  keeper->moves_.use(*keeper->log_);
  keeper->reads_.emplace(*keeper->disk_, *keeper->log_);
  keeper->topics_.use(*keeper->log_);
  const auto report = keeper->log_->recover(keeper->log_->head(), *keeper, now);
  if (!report) {
    *message = fmt::format("the catalog could not be recovered: {}", errc_text(report.error()));
    return fail(report.error());
  }
  keeper->report_ = *report;
  if (!keeper->unreadable_.empty()) {
    *message = keeper->unreadable_;
    return fail(Errc::format_too_new);
  }
  if (!keeper->has_key_) {
    keeper->key_ = fresh_key;
    keeper->has_key_ = true;
    if (const auto appended = keeper->append_meta(); !appended) return fail(appended.error());
  }
  return keeper;
}

CatalogKeeper::~CatalogKeeper() = default;

void CatalogKeeper::set_shard_count(uint16_t shards) {
  if (shards == shard_count_) return;
  shard_count_ = shards;
  (void)append_meta();  // a log that is fenced already says so at the first change
}

void CatalogKeeper::set_retention_waits(bool waits) {
  if (waits == retention_waits_) return;
  retention_waits_ = waits;
  (void)append_meta();
}

void CatalogKeeper::on_record(const storage::Record& record) {
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::queue_put:
      if (const auto queue = decode_queue(record.body, &unreadable_)) {
        if (const QueueInfo* known = catalog_.find(queue->id);
            known != nullptr && known->name != queue->name) {
          refuse_record(record, "it gives a queue another name");
          break;
        }
        catalog_.put(*queue);
        place(queue->id, record.position, record.body.size());
        next_queue_id_ = std::max(next_queue_id_, raw(queue->id) + 1);
      }
      break;
    case RecordKind::queue_delete:
      if (const auto gone = read_head<QueueGone>(record.body)) {
        if (gone->queue_id > kQueueIdMax) {
          refuse_record(record, "the queue's number is none");
          break;
        }
        catalog_.remove(QueueId{gone->queue_id});
        unplace(QueueId{gone->queue_id});
        moves_.queue_gone(QueueId{gone->queue_id});
        next_queue_id_ = std::max(next_queue_id_, gone->queue_id + 1);
      } else {
        refuse_record(record, "it is too short for its kind");
      }
      break;
    case RecordKind::meta:
      if (const auto meta = read_head<CatalogMeta>(record.body)) {
        if (const std::string_view wrong = wrong_with(*meta); !wrong.empty()) {
          refuse_record(record, wrong);
          break;
        }
        next_queue_id_ = std::max(next_queue_id_, meta->next_queue_id);
        shard_count_ = meta->shard_count;
        retention_waits_ = (meta->flags & kMetaRetentionWaits) != 0;
        std::copy(std::begin(meta->receipt_key), std::end(meta->receipt_key), key_.begin());
        has_key_ = true;
        if (meta_placed_.bytes > 0) log_->remove_live(meta_placed_.position, meta_placed_.bytes);
        meta_placed_ = {record.position, storage::record_stride(sizeof *meta)};
        log_->add_live(meta_placed_.position, meta_placed_.bytes);
      } else {
        refuse_record(record, "it is too short for its kind");
      }
      break;
    case RecordKind::move_task:
      if (!moves_.on_record(record)) refuse_record(record, "it is no move task");
      break;
    default:
      if (const std::string wrong = topics_.on_record(record); !wrong.empty())
        refuse_record(record, wrong);
      break;
  }
}

// Of a record that this program does not write. The first one is told.
void CatalogKeeper::refuse_record(const storage::Record& record, std::string_view wrong) {
  if (unreadable_.empty())
    unreadable_ = fmt::format("the catalog's record at position {}, of kind {}, can't be: {}",
                              record.position.value, record.kind, wrong);
}

void CatalogKeeper::place(QueueId queue, Position position, uint64_t body_bytes) {
  unplace(queue);
  const Placed placed{position, storage::record_stride(body_bytes)};
  log_->add_live(placed.position, placed.bytes);
  placed_[queue] = placed;
}

void CatalogKeeper::unplace(QueueId queue) {
  const auto found = placed_.find(queue);
  if (found == placed_.end()) return;
  log_->remove_live(found->second.position, found->second.bytes);
  placed_.erase(found);
}

// Live path and replay change the catalog by the same on_record().
Status CatalogKeeper::append_put(const QueueInfo& queue, storage::Space space) {
  const auto body = encode_queue(queue);
  const std::array<Bytes, 1> parts{Bytes(body)};
  const auto position = log_->append(raw(RecordKind::queue_put), parts, space);
  if (!position) return fail(position.error());
  last_end_ = *position + storage::record_stride(body.size());
  on_record({*position, raw(RecordKind::queue_put), body});
  base::crash_here("catalog-appended");
  return {};
}

// Where a FIFO queue lives, for good: on one shard, or spread by group on as many as asked for.
Status CatalogKeeper::choose_home(QueueInfo& queue, std::string* detail) const {
  QueueAttributes& attributes = queue.attributes;
  if (!attributes.fifo) return {};
  const bool spread = attributes.deduplication_scope == DeduplicationScope::group &&
                      attributes.throughput_limit == ThroughputLimit::group;
  const uint16_t most = spread ? shard_count_ : uint16_t{1};
  if (attributes.partitions > most) {
    *detail = spread ? fmt::format("Partitions is {}; it may be 1 to {}, the shards there are",
                                   attributes.partitions, most)
                     : fmt::format(
                           "Partitions is {}; it may be more than 1 only when "
                           "FifoThroughputLimit is perMessageGroupId",
                           attributes.partitions);
    return fail(Errc::invalid_argument);
  }
  if (attributes.partitions == 0) attributes.partitions = most;
  // Never past the last shard: with more of them later a group must still be at home where it was.
  const uint32_t firsts = shard_count_ - attributes.partitions + 1u;
  queue.first_shard = ShardId{static_cast<uint16_t>(raw(queue.id) % firsts)};
  return {};
}

// Of a redrive policy that is set now. A target may go later: then nothing is moved.
Status CatalogKeeper::check_dead_letter_queue(const QueueInfo& queue, std::string* detail) const {
  const std::string& name = queue.attributes.dead_letter_queue;
  if (name.empty() || name == queue.name) return {};
  const QueueInfo* target = catalog_.find(name);
  if (target == nullptr)
    *detail = fmt::format("RedrivePolicy names '{}'; there is no such queue", name);
  else if (target->attributes.fifo != queue.attributes.fifo)
    *detail = fmt::format("RedrivePolicy names '{}'; it may name a {} queue", name,
                          queue.attributes.fifo ? "FIFO" : "standard");
  else if (!allows_dead_letters(target->attributes, queue.name))
    *detail = fmt::format("RedrivePolicy names '{}'; its RedriveAllowPolicy does not allow '{}'",
                          name, queue.name);
  else
    return {};
  return fail(Errc::invalid_argument);
}

Status CatalogKeeper::append_meta() {
  CatalogMeta meta{
      next_queue_id_, shard_count_, retention_waits_ ? kMetaRetentionWaits : uint16_t{0}, {}};
  std::copy(key_.begin(), key_.end(), std::begin(meta.receipt_key));
  const std::array<Bytes, 1> parts{bytes_of(meta)};
  const auto position = log_->append(raw(RecordKind::meta), parts, storage::Space::cleans);
  if (!position) return fail(position.error());
  last_end_ = *position + storage::record_stride(sizeof meta);
  on_record({*position, raw(RecordKind::meta), bytes_of(meta)});
  return {};
}

// --- changes ---

void CatalogKeeper::on_admin(MailPtr mail, TimeMs now, Mailbox& mailbox) {
  if (log_->fenced()) return refuse(*mail, Errc::shard_fenced, {}, mailbox);
  if (mail->admin >= AdminKind::move_start) return moves_.on_admin(*mail, last_end_, now, mailbox);
  if (mail->admin >= AdminKind::topic_create) return decide_topics(*mail, now, mailbox);
  if (mail->admin == AdminKind::create) return create(*mail, now, mailbox);
  const QueueInfo* known = catalog_.find(mail->queue);
  if (known == nullptr) return refuse(*mail, Errc::queue_not_found, {}, mailbox);
  if (mail->admin == AdminKind::set) return set(*mail, *known, now, mailbox);
  const QueueGone body{raw(mail->queue), 0};
  const std::array<Bytes, 1> parts{bytes_of(body)};
  const auto position = log_->append(raw(RecordKind::queue_delete), parts, storage::Space::frees);
  if (!position) return refuse(*mail, position.error(), {}, mailbox);
  last_end_ = *position + storage::record_stride(sizeof body);
  on_record({*position, raw(RecordKind::queue_delete), bytes_of(body)});
  accept(*mail, mail->queue, nullptr);
}

void CatalogKeeper::create(const Mail& mail, TimeMs now, Mailbox& mailbox) {
  QueueInfo wanted;
  std::string detail;
  if (const QueueInfo* known = catalog_.find(mail.name)) {
    wanted.attributes = known->attributes;
    if (const auto valid = apply_settings({.attributes = mail.settings.attributes}, true,
                                          &wanted.attributes, &detail);
        !valid)
      return refuse(mail, valid.error(), std::move(detail), mailbox);
    if (wanted.attributes == known->attributes) return accept(mail, known->id, known);
    return refuse(mail, Errc::queue_exists,
                  fmt::format("the queue exists with another {}",
                              first_difference(wanted.attributes, known->attributes)),
                  mailbox);
  }
  if (const auto valid = apply_settings(mail.settings, true, &wanted.attributes, &detail); !valid)
    return refuse(mail, valid.error(), std::move(detail), mailbox);
  if (const auto valid = check_queue_name(mail.name, wanted.attributes.fifo); !valid)
    return refuse(mail, valid.error(),
                  wanted.attributes.fifo ? "of a FIFO queue it ends in .fifo" : std::string(),
                  mailbox);
  if (catalog_.size() >= kQueuesMax || next_queue_id_ > kQueueIdMax)
    return refuse(mail, Errc::over_limit, "there are as many queues as there may be", mailbox);
  wanted.id = QueueId{next_queue_id_};
  wanted.name = mail.name;
  wanted.created_at_ms = now.value;
  wanted.modified_at_ms = now.value;
  Status valid = choose_home(wanted, &detail);
  if (valid) valid = check_dead_letter_queue(wanted, &detail);
  if (!valid) return refuse(mail, valid.error(), std::move(detail), mailbox);
  if (const auto put = append_put(wanted, storage::Space::grows); !put)
    return refuse(mail, put.error(), {}, mailbox);
  accept(mail, wanted.id, catalog_.find(wanted.id));
}

void CatalogKeeper::set(const Mail& mail, const QueueInfo& known, TimeMs now, Mailbox& mailbox) {
  // Told behind the change that it came too late for.
  if (mail.settings.policy_before && *mail.settings.policy_before != known.attributes.policy)
    return accept(mail, known.id, &known, Errc::throttled);
  QueueInfo wanted = known;
  std::string detail;
  Status valid = apply_settings(mail.settings, false, &wanted.attributes, &detail);
  const bool redrives =
      std::any_of(mail.settings.attributes.begin(), mail.settings.attributes.end(),
                  [](const NamedText& text) { return text.name == "RedrivePolicy"; });
  if (valid && redrives) valid = check_dead_letter_queue(wanted, &detail);
  if (!valid) return refuse(mail, valid.error(), std::move(detail), mailbox);
  if (wanted.attributes != known.attributes) {
    // A change of tags is none of the attributes. In any case it is later than the creation: by
    // that a queue is told from one that was never changed.
    if (!mail.settings.attributes.empty())
      wanted.modified_at_ms = std::max(now.value, wanted.created_at_ms + 1);
    if (const auto put = append_put(wanted, storage::Space::grows); !put)
      return refuse(mail, put.error(), {}, mailbox);
  }
  accept(mail, mail.queue, catalog_.find(mail.queue));
}

void CatalogKeeper::refuse(const Mail& mail, Errc error, std::string detail, Mailbox& mailbox) {
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::admin_answer;
  answer->job = mail.job;
  answer->error = error;
  answer->detail = std::move(detail);
  mailbox.post(mail.from, std::move(answer));
}

void CatalogKeeper::accept(const Mail& mail, QueueId queue, const QueueInfo* now_is, Errc told) {
  Change change{.end = last_end_, .asker = mail.from, .asker_job = mail.job, .queue = queue};
  change.error = told;
  if (now_is != nullptr) change.now_is.push_back(*now_is);
  waiting_.push(std::move(change));
}

void CatalogKeeper::decide_topics(const Mail& mail, TimeMs now, Mailbox& mailbox) {
  TopicsKeeper::Decided decided = topics_.decide(mail, shard_count_, now);
  if (decided.change == nullptr)
    return refuse(mail, decided.error, std::move(decided.detail), mailbox);
  last_end_ = std::max(last_end_, topics_.last_end());
  Change change{.end = last_end_, .asker = mail.from, .asker_job = mail.job};
  change.topics = std::move(decided.change);
  change.error = decided.error;
  waiting_.push(std::move(change));
}

void CatalogKeeper::tell_durable(Mailbox& mailbox) {
  const Position durable = std::min(log_->durable(), told_up_to_);
  while (!waiting_.empty() && waiting_.front().end <= durable) {
    base::crash_here("catalog-not-told");
    Change change = waiting_.pop();
    const uint64_t number = next_change_++;
    change.acks_left = mailbox.shards();
    for (uint16_t shard = 0; shard < mailbox.shards(); ++shard) {
      auto mail = std::make_unique<Mail>();
      mail->kind = MailKind::catalog_change;
      mail->job = number;
      mail->queue = change.queue;
      mail->queues = change.now_is;
      mail->topic_change = change.topics;
      mailbox.post(ShardId{shard}, std::move(mail));
    }
    telling_.emplace(number, std::move(change));
  }
}

void CatalogKeeper::on_applied(const Mail& mail, Mailbox& mailbox) {
  const auto found = telling_.find(mail.job);
  MR_ASSERT(found != telling_.end());
  if (--found->second.acks_left > 0) return;
  base::crash_here("catalog-not-answered");
  auto answer = std::make_unique<Mail>();
  answer->kind = MailKind::admin_answer;
  answer->job = found->second.asker_job;
  answer->queues = std::move(found->second.now_is);
  answer->topic_change = std::move(found->second.topics);
  answer->error = found->second.error;
  mailbox.post(found->second.asker, std::move(answer));
  telling_.erase(found);
}

// --- the turn ---

void CatalogKeeper::tick(TimeMs now, Mailbox& mailbox) {
  std::array<storage::Completion, 16> done;
  while (const size_t n = disk_->reap(done)) {
    for (size_t i = 0; i < n; ++i) {
      if (log_->owns_token(done[i].token)) log_->on_completion(done[i], now);
      if (reads_->owns(done[i].token)) reads_->on_completion(done[i], mailbox);
    }
    if (n < done.size()) break;
  }
  if (head_cleaned_) {
    // What it held was written by an earlier turn.
    head_cleaned_ = false;
    if (log_->live_bytes(log_->segment_of(log_->head())) == 0) log_->free_head();
  }
  if (!log_->fenced() && log_->needs_cleaning()) clean();
  moves_.tick(now, mailbox);
  if (!log_->fenced()) (void)log_->write_batch(now);  // a failure fences, seen next
  tell_durable(mailbox);
  moves_.tell_durable(told_up_to_, mailbox);
  if (log_->fenced()) {
    while (!waiting_.empty()) {
      const Change change = waiting_.pop();
      Mail asked;
      asked.from = change.asker;
      asked.job = change.asker_job;
      refuse(asked, Errc::shard_fenced, {}, mailbox);
    }
    return;
  }
  log_->start_jobs(now);
}

void CatalogKeeper::clean() {
  while (const auto record = unfinished_ ? unfinished_ : log_->next_head_record()) {
    unfinished_.reset();
    if (static_cast<RecordKind>(record->kind) == RecordKind::move_task && !moves_.carry(*record)) {
      unfinished_ = record;
      return;
    }
    if (!topics_.carry(*record)) {
      unfinished_ = record;
      return;
    }
    last_end_ = std::max(last_end_, topics_.last_end());
    if (static_cast<RecordKind>(record->kind) != RecordKind::queue_put) continue;
    const auto queue = decode_queue(record->body, &unreadable_);
    if (!queue) continue;
    const auto placed = placed_.find(queue->id);
    if (placed == placed_.end() || placed->second.position != record->position) continue;
    if (!append_put(*queue, storage::Space::cleans)) {
      // Again next time: passed over, its segment would never become empty.
      unfinished_ = record;
      return;
    }
  }
  if (!append_meta()) return;
  head_cleaned_ = true;
}

Result<storage::LogCopy> CatalogKeeper::begin_copy(TimeMs now) {
  auto copy = log_->begin_copy(now);
  if (copy) told_up_to_ = copy->end;
  return copy;
}

void CatalogKeeper::end_copy() {
  tell_on();
  log_->end_copy();
}

Status CatalogKeeper::close(TimeMs now) {
  moves_.note_progress();
  return log_->close(now);
}

bool CatalogKeeper::idle() const {
  return waiting_.empty() && telling_.empty() && moves_.idle() && log_->end() == log_->written() &&
         (log_->durable() == log_->written() || log_->fenced());
}

}  // namespace millrace::engine
