// BackupKeeper: the one backup that may be under way, as a whole (engine/backups.h). On shard 0,
// beside the catalog's keeper.
//
// It ends when it is closed, when nothing was read of it for kBackupIdleMs, or after kBackupMsMax:
// who asked for it may be gone or stuck, and what it holds takes room on the disk.
//
// Threads: shard 0's.  Memory: the list of the files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/catalog_keeper.h"
#include "engine/mailbox.h"
#include "millrace/engine.h"

namespace millrace::engine {

class BackupKeeper {
 public:
  explicit BackupKeeper(CatalogKeeper& catalog) : catalog_(catalog) {}

  static bool is_for_keeper(const Mail& mail) { return mail.backup->step <= BackupStep::close; }
  void on_mail(Mail& mail, TimeMs now, Mailbox& mailbox);
  void tick(TimeMs now, Mailbox& mailbox);
  TimeMs next_deadline() const { return backup_ == 0 ? kNever : std::min(idle_at_, over_at_); }

 private:
  void start(const Mail& mail, TimeMs now, Mailbox& mailbox);
  void on_cut(Mail& mail, Mailbox& mailbox);
  void on_durable(Errc error, Mailbox& mailbox);
  void pass_on(Mail& mail, TimeMs now, Mailbox& mailbox);
  void tell_all(BackupStep step, Mailbox& mailbox) const;
  void answer(Errc error, std::string detail, Mailbox& mailbox);
  void finish(Mailbox& mailbox);

  CatalogKeeper& catalog_;
  uint64_t backup_ = 0;  // 0: none is under way
  uint64_t newest_ = 0;
  ShardId asker_{};
  uint64_t asker_job_ = 0;
  bool answer_due_ = false;
  std::vector<BackupLog> logs_;
  uint32_t cuts_left_ = 0;
  uint32_t syncs_left_ = 0;
  TimeMs began_{};
  TimeMs idle_at_{};
  TimeMs over_at_{};
};

}  // namespace millrace::engine
