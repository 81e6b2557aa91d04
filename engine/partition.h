// Partition: the part of a queue that one shard owns, as pure state.
//
// It answers what would happen (choose, judge_*) and applies records (apply_*); it appends nothing
// and knows no reply. The same apply functions run live, right after the record was appended, and
// in recovery, so both end in the same state. In recovery a record may speak of slots whose
// messages are gone (their segments were freed): such slots are skipped.
//
// A live message is delayed (timer of kind delay), leased (timer of kind lease) or ready (no
// timer). Ready messages below visible_end() may be delivered; the rest waits for the log.
//
// In a partition of a FIFO queue only the first message of a group may be marked ready in the
// index, and is when it is neither leased nor delayed. So the next message to deliver is found in
// the same way, whatever the depth and however many groups are blocked; the others of its group
// follow by the group index. In a standard queue a group is a tenant, and may have the first of
// what it has ready marked (fair_groups.h); from the first message on that names one, and none the
// worse for a queue without. Which message is in which group is read from the messages: once all is
// replayed, and from then on as they come.
//
// Threads: shard-local.  Memory: SlotIndex's, 32 bytes a timer, 16 bytes a segment; GroupIndex's or
// FairGroups'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/keyed_hash.h"
#include "engine/dedup_window.h"
#include "engine/fair_groups.h"
#include "engine/group_index.h"
#include "engine/message_names.h"
#include "engine/queue_rules.h"
#include "engine/records.h"
#include "engine/segment_bytes.h"
#include "engine/shared_messages.h"
#include "engine/slot_index.h"
#include "engine/surviving_bytes.h"
#include "engine/timer_wheel.h"
#include "millrace/engine.h"
#include "storage/log.h"

namespace millrace::engine {

// Of the record that is being applied: where its messages lie, which of them are delayed, and their
// names on FIFO where nobody has read them yet.
struct RunScratch {
  std::vector<uint32_t> offsets;
  std::vector<uint32_t> delayed;
  std::vector<uint32_t> chosen;  // of a publish: offsets of one queue's
  std::vector<MessageNames> names;
};

// What a partition leans on; its shard's.
struct PartitionContext {
  TimerWheel& timers;
  storage::Log& log;
  RunScratch& scratch;
  const base::KeyedHash& names;
  SharedMessages& shared;
};

// Bytes a message holds in its segment's account: what it would take in a carry of its own, which
// is as much as cleaning can ever need for it, whatever becomes of its neighbours.
inline constexpr uint64_t kCarriedAloneBytes = sizeof(storage::RecordHeader) + sizeof(CarryHead);
uint64_t live_cost(const MessageHeader& header);

// A message where the log keeps it: valid until its segment is freed.
struct StoredMessage {
  MessageHeader header;  // a copy, so that what was checked is what is used
  const std::byte* at;

  // Bytes from the start of its record's body.
  uint32_t offset() const { return header.record_offset & ~kSharedMessage; }
  // A SharedHead stands before it.
  bool published() const { return (header.record_offset & kSharedMessage) != 0; }

  Bytes bytes() const { return {at, message_stride(header)}; }
  Bytes content() const { return bytes().subspan(sizeof header); }
  TimeMs sent_at() const {
    int64_t ms = 0;
    std::memcpy(&ms, at - offset() + offsetof(EnqueueHead, sent_at_ms), sizeof ms);
    return TimeMs{ms};
  }
  // Of a published message.
  SharedHead shared_head() const {
    SharedHead head;
    std::memcpy(&head, at - sizeof head, sizeof head);
    return head;
  }
  bool is_shared() const { return published() && shared_head().references > 1; }
  // From when on its queue's retention counts. A delay longer than a queue's own can be counts as
  // not sent yet, or it could not be longer than the retention.
  TimeMs kept_from() const;
};
// The message at a written position. Nothing if the bytes there can't be one: the map shows what a
// failed write-back left of them, before any sync tells of it. Nothing outside the segment is ever
// touched; whether they are the bytes that were written only the record's checksum can tell.
inline std::optional<StoredMessage> message_at(const storage::Log& log, Position position) {
  StoredMessage message;
  message.at = log.at(position);
  std::memcpy(&message.header, message.at, sizeof message.header);
  const uint64_t segment_bytes = log.segment_bytes();
  const uint64_t offset = position.value & (segment_bytes - 1);
  const uint64_t back = message.offset();
  if (back < sizeof(EnqueueHead) || (back & 7) != 0) return std::nullopt;
  if (back + sizeof(storage::RecordHeader) > offset) return std::nullopt;
  if (message_stride(message.header) > segment_bytes - offset) return std::nullopt;
  return message;
}
// These slots, in this order.
void runs_of(std::span<const uint64_t> slots, std::vector<SlotRun>* runs);
// Adds slots to the end of `runs`, to the last run from `first_run` on if they continue it.
void push_run(std::vector<SlotRun>* runs, size_t first_run, Slot slot, uint32_t count);

class Partition {
 public:
  // What its queue was created as; the scope of its deduplication ids may change (set_rules()).
  struct Kind {
    bool fifo = false;
    bool dedup_by_group = false;
  };
  Partition(QueueId queue, Kind kind) : queue_(queue), kind_(kind) {}

  QueueId queue() const { return queue_; }
  Kind kind() const { return kind_; }
  const QueueRules& rules() const { return rules_; }
  void set_rules(const QueueRules& rules) {
    rules_ = rules;
    kind_.dedup_by_group = rules.dedup_by_group;
  }
  uint64_t leased() const { return leased_; }
  bool at_in_flight_limit() const { return leased_ >= rules_.in_flight_max; }
  uint64_t in_flight_left() const { return rules_.in_flight_max - leased_; }  // below the limit

  // Retention (retention.cc). No message here was sent before this.
  TimeMs oldest_sent_at() const { return oldest_sent_at_; }
  // Sending times rise with the slots; not so with dead letters that keep theirs.
  bool in_order() const { return in_order_; }
  // How far the messages were looked at since oldest_sent_at() was over, and the oldest that stays.
  struct Sweep {
    Slot next{};
    TimeMs oldest{};
  };
  const Sweep& sweep() const { return sweep_; }
  void set_sweep(const Sweep& sweep) { sweep_ = sweep; }
  void end_sweep(TimeMs oldest);
  const DedupWindow& dedup() const { return dedup_; }
  uint64_t groups() const {
    return groups_ != nullptr ? groups_->groups() : fair_ != nullptr ? fair_->groups() : 0;
  }
  // A standard queue with messages that name a group.
  bool keeps_tenants() const { return fair_ != nullptr; }
  const SlotIndex& index() const { return *index_; }
  Slot slot_end() const { return index_->end(); }
  Slot visible_end() const { return visible_end_; }
  void set_visible_end(Slot end) { visible_end_ = end; }
  bool has_visible_ready() const {
    return index_->next_ready(Slot{0}, visible_end_).has_value() ||
           (fair_ != nullptr && fair_->something_aside(visible_end_));
  }
  // The oldest message from `from` on that choose() could give, whosever turn it is. Where tenants
  // are kept apart it looks at what is hidden in between.
  std::optional<Slot> next_ready(Slot from, Slot below) const;
  uint64_t live_bytes() const { return bytes_.total(); }
  // Of these, what storage::Log::add_apart() was told.
  uint64_t apart_bytes() const {
    return (index_->live_count() - shared_) * kCarriedAloneBytes +
           dedup_.size() * DedupWindow::kLiveBytesApart;
  }

  struct Status {
    MessageState state;
    TimeMs due;  // 0 for ready
  };
  Status status(Slot slot, const TimerWheel& timers) const;  // requires live

  // Visible ready messages from the front, or as it is fair: at most `messages_max`, stopping
  // before their strides pass `bytes_max` (the first always fits). Appends runs; returns the number
  // of messages.
  uint32_t choose(const storage::Log& log, uint32_t messages_max, uint32_t bytes_max,
                  std::vector<SlotRun>* runs) const;
  // As choose(), but from the front in any case. For move tasks, which know how far they go.
  uint32_t choose_oldest(const storage::Log& log, uint32_t messages_max, uint32_t bytes_max,
                         std::vector<SlotRun>* runs) const;

  enum class Verdict : uint8_t { act, nothing, receipt_expired, not_leased, gone, too_long };
  // nothing: gone already, which is success. On FIFO only the lease in force counts. A generation
  // above the count comes from a lease that a power cut made the log forget: the work was done, so
  // the ack counts.
  Verdict judge_ack(Slot slot, uint32_t generation, const TimerWheel& timers) const;
  // The newest receipt hides its message again also when its lease is over, as long as nobody else
  // got it. too_long: it would be hidden past `lease_ms_max` from its receive on.
  Verdict judge_extend(Slot slot, uint32_t generation, TimeMs hidden_until, uint32_t lease_ms_max,
                       const storage::Log& log) const;
  // Alive and leased for the `generation`th time, until exactly then.
  bool is_leased(Slot slot, uint32_t generation, TimeMs until, const TimerWheel& timers) const;
  // Neither leased nor delayed: to hide it takes a timer.
  bool has_timer(Slot slot) const { return index_->timer(slot) != kNoTimer; }

  // `run_position` is where the first message of `run` lies, or will lie once written.
  // FIFO: `names` are those of the run's messages, where they were read already.
  void apply_enqueue(const PartitionContext& context, const EnqueueHead& head, Bytes run,
                     Position run_position, std::span<const MessageNames> names = {});
  // `holder`: whose it is, for peek; not in the log.
  void apply_lease(const PartitionContext& context, const LeaseHead& head,
                   std::span<const SlotRun> runs, uint32_t holder = 0);
  void apply_extend(const PartitionContext& context, const ExtendHead& head,
                    std::span<const ExtendMark> marks, uint32_t holder = 0);
  // `acked_at`: live, for a receiver, and counted as such.
  void apply_ack(const PartitionContext& context, std::span<const SlotRun> runs,
                 std::optional<TimeMs> acked_at = {});
  // `run`: messages of consecutive slots, written at `run_position`.
  void apply_carry(const PartitionContext& context, const CarryHead& head, Bytes run,
                   Position run_position);
  // A message of another queue comes here; `message` is written at `position`.
  void apply_arrival(const PartitionContext& context, const DeadLetterHead& head,
                     const std::byte* message, Position position);
  // Some of the messages of a publish record, whose body is `body` and will be at `position`;
  // `offsets` of all of them in it. Returns those that came, as bits.
  uint64_t apply_publish(const PartitionContext& context, const PublishHead& head,
                         const PublishTarget& target, Bytes body, Position position,
                         std::span<const uint32_t> offsets);
  // False: there is nothing for it here (a FIFO queue).
  bool apply_carry(const PartitionContext& context, const SharedReference& reference,
                   const SharedHead& shared, const std::byte* message, Position position);
  void apply_purge(const PartitionContext& context, Slot slot_end);
  void apply_slot_end(Slot slot_end);
  // All that the queue holds is known: from here on groups are kept. Once, before any choose().
  void find_groups(const PartitionContext& context);
  void apply_dedup(const PartitionContext& context, std::span<const DedupMark> marks,
                   Position told_at);
  // Forgets up to `max` deduplication ids that are over. True if there may be more.
  bool expire_dedup(storage::Log& log, TimeMs now, uint32_t max);
  // A timer of this partition fired; its entry is gone already.
  void apply_due(Slot slot, TimerKind kind);
  // The queue is deleted: timers stopped, accounts settled.
  void release(const PartitionContext& context);

  // Checkpoint: appends the whole state; and back, from an empty partition, moving `in` past it.
  // The log's accounts are not touched by load(): account() adds them once the log is open.
  void save(const TimerWheel& timers, std::vector<std::byte>& out) const;
  // What it names in the log lies in `surviving`, or it is corrupt.
  [[nodiscard]] millrace::Status load(TimerWheel& timers, const SurvivingBytes& surviving,
                                      Bytes& in);
  void account(storage::Log& log) const;
  // Before it is dropped unaccounted.
  void forget_timers(TimerWheel& timers);
  void forget_references(SharedMessages* shared) const;
  // Test builds only (base/planted.h): slots start again from what is alive.
  void forget_slot_end(const PartitionContext& context);

  QueueCounters counters(const storage::Log& log) const;
  // Hash of all that a receiver could ever notice, at server time `now`, bodies included.
  uint64_t digest(const PartitionContext& context, TimeMs now) const;
  // Adds what is alive here, by segment; asserts that it is what the partition's own account says.
  // False if some of it can't be read any more.
  bool count_live(const storage::Log& log, std::map<uint64_t, uint64_t>& sums) const;
  uint64_t memory_bytes() const {
    return index_->memory_bytes() + (groups_ == nullptr ? 0 : groups_->memory_bytes()) +
           (fair_ == nullptr ? 0 : fair_->memory_bytes());
  }

  // Since the broker opened; counted by whoever decides, not by apply.
  struct Tally {
    uint64_t sent = 0, received = 0, acked = 0, expired = 0, empty_receives = 0;
    uint64_t redelivered = 0, dead_lettered = 0, aged_out = 0;
    std::unique_ptr<QueueTimes> times = nullptr;  // from the first receive on
  };
  Tally tally;

  // A message was leased.
  void count_receive(const Delivery& delivery, TimeMs now);

  // For the shard's own books.
  uint32_t durable_waits = 0;      // entries of the visibility queue that wait for a sync
  uint64_t interested_shards = 0;  // bit s: shard s wants to hear when something is ready here
  // The newest record from which replay learns slot_end(); sizeof(SlotEnd) of it count as alive. 0:
  // none.
  Position slot_end_told{};

 private:
  void apply_carry(const PartitionContext& context, const CarryHead& head, Slot slot,
                   const MessageHeader& header, const std::byte* message, Position position);
  // Alive, and written: a receipt of what never was delivered is not about this message, whose
  // bytes may not be there yet.
  bool shown(Slot slot) const { return slot < visible_end_ && index_->live(slot); }
  uint32_t choose_from_groups(const storage::Log& log, uint32_t messages_max, uint32_t bytes_max,
                              std::vector<SlotRun>* runs) const;
  uint32_t choose_fairly(const storage::Log& log, uint32_t messages_max, uint32_t bytes_max,
                         std::vector<SlotRun>* runs) const;
  uint64_t bytes_between(const storage::Log& log, Slot first, uint32_t count) const;
  uint64_t bytes_of_runs(const storage::Log& log, std::span<const SlotRun> runs) const;
  void count_ack(SlotIndex::Entry at, const StoredMessage& message, TimeMs now);
  void place(Slot slot, Position position);
  void make_ready(Slot slot);  // if it may be; no timer
  void erase(const PartitionContext& context, SlotIndex::Entry at);
  void name_messages(const PartitionContext& context, const EnqueueHead& head, Bytes run,
                     Position run_position, std::span<const MessageNames> names);
  // A carried message is here, with its state but not accounted.
  struct Carried {
    uint32_t receive_count;
    ReceivedTimes received;
    MessageState state;
    TimeMs due;
  };
  void take_carried(const PartitionContext& context, Slot slot, const Carried& carried,
                    const std::byte* message, Position position);
  void release_shared(const PartitionContext& context);
  void join_group(Slot slot, const GroupKey& group);
  void find_tenants(const PartitionContext& context);
  void join_tenant(const PartitionContext& context, Slot slot, const std::byte* message);
  // What ids that are told in one segment add to its account, until they are accounted together.
  struct DedupChange {
    uint64_t segment = 0;
    int entries = 0;
  };
  void remember(const PartitionContext& context, const DedupMark& mark, Position told_at,
                DedupChange* change);
  void remember_again(const PartitionContext& context, Slot slot, TimeMs at,
                      const std::byte* message, Position told_at);
  void account_dedup(storage::Log& log, uint64_t segment, int entries);
  void stop_timer(const PartitionContext& context, SlotIndex::Entry at);
  void stop_timer(const PartitionContext& context, Slot slot) {
    stop_timer(context, index_->entry(slot));
  }
  void start_timer(const PartitionContext& context, SlotIndex::Entry at, TimerKind kind, TimeMs due,
                   uint32_t holder = 0);
  void start_timer(const PartitionContext& context, Slot slot, TimerKind kind, TimeMs due,
                   uint32_t holder = 0) {
    start_timer(context, index_->entry(slot), kind, due, holder);
  }
  void forget_live_before(const PartitionContext& context, Slot end);

  QueueId queue_;
  Kind kind_;
  QueueRules rules_;
  TimeMs oldest_sent_at_{};  // a bound; 0: not known yet
  bool in_order_ = true;
  Sweep sweep_;
  std::unique_ptr<GroupIndex> groups_;  // FIFO, from find_groups() on
  // Standard, from the first message on that names a group, or from find_groups() on.
  std::unique_ptr<FairGroups> fair_;
  bool keeps_groups_ = false;  // find_groups() was called
  bool named_groups_ = false;  // standard: some of what was replayed did
  DedupWindow dedup_;          // FIFO
  std::unique_ptr<SlotIndex> index_ = std::make_unique<SlotIndex>();
  Slot visible_end_{};
  SegmentBytes bytes_;
  uint64_t shared_ = 0;  // live messages that other queues have too
  uint64_t leased_ = 0;
  uint64_t delayed_ = 0;
};

}  // namespace millrace::engine
