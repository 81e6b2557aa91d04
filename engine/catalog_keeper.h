// CatalogKeeper: the one writer of the catalog: its log, the next id, the receipt key. Lives on
// shard 0. Topics are decided by its TopicsKeeper, move tasks by its MoveTasks.
//
// A change is decided against the newest state, appended, and synced (always, whatever the server's
// durability); then every shard is told, and when all know it the shard that asked gets its answer.
// Changes are told in the order decided. An answer that needs no record ("it exists already") goes
// the same way, so it never runs ahead of the change it speaks of.
//
// Queue ids are never reused: meta records carry the next one past every cleaning.
//
// Threads: shard 0's.  Memory: the catalog once more, and changes under way.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/catalog.h"
#include "engine/copy_reads.h"
#include "engine/mailbox.h"
#include "engine/move_tasks.h"
#include "engine/receipt.h"
#include "engine/ring_queue.h"
#include "engine/topics_keeper.h"
#include "storage/log.h"

namespace millrace::engine {

class CatalogKeeper final : public storage::ReplaySink {
 public:
  // Recovers the catalog's log, which is open on `disk`; makes a receipt key from `fresh_key` if
  // there is none yet. Errors: Log's; format_too_new if a queue was defined by a later version.
  static Result<std::unique_ptr<CatalogKeeper>> open(std::unique_ptr<storage::Disk> disk,
                                                     std::unique_ptr<storage::Log> log,
                                                     const ReceiptKey& fresh_key, TimeMs now,
                                                     std::string* message);
  ~CatalogKeeper() override;

  const Catalog& catalog() const { return catalog_; }
  const ReceiptKey& receipt_key() const { return key_; }
  uint16_t shard_count() const { return shard_count_; }  // 0: a new directory
  // This id was given out once.
  void note_id_given(uint32_t id) { next_queue_id_ = std::max(next_queue_id_, id + 1); }
  void set_shard_count(uint16_t shards);
  // The clock was far ahead at this start or at one before it, and nobody has said that it is
  // right.
  bool retention_waits() const { return retention_waits_; }
  void set_retention_waits(bool waits);
  const storage::RecoveryReport& recovery() const { return report_; }

  void on_admin(MailPtr mail, TimeMs now, Mailbox& mailbox);
  void on_applied(const Mail& mail, Mailbox& mailbox);
  MoveTasks& moves() { return moves_; }
  const Topics& topics() const { return topics_.topics(); }

  // A copy of its log, for a backup. From begin_copy() on nobody is told of later changes until
  // tell_on().
  Result<storage::LogCopy> begin_copy(TimeMs now);
  void copy_for(uint64_t backup) { copy_for_ = backup; }
  void tell_on() { told_up_to_ = Position{UINT64_MAX}; }
  void read_copy(const Mail& asked, Mailbox& mailbox) { reads_->read(asked, copy_for_, mailbox); }
  void end_copy();
  Position durable() const { return log_->durable(); }
  uint64_t segment_bytes() const { return log_->segment_bytes(); }

  // Its part of a turn: completions, a write, the answers a sync allows, the next sync.
  void tick(TimeMs now, Mailbox& mailbox);
  TimeMs next_deadline() const { return std::min(log_->next_deadline(), moves_.next_deadline()); }
  bool fenced() const { return log_->fenced(); }
  bool idle() const;
  Status close(TimeMs now);

  void on_record(const storage::Record& record) override;

 private:
  struct Change {
    Position end{};
    ShardId asker{};
    uint64_t asker_job = 0;
    QueueId queue{};
    std::vector<QueueInfo> now_is{};              // one: put; none: removed
    std::shared_ptr<const TopicChange> topics{};  // it is about these instead
    Errc error = Errc::ok;                        // what the asker is told
    uint32_t acks_left = 0;
  };
  struct Placed {
    Position position{};
    uint64_t bytes = 0;
  };

  explicit CatalogKeeper(std::unique_ptr<storage::Disk> disk) : disk_(std::move(disk)) {}
  void refuse_record(const storage::Record& record, std::string_view wrong);
  void place(QueueId queue, Position position, uint64_t body_bytes);
  void unplace(QueueId queue);
  Status append_put(const QueueInfo& queue, storage::Space space);
  void create(const Mail& mail, TimeMs now, Mailbox& mailbox);
  void set(const Mail& mail, const QueueInfo& known, TimeMs now, Mailbox& mailbox);
  Status choose_home(QueueInfo& queue, std::string* detail) const;
  Status check_dead_letter_queue(const QueueInfo& queue, std::string* detail) const;
  Status append_meta();
  void refuse(const Mail& mail, Errc error, std::string detail, Mailbox& mailbox);
  void accept(const Mail& mail, QueueId queue, const QueueInfo* now_is, Errc told = Errc::ok);
  void decide_topics(const Mail& mail, TimeMs now, Mailbox& mailbox);
  void tell_durable(Mailbox& mailbox);
  void clean();

  std::unique_ptr<storage::Disk> disk_;
  std::unique_ptr<storage::Log> log_;
  storage::RecoveryReport report_;
  Catalog catalog_;
  MoveTasks moves_{catalog_};
  std::unordered_map<QueueId, Placed> placed_;
  bool retention_waits_ = false;
  Placed meta_placed_;
  ReceiptKey key_{};
  bool has_key_ = false;
  uint32_t next_queue_id_ = 1;  // or of a topic, or of a subscription
  TopicsKeeper topics_{next_queue_id_};
  uint16_t shard_count_ = 0;
  RingQueue<Change> waiting_;  // for a sync
  std::unordered_map<uint64_t, Change> telling_;
  uint64_t next_change_ = 1;
  Position last_end_{};
  std::optional<storage::Record> unfinished_;  // a carry that found the disk full
  std::string unreadable_;                     // of the first record that this version can't hold
  bool head_cleaned_ = false;
  std::optional<CopyReads> reads_;
  uint64_t copy_for_ = 0;
  Position told_up_to_{UINT64_MAX};
};

}  // namespace millrace::engine
