// Backups: a shard's part of a copy of the whole broker, and the requests about it that are made
// here. BackupKeeper, on shard 0, has the whole in hand.
//
//   keeper   cuts the catalog's log: what it says from there on no shard hears of before all have
//   cut shard    on `cut`, from the keeper or from a shard that has cut: writes what is gathered;
//   that is
//            where its log is cut. Says `cut` to all others, before any later mail. Answers of what
//            comes later wait
//   keeper   when all have cut: `answer_on`
//   shard    says when its copy is durable; gives pieces of it; forgets it on `end`
//
// So the cuts fit together. (1) Mails between two shards keep their order: whoever hears of
// something that a shard did after its cut has cut before. A move from shard to shard is therefore
// in the copy as a crash could have left it: never the source's ack without what the target stored,
// nor that without the source's lease. (2) All queues that shards' records speak of are in the
// catalog, and a move task that the catalog calls ended left nothing on its way. (3) Nobody outside
// hears of anything past a cut before all have cut: what was told first is in the copy, if what was
// told later is. Source: Chandy and Lamport, 1985, for (1).
//
// Threads: shard-local.  Memory: requests under way, at most kGathersPerShardMax; pieces, see
// copy_reads.h.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/copy_reads.h"
#include "engine/shard_parts.h"

namespace millrace::engine {

// A log's copy as it is told; `log_id` and the segments' size come from elsewhere.
BackupLog backup_log(const storage::LogCopy& copy, uint16_t log_id, uint64_t segment_bytes);

class Backups {
 public:
  Backups(const ShardParts& parts, storage::Disk& disk)
      : parts_(parts), reads_(disk, parts.state.log()) {}

  void start(ReplyTo to);
  void read(const BackupRead& request, ReplyTo to);
  void end(uint64_t backup, ReplyTo to);
  void cancel_all(const ReplySink* sink);
  void fail_all(Errc error);
  size_t under_way() const { return asked_.size(); }

  // What is not for the keeper.
  void on_mail(const Mail& mail);
  bool owns(uint64_t token) const { return reads_.owns(token); }
  void on_completion(const storage::Completion& completion) {
    reads_.on_completion(completion, parts_.mailbox);
  }
  // Once a turn: says when the copy is durable.
  void step();
  // Not all shards have cut: nothing that comes after this one's cut is shown or answered.
  bool answers_wait() const { return answers_wait_; }
  // How far answers may go that have reached `position`.
  Position answers_up_to(Position position) const {
    return answers_wait_ ? std::min(position, end_) : position;
  }
  uint64_t bytes_read() const { return reads_.bytes(); }

 private:
  struct Asked {
    ReplyTo to{};
    BackupStep step{};
    void refuse(Errc error) const;
  };
  void ask(BackupStep step, uint64_t backup, const BackupRead& read, ReplyTo to);
  void cut(uint64_t backup);
  void forget(uint64_t backup);
  void let_answers_wait(bool wait);
  void on_answer(const Mail& mail);
  void close_unasked(uint64_t backup);

  ShardParts parts_;
  CopyReads reads_;
  // Asked here.
  std::unordered_map<uint64_t, Asked> asked_;
  std::vector<std::pair<uint64_t, const ReplySink*>> started_;  // backups, by whom
  uint64_t next_job_ = 1;
  // This shard's part of the one that is under way.
  uint64_t backup_ = 0;  // the newest heard of, over or not
  Position end_{};
  bool answers_wait_ = false;
  bool told_durable_ = true;
};

}  // namespace millrace::engine
