#include "engine/backups.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "engine/limits.h"
#include "engine/take_each.h"

namespace millrace::engine {

BackupLog backup_log(const storage::LogCopy& copy, uint16_t log_id, uint64_t segment_bytes) {
  BackupLog log{.log_id = log_id,
                .head = copy.head,
                .end = copy.end,
                .segment_bytes = segment_bytes,
                .files = {}};
  for (const storage::LogCopy::File& file : copy.files)
    log.files.push_back({file.sequence, file.bytes});
  return log;
}

// --- requests ---

void Backups::Asked::refuse(Errc error) const {
  if (to.sink == nullptr) return;
  if (step == BackupStep::read)
    to.sink->on_backup_bytes(to.token, {.error = error, .detail = {}, .bytes = {}});
  else
    to.sink->on_backup(to.token, {.error = error, .detail = {}, .logs = {}});
}

void Backups::ask(BackupStep step, uint64_t backup, const BackupRead& read, ReplyTo to) {
  const Asked asked{to, step};
  if (asked_.size() >= kGathersPerShardMax) return asked.refuse(Errc::over_limit);
  MailPtr mail = backup_mail(step, backup, next_job_);
  mail->backup->asker = parts_.mailbox.own();
  mail->backup->read = read;
  asked_[next_job_++] = asked;
  parts_.mailbox.post(ShardId{0}, std::move(mail));
}

void Backups::start(ReplyTo to) {
  ask(BackupStep::start, 0, {}, to);
}

void Backups::read(const BackupRead& request, ReplyTo to) {
  const bool right = request.bytes > 0 && request.bytes <= kBackupReadBytesMax &&
                     request.offset % kBackupReadAlignment == 0;
  if (!right) return Asked{to, BackupStep::read}.refuse(Errc::invalid_argument);
  ask(BackupStep::read, request.backup, request, to);
}

void Backups::end(uint64_t backup, ReplyTo to) {
  std::erase_if(started_, [&](const auto& one) { return one.first == backup; });
  ask(BackupStep::close, backup, {}, to);
}

void Backups::close_unasked(uint64_t backup) {
  parts_.mailbox.post(ShardId{0}, backup_mail(BackupStep::close, backup));
}

void Backups::cancel_all(const ReplySink* sink) {
  for (auto& [job, asked] : asked_)
    if (asked.to.sink == sink) asked.to.sink = nullptr;
  std::erase_if(started_, [&](const auto& one) {
    if (one.second == sink) close_unasked(one.first);
    return one.second == sink;
  });
}

void Backups::fail_all(Errc error) {
  take_each(asked_, [&](const Asked& asked) { asked.refuse(error); });
}

void Backups::on_answer(const Mail& mail) {
  const BackupMail& about = *mail.backup;
  const auto found = asked_.find(mail.job);
  if (found == asked_.end()) return;
  const Asked asked = found->second;
  asked_.erase(found);
  const auto [sink, token] = asked.to;
  if (asked.step == BackupStep::start && mail.error == Errc::ok) {
    if (sink == nullptr) return close_unasked(about.backup);
    started_.emplace_back(about.backup, sink);
  }
  if (sink == nullptr) return;
  if (about.step == BackupStep::bytes)
    return sink->on_backup_bytes(
        token, {mail.error, mail.detail, {about.bytes.get(), about.bytes ? about.read.bytes : 0}});
  sink->on_backup(token, {mail.error, mail.detail, about.backup, about.server_time, about.logs});
}

// --- this shard's part ---

void Backups::on_mail(const Mail& mail) {
  const BackupMail& about = *mail.backup;
  switch (about.step) {
    case BackupStep::cut:
      // Numbers rise: one that is not new was cut already, or is over.
      if (about.backup > backup_) cut(about.backup);
      return;
    case BackupStep::answer_on:
      if (about.backup == backup_) let_answers_wait(false);
      return;
    case BackupStep::end:
      return forget(about.backup);
    case BackupStep::read_here:
      return reads_.read(mail, backup_, parts_.mailbox);
    default:
      return on_answer(mail);
  }
}

// In the middle of a turn: what was appended before this mail is in the copy, and nothing after it.
void Backups::cut(uint64_t backup) {
  storage::Log& log = parts_.state.log();
  Mailbox& mailbox = parts_.mailbox;
  log.end_copy();  // of one whose end has not come yet
  backup_ = backup;
  const auto copy = log.begin_copy(parts_.now);
  const bool apart = base::planted(base::Bug::backup_cut_apart);
  for (uint16_t i = 0; i < mailbox.shards(); ++i)
    if (ShardId{i} != mailbox.own() && !apart)
      mailbox.post(ShardId{i}, backup_mail(BackupStep::cut, backup));
  MailPtr done = backup_mail(BackupStep::cut_done, backup);
  done->error = copy.error();
  if (copy) {
    done->backup->log = backup_log(*copy, raw(mailbox.own()), log.segment_bytes());
    end_ = copy->end;
    log.sync_through(end_);
  }
  let_answers_wait(copy.has_value() && !apart);
  told_durable_ = !copy.has_value();
  mailbox.post(ShardId{0}, std::move(done));
}

void Backups::forget(uint64_t backup) {
  if (backup < backup_) return;
  backup_ = backup;
  let_answers_wait(false);
  told_durable_ = true;
  parts_.state.log().end_copy();
}

void Backups::let_answers_wait(bool wait) {
  answers_wait_ = wait;
  parts_.commits.hold(wait);
}

void Backups::step() {
  const storage::Log& log = parts_.state.log();
  if (told_durable_ || (!log.fenced() && log.durable() < end_)) return;
  told_durable_ = true;
  MailPtr told = backup_mail(BackupStep::durable, backup_);
  if (log.fenced()) told->error = Errc::shard_fenced;
  parts_.mailbox.post(ShardId{0}, std::move(told));
}

}  // namespace millrace::engine
