// Mailbox: how shards talk. A Mail is one batch of work or its answer; one heap allocation a batch.
//
// The Mailroom holds a ring for each ordered pair of shards. post() never blocks and never drops:
// what finds its ring full waits outside and is posted by a later flush(). A shard is woken at most
// once per flush(), that is once a tick of each sender. Mail to oneself goes through a queue of
// one's own, so that a request to all shards is one loop.
//
// Between two shards mails arrive in the order posted. Threads: Mailroom cross-shard (rings and
// wakers only); a Mailbox shard-local.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/spsc_ring.h"
#include "engine/backup_mail.h"
#include "engine/ordered_publish.h"
#include "engine/receive_attempts.h"
#include "engine/ring_queue.h"
#include "engine/topics.h"
#include "engine/waker.h"
#include "millrace/engine.h"

namespace millrace::engine {

enum class MailKind : uint8_t {
  send,             // bytes: a run of messages_max messages for a FIFO queue
  sent,             // its answer: position, shard_slots
  ordered,          // ordered: messages of a FIFO topic, for its home
  ordered_answer,   // its answer: position, shard_slots
  receive,          // lease for a waiter of the sender; its interest is noted if nothing is ready
  receive_answer,   // deliveries, perhaps none
  give_back,        // entries: leases nobody waits for any more become ready again
  something_ready,  // a queue the receiver asked about has ready messages again
  ack,              // receipts
  extend,           // entries
  repeat,           // queue, attempt, visibility_ms: what was leased for it, if it holds
  peek,             // queue, messages_max, states
  purge,            // queue
  counters,         // queue_ids
  shard_stats,
  part_answer,      // of ack .. shard_stats: this shard's part
  admin,            // to the catalog's keeper: a change of the catalog
  catalog_change,   // from the keeper to all: this is durable now, know it
  catalog_applied,  // back to the keeper
  admin_answer,     // the keeper to the shard that asked
  move_start,       // from the keeper to all: move, queue: do your part of this task
  move_share,       // move: so many shards are still at it
  move_stop,        // move: enough
  move_progress,    // back to the keeper: move, error
  move_over,        // a part's messages live on the receiver: queue, origin, shard_slots, bytes
  move_arrived,     // its answer: results, of shard_slots; or error, if it is fenced
  move_closed,      // they are gone here: forget shard_slots of origin, or all others
  backup,           // backup: a step of one
};

enum class AdminKind : uint8_t {
  create,
  set,
  remove,
  topic_create,
  topic_set,
  topic_remove,
  subscribe,
  subscription_set,
  subscription_confirm,
  subscription_remove,
  move_start,
  move_cancel,
  move_list,
};

// What is asked of the keeper about topics; the texts of a SubscribeRequest are here.
struct TopicAsk {
  TopicId topic{};
  SubscriptionId subscription{};
  Uuid uuid{};  // of a new subscription
  std::string protocol;
  std::string endpoint;
  std::string queue;
  std::string token;
  bool authenticated = false;  // who confirms it
};

// A shard's part of a move task.
struct MovePart {
  uint64_t task = 0;
  QueueId destination{};
  uint32_t rate = 0;     // of the whole task
  uint32_t sharing = 1;  // shards that have a part of it
  TimeMs arrived_by = kNever;
  // How far it is.
  uint64_t moved = 0;
  uint64_t ready = 0;  // at the start
  bool started = false;
  bool done = false;
};

struct Mail {
  MailKind kind{};
  ShardId from{};
  uint64_t job = 0;  // the asker's number: a waiter or a gather; the keeper's: a change
  Errc error = Errc::ok;
  QueueId queue{};

  uint32_t messages_max = 0;
  uint32_t bytes_max = 0;
  uint32_t visibility_ms = 0;
  AttemptKey attempt{};  // receive and its answer, repeat
  uint32_t holder = 0;   // receive, repeat, extend
  uint8_t states = 0;
  bool more = false;  // receive_answer: there may be something next turn
  AdminKind admin{};

  std::vector<Receipt> receipts;
  std::vector<ExtendEntry> entries;
  std::vector<Errc> results;
  std::vector<Delivery> deliveries;   // messages lie in `bytes`
  std::vector<PeekedMessage> peeked;  // likewise
  std::vector<std::byte> bytes;
  Position position{};
  std::vector<uint64_t> shard_slots;
  std::vector<QueueId> queue_ids;
  std::vector<QueueCounters> counters;
  std::string name;                     // admin create, topic_create
  QueueSettings settings;               // admin create, set; likewise of topics, subscriptions
  std::vector<QueueInfo> queues;        // catalog_change, admin_answer: what is now
  std::unique_ptr<TopicAsk> topic_ask;  // admin
  std::shared_ptr<const TopicChange> topic_change;  // catalog_change, admin_answer
  std::string detail;
  ShardStats stats;
  QueueId origin{};             // move_over and on: the source queue
  bool all_others = false;      // move_closed
  MovePart move;                // move_...; admin move_...: the wish
  std::vector<MoveTask> tasks;  // admin_answer
  std::unique_ptr<BackupMail> backup;
  std::unique_ptr<OrderedPublish> ordered;
};
using MailPtr = std::unique_ptr<Mail>;

class Mailroom {
 public:
  explicit Mailroom(uint16_t shards);
  uint16_t shards() const { return shards_; }
  base::SpscRing<MailPtr>& ring(ShardId from, ShardId to) {
    return *rings_[size_t{raw(from)} * shards_ + raw(to)];
  }
  Waker& waker(ShardId shard) { return wakers_[raw(shard)]; }

 private:
  uint16_t shards_;
  std::vector<std::unique_ptr<base::SpscRing<MailPtr>>> rings_;
  std::unique_ptr<Waker[]> wakers_;
};

class Mailbox {
 public:
  Mailbox(Mailroom& room, ShardId own);
  ShardId own() const { return own_; }
  uint16_t shards() const { return room_.shards(); }

  void post(ShardId to, MailPtr mail);
  // The next mail, the senders by turns; null if there is none.
  MailPtr take();
  // Posts what had to wait and wakes those who got something.
  void flush();
  // True when nothing waits to be taken or posted. Exact only while the other shards stand still.
  bool empty() const;
  bool has_waiting() const { return waiting_count_ > 0; }
  bool has_own_mail() const { return !waiting_[raw(own_)].empty(); }
  Waker& waker() { return room_.waker(own_); }

 private:
  Mailroom& room_;
  ShardId own_;
  uint16_t next_sender_ = 0;
  uint64_t to_wake_ = 0;  // bit per shard
  size_t waiting_count_ = 0;
  std::vector<RingQueue<MailPtr>> waiting_;  // per receiver; own_: mail to oneself
};

}  // namespace millrace::engine
