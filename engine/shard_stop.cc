// Stopping a shard: the logs are closed, and whoever still waits is told.
#include "engine/shard.h"
#include "engine/take_each.h"

namespace millrace::engine {

Status Shard::stop(bool answer_waiting) {
  if (answer_waiting) fifo_topics_.fail_all(Errc::shutting_down);
  Status stopped = log_->close(now_);
  // Ids that are open are in the log alone.
  if (stopped && !log_->checkpoint_in_flight() && state_.move_ids().count() == 0) save_checkpoint();
  if (answer_waiting) {
    if (stopped) {
      state_.advance_visibility([](Partition&) {});
      answer();
    }
    commits_.fail_all(log_->fenced() ? Errc::shard_fenced : Errc::shutting_down, mailbox_);
    receives_.fail_all(Errc::shutting_down);
    receives_.answer_ended();
  }
  if (keeper_ != nullptr)
    if (const auto kept = keeper_->close(now_); !kept) stopped = kept;
  return stopped;
}

void Shard::answer_rest() {
  gathers_.fail_all(Errc::shutting_down);
  sends_.fail_all(Errc::shutting_down);
  backups_.fail_all(Errc::shutting_down);
  take_each(admin_, [](const Asked& asked) { asked.refuse(Errc::shutting_down); });
}

// A cache: without it the next start replays the log. Only a clean stop makes one, since it is good
// only until the log's head moves on, and the log's length is bounded by what is alive anyway.
void Shard::save_checkpoint() {
  log_->save_checkpoint(log_->durable(), state_.save());
  disk_->finish(storage::JobKind::replace_file);
  reap_disk();
}

}  // namespace millrace::engine
