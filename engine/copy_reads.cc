#include "engine/copy_reads.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/aligned_memory.h"
#include "engine/limits.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kGivenUp =
    "the backup is over: no new log file could be had, so what was held for it was used";

constexpr uint64_t up_to_whole_pages(uint64_t bytes) {
  return (bytes + kBackupReadAlignment - 1) / kBackupReadAlignment * kBackupReadAlignment;
}

}  // namespace

MailPtr backup_mail(BackupStep step, uint64_t backup, uint64_t job) {
  auto mail = std::make_unique<Mail>();
  mail->kind = MailKind::backup;
  mail->job = job;
  mail->backup = std::make_unique<BackupMail>();
  mail->backup->step = step;
  mail->backup->backup = backup;
  return mail;
}

void CopyReads::refuse(const Mail& asked, Errc error, std::string detail, Mailbox& mailbox) {
  MailPtr answer = backup_mail(BackupStep::bytes, asked.backup->backup, asked.job);
  answer->error = error;
  answer->detail = std::move(detail);
  mailbox.post(asked.backup->asker, std::move(answer));
}

void CopyReads::read(const Mail& asked, uint64_t backup, Mailbox& mailbox) {
  const BackupRead& wanted = asked.backup->read;
  if (log_.fenced()) return refuse(asked, Errc::shard_fenced, {}, mailbox);
  if (wanted.backup != backup || !log_.copying())
    return refuse(asked, Errc::canceled, std::string(kGivenUp), mailbox);
  uint64_t bytes = 0;
  const storage::FileId file = log_.copied_file(wanted.sequence, &bytes);
  if (file == storage::kNoFile || wanted.offset > bytes || wanted.bytes > bytes - wanted.offset)
    return refuse(asked, Errc::invalid_argument,
                  fmt::format("{} bytes at {} of segment {} are not in the backup", wanted.bytes,
                              wanted.offset, wanted.sequence),
                  mailbox);
  if (reading_.size() >= kBackupReadsMax)
    return refuse(asked, Errc::throttled,
                  fmt::format("{} reads are under way; that is as many as may be", reading_.size()),
                  mailbox);
  storage::Job job{};
  job.kind = storage::JobKind::read_back;
  job.token = kTokens | ++tokens_;
  job.file = file;
  job.offset = wanted.offset;
  job.bytes = up_to_whole_pages(wanted.bytes);
  job.into = {base::take_aligned(kBackupReadAlignment, job.bytes),
              [](std::byte* buffer) { std::free(buffer); }};
  reading_[job.token] = {asked.backup->asker, asked.job, wanted, job.into};
  disk_.submit(std::move(job));
}

void CopyReads::on_completion(const storage::Completion& completion, Mailbox& mailbox) {
  const auto found = reading_.find(completion.token);
  if (found == reading_.end()) return;
  Reading done = std::move(found->second);
  reading_.erase(found);
  MailPtr answer = backup_mail(BackupStep::bytes, done.read.backup, done.job);
  // What was read after the copy was given up may be of a file's next life.
  uint64_t bytes = 0;
  const bool still = log_.copied_file(done.read.sequence, &bytes) != storage::kNoFile;
  answer->error = still ? completion.error : Errc::canceled;
  answer->backup->read = done.read;
  if (answer->error == Errc::ok) {
    answer->backup->bytes = std::move(done.buffer);
    bytes_ += done.read.bytes;
  } else if (answer->error == Errc::canceled) {
    answer->detail = kGivenUp;
  } else if (answer->error == Errc::io_error) {
    answer->detail = fmt::format("the disk can't read {} bytes at {} of segment {}",
                                 done.read.bytes, done.read.offset, done.read.sequence);
  }
  mailbox.post(done.asker, std::move(answer));
}

}  // namespace millrace::engine
