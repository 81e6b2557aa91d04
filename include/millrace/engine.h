// The embedding API: a broker opened on a directory, in this process, without a network. net/ is
// built on exactly this.
//
// A broker is a set of shards. Each shard is driven by one thread: the caller's own
// (ShardPort::tick in a loop) or one the broker starts (Broker::start_threads, with LocalClient as
// a blocking, thread-safe handle). A request is made on the shard's thread through its ShardPort
// and answered, on the same thread, through the ReplySink given with it: at once, or in a later
// tick when the log position it depends on has reached the durability asked for.
//
//   auto broker = Broker::open(options);                    // recovery happens here
//   ShardPort& shard = (*broker)->shard(ShardId{0});
//   shard.send({.queue = id, .messages = run, .count = n}, {&sink, 17});
//   shard.tick();                                           // ... sink.on_send(17, reply)
//
// Views handed to a sink live until the callback returns. Views handed in are read before the call
// returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/duration_histogram.h"
#include "millrace/message.h"
#include "millrace/options.h"
#include "millrace/publish.h"
#include "millrace/result.h"
#include "millrace/topics.h"
#include "millrace/types.h"

namespace millrace {

// --- requests ---

struct SendRequest {
  QueueId queue{};
  uint32_t count = 0;  // 1..kBatchMessagesMax
  Bytes messages;      // a run as in message.h: exactly `count` messages. All or nothing: one bad
                       // message refuses the run
};

struct ReceiveRequest {
  QueueId queue{};
  uint32_t messages_max = 1;  // 1..kBatchMessagesMax
  uint32_t bytes_max =
      kBatchBytesMax;  // stop before the answer's run passes this (the first message always fits)
  uint32_t visibility_ms = kDelayQueueDefault;  // kDelayQueueDefault: the queue's own
  uint32_t wait_ms = kDelayQueueDefault;  // 0: answer at once; kDelayQueueDefault: the queue's own;
                                          // max kReceiveWaitMsMax
  // FIFO only, 1..128 characters as a group id's: asked again with the same one within five
  // minutes, a receive gets the same messages and receipts, as long as all are leased as they were.
  std::string_view attempt_id{};
  // More of what was just received: it does not count as an empty receive if there is nothing.
  bool rest = false;
  // Whose the leases are, in the caller's own numbers, for who peeks; 0: nobody's that is known.
  // Kept in memory only, while a lease lasts.
  uint32_t holder = 0;
  // `queue` is a subscription's outbox (topics.h).
  bool outbox = false;
};
// What a move task hides while it takes it to another shard is held by this one.
inline constexpr uint32_t kMoveTaskHolder = UINT32_MAX;
inline constexpr uint32_t kReceiveWaitMsMax = 3'600'000;

struct AckRequest {
  std::span<const Receipt> receipts;  // 1..kBatchMessagesMax, all of queues on any shard
};

struct ExtendEntry {
  Receipt receipt;
  uint32_t visibility_ms;     // 0: visible at once; counted from now; at most kLeaseMsMax
  uint32_t lease_ms_max = 0;  // refused (lease_too_long) if it would last longer than this in all,
                              // from the receive on; 0: kLeaseMsMax
};
struct ExtendRequest {
  std::span<const ExtendEntry> entries;
  uint32_t holder = 0;  // as of a receive; 0: who holds the leases stays as it is
};

enum class MessageState : uint8_t { delayed = 0, ready = 1, leased = 2 };

struct PeekRequest {
  QueueId queue{};
  uint32_t messages_max = 10;  // over all shards, oldest first within a shard
  uint8_t states = 0b111;      // bit set of MessageState
};

// --- answers ---

struct SendReply {
  Errc error = Errc::ok;
  uint32_t bad_index = 0;   // with an error about one message: its index in the run
  Durability durability{};  // the level that was reached before this answer
  ShardId shard{};
  Position position{};  // end of the record in the shard's log
  Slot first_slot{};    // messages have consecutive slots; MessageId is made of queue, shard, slot
  // Unless this says where each lies: shard << 48 | slot. On FIFO queues, where a duplicate is
  // answered with the slot of the message that it repeats.
  std::span<const uint64_t> shard_slots{};
};

// What stands in one copy of a published message and not in the others: the text of `uuid`, 36
// characters from `at` in the body on. The bytes of the message have something else there.
struct Stamp {
  const std::byte* uuid = nullptr;  // 16 bytes, which live as long as the message; null: nothing
  uint32_t at = 0;
};
// Puts it into a copy of the message.
void put_stamp(const Stamp& stamp, std::byte* message);

// One delivered message. `message` starts with its MessageHeader and spans its stride, in the log's
// map or a copy of it.
struct Delivery {
  Receipt receipt;
  TimeMs sent_at;
  uint32_t receive_count;
  TimeMs first_received_at;  // this receive, if it is the first
  Bytes message;
  Stamp stamp{};
};

struct ReceiveReply {
  Errc error = Errc::ok;  // ok with no deliveries: nothing came in time
  std::span<const Delivery> deliveries;
};

struct ResultsReply {     // ack, extend: one Errc an entry, in the order asked
  Errc error = Errc::ok;  // an error of the whole request; then `results` is empty
  std::span<const Errc> results;
};

struct PeekedMessage {
  uint64_t shard_slot;  // as in Receipt
  TimeMs sent_at;
  TimeMs due;  // delayed: when ready; leased: when the lease ends; ready: 0
  uint32_t receive_count;
  TimeMs first_received_at{};  // 0: never received
  TimeMs last_received_at{};   // 0: never received
  uint32_t holder = 0;         // leased: who received it, or extended it since; 0: not known
  MessageState state;
  Bytes message;
};
struct PeekReply {
  Errc error = Errc::ok;
  std::span<const PeekedMessage> messages;
};

struct QueueCounters {  // exact, summed over shards
  uint64_t ready = 0, leased = 0, delayed = 0;
  uint64_t bytes = 0;  // live message bytes in the log
  uint64_t sent = 0, received = 0, acked = 0, expired = 0,
           empty_receives = 0;    // since the broker opened; expired: leases that ended
  uint64_t redelivered = 0;       // of those received: not for the first time
  uint64_t dead_lettered = 0;     // gone from here to its dead-letter queue
  uint64_t aged_out = 0;          // gone because they were older than the queue keeps messages
  int64_t oldest_sent_at_ms = 0;  // 0: no message
  std::shared_ptr<const QueueTimes> times = nullptr;  // null: nothing was received yet
};

struct QueueInfo {
  QueueId id{};
  std::string name;
  QueueAttributes attributes;
  ShardId first_shard{};  // FIFO: the first of the `partitions` shards it lives on
  int64_t created_at_ms = 0;
  int64_t modified_at_ms = 0;  // when its attributes were last set
  QueueCounters counters;      // filled by stats and show; zero in a list
};
struct QueueReply {
  Errc error = Errc::ok;
  std::string_view detail;  // what was wrong with which value, for people; may be empty
  std::span<const QueueInfo> queues;
};

struct ShardStats {
  ShardId shard{};
  Position head, end, written, durable;
  uint64_t live_bytes = 0, disk_bytes = 0, bytes_written = 0, syncs = 0, index_bytes = 0, ticks = 0,
           busy_ticks = 0;
  uint64_t backup_held_bytes = 0;  // of disk_bytes: not in use any more, kept for a backup
  uint64_t backup_bytes = 0;       // read for backups since the start
  // Since the start: bytes read back and found right, stretches that were bad on the device and
  // were written again, reads that the device refused.
  uint64_t scrubbed_bytes = 0, scrub_mended = 0, scrub_unreadable = 0;
  // What it holds in memory, as it counts against BrokerOptions::memory_bytes_max; that bound, of
  // all shards; receives that wait and subscriptions; leases and delays.
  uint64_t memory_bytes = 0, memory_bytes_max = 0, waiting = 0, timers = 0;
  // Sends refused since the start: for want of memory, and because answers wait too long.
  uint64_t refused_memory = 0, refused_behind = 0;
  bool fenced = false, disk_full = false, memory_full = false;
  std::shared_ptr<const CommitTimes> commits = nullptr;  // never null in an answer
};
struct BrokerStatsReply {
  Errc error = Errc::ok;
  std::span<const ShardStats> shards;
  Durability durability{};
};

// A message move task: what is ready in a dead-letter queue when it starts goes to another queue,
// oldest first, as new messages.
struct MoveRequest {
  QueueId source{};
  QueueId destination{};  // 0: each message to the queue it came from
  uint32_t rate = 0;      // messages a second, 1..kMoveRateMax; 0: as fast as can be
};
inline constexpr uint32_t kMoveRateMax = 500;
inline constexpr uint32_t kMoveTasksKept = 10;  // of a source, with the running one

enum class MoveState : uint8_t {
  running = 0,
  completed = 1,
  cancelling = 2,
  cancelled = 3,
  failed = 4,
};
struct MoveTask {
  uint64_t id = 0;  // rises, never reused
  QueueId source{};
  QueueId destination{};
  uint32_t rate = 0;
  MoveState state = MoveState::running;
  // Both may be less than it was after a crash, by what was moved in the ten seconds before.
  uint64_t moved = 0;
  uint64_t to_move = 0;  // ready in the source when it started
  int64_t started_at_ms = 0;
  int64_t ended_at_ms = 0;       // 0: it has not
  std::string destination_name;  // when it started; empty: each to where it came from
  std::string failure;           // why it failed, as SQS says it if it does
};
struct MoveReply {
  Errc error = Errc::ok;
  std::string_view detail;  // as QueueReply's
  std::span<const MoveTask> tasks;
};

// A backup: a copy of all logs as they were at one moment, read piece by piece. What was
// acknowledged before it was asked for is in it; of what came meanwhile each log has a part, and
// the parts fit together: what one shard knows of another, or of the catalog, is there.
inline constexpr uint32_t kBackupReadBytesMax = 256u << 10;
inline constexpr uint32_t kBackupReadAlignment = 4096;
inline constexpr int64_t kBackupIdleMs = 60'000;  // it ends when nothing is read of it for so long
struct BackupFile {
  uint64_t sequence = 0;  // of the segment
  uint64_t bytes = 0;     // of its file, from the beginning
};
struct BackupLog {
  uint16_t log_id = 0;  // a shard's number, or the catalog's
  Position head, end;
  uint64_t segment_bytes = 0;
  std::vector<BackupFile> files;  // in log order
};
struct BackupReply {
  Errc error = Errc::ok;
  std::string_view detail;  // as QueueReply's
  uint64_t backup = 0;
  TimeMs server_time{};
  std::span<const BackupLog> logs;  // the catalog's, then the shards' by number
};
struct BackupRead {
  uint64_t backup = 0;
  uint16_t log_id = 0;
  uint64_t sequence = 0;
  uint64_t offset = 0;  // in the file; a multiple of kBackupReadAlignment
  uint32_t bytes = 0;   // 1..kBackupReadBytesMax, none past BackupFile::bytes
};
struct BackupBytesReply {
  Errc error = Errc::ok;
  std::string_view detail;
  Bytes bytes;  // all that were asked for
};

// Receives the answers of a shard; all calls on that shard's thread, inside tick() or inside the
// request itself.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void on_send(uint64_t token, const SendReply& reply) = 0;
  virtual void on_receive(uint64_t token,
                          const ReceiveReply& reply) = 0;  // also each push of a subscription
  virtual void on_results(uint64_t token, const ResultsReply& reply) = 0;
  virtual void on_peek(uint64_t token, const PeekReply& reply) = 0;
  virtual void on_queues(uint64_t token, const QueueReply& reply) = 0;
  virtual void on_stats(uint64_t token, const BrokerStatsReply& reply) = 0;
  // Only of the requests about move tasks, and about topics.
  virtual void on_moves(uint64_t /*token*/, const MoveReply& /*reply*/) {}
  // Only of those about backups.
  virtual void on_backup(uint64_t /*token*/, const BackupReply& /*reply*/) {}
  virtual void on_backup_bytes(uint64_t /*token*/, const BackupBytesReply& /*reply*/) {}
  virtual void on_topics(uint64_t /*token*/, const TopicReply& /*reply*/) {}
};

// Where an answer goes. The sink must outlive its outstanding requests; cancel_all() ends them.
struct ReplyTo {
  ReplySink* sink = nullptr;
  uint64_t token = 0;
};

// --- a shard, from its own thread ---

class ShardPort {
 public:
  virtual ~ShardPort() = default;
  virtual ShardId id() const = 0;

  virtual void send(const SendRequest& request, ReplyTo reply) = 0;
  // Into all of its queues or, answered with an error, into none (but see kTargetsPerRecordMax).
  // Answered by on_send, without slots. Errors: as of send(), of the first queue that refuses.
  virtual void publish(const PublishRequest& request, ReplyTo reply) = 0;
  // To a FIFO topic, on whatever shard. Answered by on_send when all of it is where it belongs; of
  // each message the place of which its id (message_id.h, of the topic's id) and its sequence
  // number are made is in shard_slots. Answered with an error it may be in some of its queues:
  // published again it comes to the others. Errors: as of publish(), topic_not_found.
  virtual void publish_ordered(const OrderedPublishRequest& request, ReplyTo reply) = 0;
  virtual void receive(const ReceiveRequest& request, ReplyTo reply) = 0;
  virtual void ack(const AckRequest& request, ReplyTo reply) = 0;
  virtual void extend(const ExtendRequest& request, ReplyTo reply) = 0;
  virtual void peek(const PeekRequest& request, ReplyTo reply) = 0;

  // A standing receive: pushes deliveries to reply.sink (on_receive with reply.token) as they come,
  // while credit lasts. `credit` counts messages; each delivered one takes one. Ends with
  // unsubscribe(), cancel_all(), or queue deletion (on_receive with error queue_not_found). Returns
  // queue_not_found at once, or ok.
  virtual Status subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) = 0;
  virtual Status add_credit(ReplyTo subscription, uint64_t messages) = 0;
  virtual Status unsubscribe(ReplyTo subscription) = 0;

  // Forgets everything outstanding for this sink: no call to it happens afterwards. A receive that
  // waits leases nothing.
  virtual void cancel_all(ReplySink* sink) = 0;
  // Forgets one waiting receive.
  virtual void cancel(ReplyTo reply) = 0;

  // Queue administration. Answered when durable and known to every shard. All or nothing: what was
  // wrong is in the answer's detail. Names: 1..80 of [A-Za-z0-9_-], the last five of a FIFO queue,
  // and only of one, ".fifo".
  //
  // Of a queue that exists: it is answered if every attribute named has that value, else
  // queue_exists. Tags are then not looked at.
  virtual void create_queue(std::string_view name, const QueueSettings& settings,
                            ReplyTo reply) = 0;
  virtual void set_queue(QueueId queue, const QueueSettings& settings, ReplyTo reply) = 0;
  virtual void purge_queue(QueueId queue, ReplyTo reply) = 0;
  virtual void delete_queue(QueueId queue, ReplyTo reply) = 0;
  virtual void list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                           ReplyTo reply) = 0;  // by name
  virtual void queue_stats(std::span<const QueueId> queues,
                           ReplyTo reply) = 0;  // counters summed over shards; empty span: all
  virtual void broker_stats(ReplyTo reply) = 0;

  // Move tasks. A task goes on across restarts until nothing is left that was ready in the source
  // when it started, 36 hours have passed, or it is cancelled; what was moved stays moved. Messages
  // that are leased or delayed are not touched. One runs for a source, 100 in all.
  //
  // Answered with the task, when it is durable. Errors: queue_not_found, not_a_dead_letter_queue,
  // queue_types_differ, same_queue, invalid_argument (the rate), move_task_running, over_limit.
  virtual void start_move(const MoveRequest& request, ReplyTo reply) = 0;
  // Answered with the task once nothing is moved any more. `task` 0: the one that runs.
  virtual void cancel_move(QueueId source, uint64_t task, ReplyTo reply) = 0;
  // Newest first; max 1..kMoveTasksKept.
  virtual void list_moves(QueueId source, uint32_t max, ReplyTo reply) = 0;

  // Backups. Answered (on_backup) when all that is in it is durable. From then on no file of it is
  // overwritten, until end_backup(), cancel_all() of the sink that started it, kBackupIdleMs
  // without a read, a day, or a disk that has no room for both: then reads are refused with
  // `canceled`. One may be under way: others are refused with over_limit. Errors: shard_fenced,
  // disk_full.
  virtual void start_backup(ReplyTo reply) = 0;
  // Answered with on_backup_bytes. Errors: canceled (there is no such backup any more),
  // invalid_argument, throttled (too many are under way), io_error, shard_fenced.
  virtual void read_backup(const BackupRead& request, ReplyTo reply) = 0;
  // Answered with on_backup, also if there is no such backup any more.
  virtual void end_backup(uint64_t backup, ReplyTo reply) = 0;

  virtual TopicPort& topics() = 0;
  // This shard's own copy of the catalog: no hop.
  virtual const QueueInfo* find_queue(std::string_view name) const = 0;
  virtual const QueueInfo* find_queue(QueueId id) const = 0;

  // One turn: mailboxes, completions, timers, cleaning, write, replies, sync. Call it after each
  // round of requests and when next_deadline() comes or the waker fired. Returns true if there is
  // more to do at once.
  virtual bool tick() = 0;
  // Said before a tick by a loop that has more requests at hand, or may have: that tick, and a few
  // after it at most, may leave its sync to the next, so that one sync serves more answers. A tick
  // that did so returns true.
  virtual void expect_more() {}
  // Reads the clock. The driving loop calls it after it slept and before it makes requests: leases
  // and delays count from now(), and a stale now() would end them early.
  virtual void refresh_clock() = 0;
  // Server time, as of the last tick() or refresh_clock().
  virtual TimeMs now() const = 0;
  // When tick() must be called though nothing else happens; kNever if not at all.
  virtual TimeMs next_deadline() const = 0;
  // Nothing is acknowledged by this shard any more: a write or a sync failed, or stored bytes are
  // not what was written. True for good once it is.
  virtual bool fenced() const = 0;
  // What the driving loop holds in memory for its own part, in bytes: counts against the budget.
  virtual void note_memory(uint64_t /*bytes*/) {}
  // Called from any thread when the shard has mail or a disk job is done: must make the driving
  // thread call tick() soon. Set once before the first tick.
  virtual void set_waker(std::function<void()> wake) = 0;
  // True when nothing is gathered, no reply waits and the mailboxes are empty.
  virtual bool idle() const = 0;
};

// --- the broker ---

class Environment;  // engine/environment.h: clock, disks, entropy. The simulator brings its own

class Broker {
 public:
  virtual ~Broker() = default;

  // Opens or creates. Recovery is finished when this returns. On failure `message` gets one line
  // for people.
  static Result<std::unique_ptr<Broker>> open(const BrokerOptions& options, std::string* message);
  static Result<std::unique_ptr<Broker>> open(const BrokerOptions& options,
                                              Environment& environment, std::string* message);

  virtual uint16_t shard_count()
      const = 0;  // at least options.shards; more if the directory was made with more
  virtual ShardPort& shard(ShardId shard) = 0;
  virtual const std::vector<std::string>& recovery_report()
      const = 0;  // a line a shard, for the log
  // Of those, what was damaged and set aside when it was opened: a line a log.
  virtual const std::vector<std::string>& damage_report() const = 0;

  // Own threads, one per shard, pinned if there are enough cores. Afterwards only LocalClient and
  // stop() may be used.
  virtual Status start_threads() = 0;
  // Writes and syncs everything, marks a clean shutdown. With own threads it joins them first;
  // otherwise no shard may be ticked any more. Also done by the destructor.
  virtual Status stop() = 0;
};

}  // namespace millrace
