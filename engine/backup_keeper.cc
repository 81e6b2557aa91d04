#include "engine/backup_keeper.h"

#include <algorithm>
#include <utility>

#include "engine/backups.h"
#include "engine/limits.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kOver =
    "there is no such backup any more: it was ended, or nothing was read of it for a minute";

}  // namespace

void BackupKeeper::on_mail(Mail& mail, TimeMs now, Mailbox& mailbox) {
  const BackupMail& about = *mail.backup;
  const bool current = backup_ != 0 && about.backup == backup_;
  switch (about.step) {
    case BackupStep::start:
      return start(mail, now, mailbox);
    case BackupStep::cut_done:
      if (current) on_cut(mail, mailbox);
      return;
    case BackupStep::durable:
      if (current) on_durable(mail.error, mailbox);
      return;
    case BackupStep::read:
      return pass_on(mail, now, mailbox);
    default:
      if (current) finish(mailbox);
      // Nobody waits if the connection is gone.
      if (mail.job != 0)
        mailbox.post(mail.from, backup_mail(BackupStep::answer, about.backup, mail.job));
  }
}

void BackupKeeper::start(const Mail& mail, TimeMs now, Mailbox& mailbox) {
  const auto refuse = [&](Errc error, std::string_view detail) {
    MailPtr refusal = backup_mail(BackupStep::answer, 0, mail.job);
    refusal->error = error;
    refusal->detail = detail;
    mailbox.post(mail.from, std::move(refusal));
  };
  if (backup_ != 0) return refuse(Errc::over_limit, "a backup is under way; one may be at a time");
  const auto copy = catalog_.begin_copy(now);
  if (!copy) return refuse(copy.error(), {});
  // Also not one of an earlier life.
  newest_ = std::max(newest_ + 1, static_cast<uint64_t>(now.value) << 16);
  backup_ = newest_;
  catalog_.copy_for(backup_);
  asker_ = mail.from;
  asker_job_ = mail.job;
  answer_due_ = true;
  logs_.assign(size_t{1} + mailbox.shards(), {});
  logs_[0] = backup_log(*copy, kCatalogLogId, catalog_.segment_bytes());
  cuts_left_ = syncs_left_ = mailbox.shards();
  began_ = now;
  idle_at_ = now + kBackupIdleMs;
  over_at_ = now + kBackupMsMax;
  tell_all(BackupStep::cut, mailbox);
}

void BackupKeeper::on_cut(Mail& mail, Mailbox& mailbox) {
  if (mail.error != Errc::ok) {
    answer(mail.error, {}, mailbox);
    return finish(mailbox);
  }
  logs_[size_t{1} + raw(mail.from)] = std::move(mail.backup->log);
  if (--cuts_left_ > 0) return;
  catalog_.tell_on();
  tell_all(BackupStep::answer_on, mailbox);
}

// What is in the copy of a fenced log will not be durable any more.
void BackupKeeper::on_durable(Errc error, Mailbox& mailbox) {
  if (error == Errc::ok) {
    --syncs_left_;
  } else if (answer_due_) {
    answer(error, {}, mailbox);
    finish(mailbox);
  }
}

void BackupKeeper::pass_on(Mail& mail, TimeMs now, Mailbox& mailbox) {
  const uint16_t log_id = mail.backup->read.log_id;
  const bool of_catalog = log_id == kCatalogLogId;
  if (mail.backup->backup != backup_ || answer_due_ ||
      (!of_catalog && log_id >= mailbox.shards())) {
    MailPtr refusal = backup_mail(BackupStep::bytes, mail.backup->backup, mail.job);
    refusal->error = Errc::canceled;
    refusal->detail = kOver;
    return mailbox.post(mail.from, std::move(refusal));
  }
  idle_at_ = now + kBackupIdleMs;
  MailPtr there = backup_mail(BackupStep::read_here, backup_, mail.job);
  there->backup->asker = mail.from;
  there->backup->read = mail.backup->read;
  if (of_catalog) return catalog_.read_copy(*there, mailbox);
  mailbox.post(ShardId{log_id}, std::move(there));
}

void BackupKeeper::tick(TimeMs now, Mailbox& mailbox) {
  if (backup_ == 0) return;
  if (answer_due_ && cuts_left_ == 0 && syncs_left_ == 0 && catalog_.durable() >= logs_.front().end)
    answer(Errc::ok, {}, mailbox);
  if (now < std::min(idle_at_, over_at_)) return;
  if (answer_due_) answer(Errc::timed_out, {}, mailbox);
  finish(mailbox);
}

void BackupKeeper::answer(Errc error, std::string detail, Mailbox& mailbox) {
  MailPtr answer = backup_mail(BackupStep::answer, backup_, asker_job_);
  answer->error = error;
  answer->detail = std::move(detail);
  if (error == Errc::ok) answer->backup->logs = logs_;
  answer->backup->server_time = began_;
  mailbox.post(asker_, std::move(answer));
  answer_due_ = false;
}

void BackupKeeper::tell_all(BackupStep step, Mailbox& mailbox) const {
  for (uint16_t i = 0; i < mailbox.shards(); ++i)
    mailbox.post(ShardId{i}, backup_mail(step, backup_));
}

void BackupKeeper::finish(Mailbox& mailbox) {
  if (answer_due_) answer(Errc::canceled, std::string(kOver), mailbox);
  tell_all(BackupStep::end, mailbox);
  catalog_.end_copy();
  backup_ = 0;
  logs_.clear();
}

}  // namespace millrace::engine
