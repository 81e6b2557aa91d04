// Shard: one thread's share of the broker: a log, the partitions in it, and the requests made here.
//
// It coordinates and decides little: requests are checked, handed to ShardState, and their answers
// parked in the CommitQueue; receives wait in Receives; what concerns other shards goes through
// Gathers and the Mailbox. tick() is a fixed list of named steps.
//
// Threads: shard-local, all of it; the Mailroom and the waker are the only ways in from outside.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/server_clock.h"
#include "engine/backup_keeper.h"
#include "engine/backups.h"
#include "engine/catalog_keeper.h"
#include "engine/cleaner.h"
#include "engine/commit_clock.h"
#include "engine/environment.h"
#include "engine/fifo_topics.h"
#include "engine/gathers.h"
#include "engine/move_work.h"
#include "engine/publishes.h"
#include "engine/receives.h"
#include "engine/send_gate.h"
#include "engine/sends.h"
#include "engine/shard_parts.h"
#include "engine/topic_admin.h"
#include "millrace/engine.h"

namespace millrace::engine {

class Shard final : public ShardPort {
 public:
  Shard(ShardId id, Mailroom& room, Environment& environment, std::unique_ptr<storage::Disk> disk,
        std::unique_ptr<storage::Log> log, const ReceiptKey& key, const BrokerOptions& options,
        MemoryBudget& budget, TimeMs wheel_start);
  ~Shard() override;

  // Replays the log for the queues of `catalog`; `restored`: BrokerOptions::restored. Error
  // damaged, with a text in `why`: a record in it can't be.
  Result<storage::RecoveryReport> recover(const Catalog& catalog, const Topics& topics,
                                          bool restored, TimeMs now, std::string* why);
  void start(const base::ServerClock& clock, TimeMs retention_from);
  void keep_catalog(std::unique_ptr<CatalogKeeper> keeper);  // shard 0
  // Ends everything that waits with shutting_down, if `answer`; then writes and syncs all. Blocks.
  Status stop(bool answer);
  // When all shards are stopped: answers shutting_down to what other shards had a part in.
  void answer_rest();

  ShardId id() const override { return id_; }
  void send(const SendRequest& request, ReplyTo reply) override;
  void publish(const PublishRequest& request, ReplyTo reply) override;
  void publish_ordered(const OrderedPublishRequest& request, ReplyTo reply) override;
  void receive(const ReceiveRequest& request, ReplyTo reply) override;
  void ack(const AckRequest& request, ReplyTo reply) override;
  void extend(const ExtendRequest& request, ReplyTo reply) override;
  void peek(const PeekRequest& request, ReplyTo reply) override;
  Status subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) override;
  Status add_credit(ReplyTo subscription, uint64_t messages) override;
  Status unsubscribe(ReplyTo subscription) override;
  void cancel_all(ReplySink* sink) override;
  void cancel(ReplyTo reply) override;
  void create_queue(std::string_view name, const QueueSettings& settings, ReplyTo reply) override;
  void set_queue(QueueId queue, const QueueSettings& settings, ReplyTo reply) override;
  void purge_queue(QueueId queue, ReplyTo reply) override;
  void delete_queue(QueueId queue, ReplyTo reply) override;
  void list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                   ReplyTo reply) override;
  void queue_stats(std::span<const QueueId> queues, ReplyTo reply) override;
  void broker_stats(ReplyTo reply) override;
  void start_move(const MoveRequest& request, ReplyTo reply) override;
  void cancel_move(QueueId source, uint64_t task, ReplyTo reply) override;
  void list_moves(QueueId source, uint32_t max, ReplyTo reply) override;
  void start_backup(ReplyTo reply) override { backups_.start(reply); }
  void read_backup(const BackupRead& request, ReplyTo reply) override {
    backups_.read(request, reply);
  }
  void end_backup(uint64_t backup, ReplyTo reply) override { backups_.end(backup, reply); }
  TopicPort& topics() override { return topic_admin_; }
  const QueueInfo* find_queue(std::string_view name) const override { return catalog_.find(name); }
  const QueueInfo* find_queue(QueueId id) const override { return catalog_.find(id); }
  bool tick() override;
  void expect_more() override { more_expected_ = true; }
  void refresh_clock() override;
  TimeMs now() const override { return now_; }
  TimeMs next_deadline() const override;
  bool fenced() const override { return fenced_; }
  void note_memory(uint64_t bytes) override { outside_bytes_ = bytes; }
  void set_waker(std::function<void()> wake) override;
  bool idle() const override;

  // For the simulator and the tests.
  ShardState& state() { return state_; }

 private:
  // Steps of a tick.
  void reap_disk();
  bool drain_mail();
  bool expire_timers();
  bool serve_waiters();
  void write_and_reveal();
  void answer();
  void start_jobs();
  bool hold_sync();
  void note_gate();

  void handle(MailPtr mail);
  template <class F>
  bool judge_receipts(size_t count, F&& receipt_at);                 // into results_
  void answer_results(const ShardState::Wait& wait, ReplyTo reply);  // results_
  void apply_catalog_change(const Mail& mail);
  void apply_topic_change(const TopicChange& change);
  void remove_queue(QueueId queue);
  bool follow_outbox(const SubscriptionInfo& subscription);
  void add_partition(const QueueInfo& queue);
  void add_window(const TopicInfo& topic);
  void note_rules(const QueueInfo& queue);
  void note_redrives();
  void note_interval_queues();
  void save_checkpoint();
  void answer_admin(const Mail& mail);
  void ask_keeper(MailPtr mail, ReplyTo reply);
  void fence_if_failed();
  uint64_t memory_bytes() const;
  ShardStats stats() const;
  ShardParts parts() { return {state_, catalog_, commits_, mailbox_, now_, durability_}; }

  ShardId id_;
  Environment& environment_;
  Durability durability_;
  std::unique_ptr<storage::Disk> disk_;
  std::unique_ptr<storage::Log> log_;
  TimeMs now_{};
  int64_t boot_ns_ = 0;  // what now_ was made of
  base::ServerClock clock_;
  Catalog catalog_;
  Topics topics_;
  TopicAdmin topic_admin_;
  ShardState state_;
  CommitQueue commits_;
  CommitClock commit_clock_;
  SendGate gate_;
  uint64_t outside_bytes_ = 0;  // note_memory()
  Mailbox mailbox_;
  Receives receives_;
  Gathers gathers_;
  Sends sends_;
  Publishes publishes_;
  FifoTopics fifo_topics_;
  Cleaner cleaner_;
  MoveWork move_work_;
  Backups backups_;
  std::unique_ptr<CatalogKeeper> keeper_;        // shard 0 only
  std::unique_ptr<BackupKeeper> backup_keeper_;  // likewise
  // Asked of the keeper.
  struct Asked {
    ReplyTo to{};
    AdminKind what{};
    void answer(const Mail& mail) const;
    void refuse(Errc error) const;
  };
  std::unordered_map<uint64_t, Asked> admin_;
  uint64_t next_admin_ = 1;
  std::vector<Errc> results_;  // reused
  bool fenced_ = false;
  bool more_expected_ = false;
  uint32_t ticks_held_ = 0;   // one after the other, without the sync they would have started
  Position slots_safe_at_{};  // sends wait for a sync until this is durable (skip_lost_slots)
  // A server of durability none with queues that ask for interval: when the next sync is due.
  bool interval_queues_ = false;
  bool redrives_ = false;  // some queue has, or had, a dead-letter queue
  uint32_t interval_ms_;
  TimeMs interval_sync_due_ = kNever;
  uint64_t ticks_ = 0;
  uint64_t busy_ticks_ = 0;
};

}  // namespace millrace::engine
