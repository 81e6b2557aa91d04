// ShardState: what a shard's log adds up to, and the only writer of that log's records.
//
// Each operation decides against the state, appends one record a queue, and applies it with the
// very functions that replay applies (Partition::apply_*). Nothing here knows who asked: replies,
// waiting and other shards are the Shard's.
//
// A message may be delivered once its enqueue has reached the level its queue asks for: written, or
// durable in commit mode. Until then it lies above its partition's visible_end(); the queue of
// coming visibility is advanced after each write and each sync.
//
// Threads: shard-local.  Memory: the partitions', 24 bytes a timer; the rest is reused.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/fifo_intake.h"
#include "engine/limits.h"
#include "engine/move_ids.h"
#include "engine/partition.h"
#include "engine/receipt.h"
#include "engine/receive_attempts.h"
#include "engine/ring_queue.h"
#include "millrace/engine.h"
#include "millrace/publish.h"
#include "storage/log.h"

namespace millrace::engine {

class ShardState final : public storage::ReplaySink {
 public:
  // `log` is open and not yet recovered. `wheel_start`: no later than the first tick.
  ShardState(ShardId shard, storage::Log& log, const ReceiptKey& key, TimeMs wheel_start);

  // --- recovery ---
  void add_queue(QueueId queue,
                 Partition::Kind kind);  // before replay: records of unknown queues are dead bytes
  void on_record(const storage::Record& record) override;
  // The first record that can't be, for people; it and those behind it were not applied. Empty: all
  // were.
  const std::string& refused() const { return refused_; }
  // The greatest id of a queue that a record or the checkpoint was about, whether the catalog knows
  // it or not: it must not be given to another.
  QueueId newest_queue() const { return newest_queue_; }
  // All that was replayed is visible now.
  void finish_recovery();
  // After an end that may have lost records whose slots were shown already (any but a clean stop,
  // if some answers did not wait for a sync): passes over `slots`, more than can have been lost, so
  // that a receipt or message id of a lost message never means another. Returns the end of the
  // records that say so; until that is durable no slot may be shown. Errors: disk_full,
  // shard_fenced, over_limit (there are not so many left).
  Result<Position> skip_lost_slots(uint64_t slots);

  // --- partitions ---
  Partition* find(QueueId queue);
  void drop_queue(QueueId queue);
  template <class F>
  void for_each_partition(F&& f) {
    for (auto& [id, partition] : partitions_)
      f(*partition);
  }
  PartitionContext context() { return {timers_, log_, scratch_, names_, shared_}; }

  // --- operations: decide, append, apply ---
  // What is bounded for each turn begins anew.
  void begin_turn() { moves_left_ = {}; }
  struct Enqueued {
    Position end;
    Slot first_slot;
    // Of each message, if they are not consecutive: FIFO, until the next call.
    std::span<const Slot> slots{};
  };
  // `run` was checked (request_check.h). Errors: disk_full, over_limit, shard_fenced,
  // batch_too_large (the segment can't hold it).
  // As enqueue, for a FIFO partition: duplicates are not stored. Error also: over_limit (the
  // deduplication window is full).
  Result<Enqueued> enqueue_fifo(Partition& partition, Bytes run, uint32_t count,
                                const QueueAttributes& queue, bool wait_durable, TimeMs now);
  // `names`: see Partition::apply_enqueue().
  Result<Enqueued> enqueue(Partition& partition, Bytes run, uint32_t count, uint32_t delay_ms,
                           bool wait_durable, TimeMs now, std::span<const MessageNames> names = {});
  // Publishing (publishing.cc). One record: each message comes into all of its queues or into none.
  // `request` was checked; its copies are those of `targets`, by queue and subscription,
  // kTargetsPerRecordMax at most. Errors: as of enqueue().
  struct Target {
    const PublishCopy* copy;
    uint32_t delay_ms;
    bool durable;  // its queue shows the messages, and it is answered, when they are durable
  };
  Result<Position> publish(const PublishRequest& request, std::span<const Target> targets,
                           TimeMs now);
  // FIFO topics: remembers ids in a window, which is a partition without messages, and that slots
  // below `end` were given out. Errors: as of enqueue(), of which some may have been done.
  Status note_published(Partition& window, std::span<const DedupMark> marks, Slot end, TimeMs now);
  // Re-appends what is alive of a publish or carry_shared record of the segment that is being
  // cleaned; returns the bytes.
  Result<uint64_t> carry_published(const storage::Record& record);
  // What stands in this queue's copy of a published message; none: nothing does.
  Stamp stamp_of(QueueId queue, Slot slot, const StoredMessage& message) const;
  // Leases what Partition::choose() chooses and appends it to `deliveries`; returns the end of the
  // record, or nothing if nothing is ready. Messages that were received too often go to the queue's
  // dead-letter queue instead; if there were more of them than one turn moves, stopped_short(): ask
  // again next turn. Errors: over_limit, shard_fenced, disk_full.
  Result<std::optional<Position>> lease(Partition& partition, uint32_t messages_max,
                                        uint32_t bytes_max, uint32_t visibility_ms, TimeMs now,
                                        std::vector<Delivery>* deliveries, uint32_t holder = 0);
  bool stopped_short() const { return stopped_short_; }
  // As lease(), of what was leased for this attempt before, if it is all leased still: the same
  // receipts, hidden for `visibility_ms` from now on, no receive counted. Nothing: as if it were
  // not known.
  Result<std::optional<Position>> repeat(Partition& partition, const AttemptKey& key,
                                         uint32_t visibility_ms, TimeMs now,
                                         std::vector<Delivery>* deliveries, uint32_t holder);
  void remember_attempt(const AttemptKey& key, std::span<const Delivery> deliveries,
                        uint32_t visibility_ms, TimeMs now);
  AttemptKey attempt_key(QueueId queue, std::string_view id) const;
  // A message in a dead-letter queue is shown when it is durable, whatever the durability: this far
  // the log is to be synced for it.
  Position moved_through() const { return moved_through_; }
  // False while lease() would fail for want of space or timers.
  bool can_lease() const {
    return timers_.size() < kTimersPerShardMax && log_.has_room(storage::Space::leases);
  }
  // The receipts are of this shard and sealed by us. `results` gets one Errc each. Returns the
  // position the answer waits for. Errors: shard_fenced, disk_full (nothing of it can be relied
  // on).
  struct Wait {
    Position end{};        // 0: nothing to wait for
    bool durable = false;  // some queue of it asks for commit
  };
  template <class Durable>
  Result<Wait> ack(std::span<const Receipt> receipts, std::span<Errc> results, TimeMs now,
                   Durable&& durable);
  template <class Durable>
  Result<Wait> extend(const ExtendRequest& request, std::span<Errc> results, TimeMs now,
                      Durable&& durable);
  Result<Position> purge(Partition& partition);
  // For a move task: takes ready messages of `source` from the front, and appends each, as a new
  // message, to `destination`, or to the queue it came from.
  struct MoveWish {
    QueueId destination{};  // 0: each to where it came from
    Slot end{};             // only slots below
    TimeMs arrived_by{};    // and only those that came here by then
    uint32_t messages_max = 0;
    uint32_t bytes_max = 0;
    // Where the destination keeps a message with these properties; null: here. What lives on
    // another shard is hidden for it.
    const std::function<ShardId(Bytes properties)>* home = nullptr;
  };
  struct Moved {
    uint32_t messages = 0;
    uint64_t bytes = 0;
    bool none_left = false;
    // Of the first message that could not be moved: queue_not_found (its destination), not_found
    // (it does not say where it came from), batch_too_large (of the smallest segments),
    // shard_fenced, disk_full.
    Errc error = Errc::ok;
    // What was hidden, in slot order, until the next call. It is to be told to its home once the
    // log is durable up to moved_through().
    std::span<const uint64_t> hidden{};
  };
  Moved move_ready(Partition& source, const MoveWish& wish, TimeMs now);
  // Moves across shards (moves_across.cc). What is hidden here, for a task that goes on.
  std::vector<uint64_t> hidden(const Partition& source, TimeMs now) const;
  Errc copy_out(const Partition& source, Slot slot, std::vector<std::byte>* run);
  // They could not go: ready again.
  Errc show_again(Partition& source, std::span<const uint64_t> slots, TimeMs now);
  // They are durable where they went.
  Errc let_go(Partition& source, std::span<const uint64_t> slots);
  // None of `slots` was taken in before.
  Errc take_in(Partition& target, MoveOrigin origin, std::span<const uint64_t> slots, Bytes run,
               TimeMs now);
  const MoveIds& move_ids() const { return move_ids_; }
  // They are gone where they came from, durably; or all but these are.
  Errc forget_moved_in(MoveOrigin origin, std::span<const uint64_t> slots);
  Errc forget_moved_in_but(MoveOrigin origin, std::span<const uint64_t> open);
  // Ids that only the segment being cleaned tells.
  Status tell_move_ids(uint64_t cleaned_segment);
  // Of the newest record since the log was opened.
  Position last_end() const { return last_end_; }
  // Re-appends a live message of the segment that is being cleaned, and as many of the messages
  // that follow it in its record as are in the same state: `count_max` at most, with the first.
  // None: the first is dead or lies elsewhere by now, nothing was done.
  struct Carried {
    uint32_t messages = 0;
    uint64_t bytes = 0;
  };
  Result<Carried> carry(Partition& partition, Slot first, Position from, uint32_t count_max = 1);
  // Re-appends how far slots were given out, where only the segment being cleaned tells: one
  // record, for many partitions. True if that was the last of them.
  Result<bool> tell_slot_ends(uint64_t cleaned_segment);

  // Takes messages away that are older than their queue keeps them, if it is time to look, a
  // bounded number of each queue; calls ready(Partition&) where something behind them may be had
  // now.
  template <class F>
  void expire_messages(TimeMs now, F&& ready);
  TimeMs retention_due() const { return retention_due_; }
  // Nothing ages out before.
  void wait_with_retention(TimeMs until) { retention_from_ = until; }
  bool retention_waits(TimeMs now) const { return now < retention_from_; }
  // Its rules are new, or it is.
  void retention_changed(Partition& partition, TimeMs now);

  // Lets up to `max` due leases and delays end; calls ready(Partition&) for each. Returns how many.
  template <class F>
  uint32_t expire(TimeMs now, uint32_t max, F&& ready);
  // Moves visible ends up to what is written and durable; calls visible(Partition&) for each.
  template <class F>
  void advance_visibility(F&& visible);

  const TimerWheel& timers() const { return timers_; }
  const base::KeyedHash& names() const { return names_; }
  storage::Log& log() { return log_; }
  ShardId shard() const { return shard_; }
  ReceiptSealer& sealer() { return sealer_; }
  // The ids of messages that are gone, whose segment is to be freed, are told again.
  Status tell_dedup(Partition& partition, std::span<const DedupMark> marks);
  // Forgets ids that are over, if it is time to, a bounded number for each queue.
  void expire_dedup(TimeMs now);
  TimeMs dedup_due() const { return dedup_due_; }
  uint64_t index_bytes() const;
  // With it, what is kept of ids: of deduplication, of receive attempts, of moved messages.
  uint64_t memory_bytes() const;
  uint64_t live_messages() const;
  // Whether the log's live bytes are what counting them again gives; for MR_CHECK_DEEP.
  bool accounts_hold() const;
  // Equal for a shard and its recovery, whatever the order of partitions.
  uint64_t digest(TimeMs now);

  // Checkpoint: the state as bytes for Log::save_checkpoint, and back, before replay goes on from
  // its position. It is good only while the log's head is where it was: the state names messages in
  // segments that may be gone otherwise. Error corrupt: nothing was loaded.
  std::vector<std::byte> save() const;
  [[nodiscard]] Status load(Bytes bytes);

 private:
  struct Coming {
    Position end{};
    QueueId queue{};
    Slot slot_end{};
  };

  // Whether `count` messages that have no timer may be hidden.
  bool may_hide(const Partition& partition, uint64_t count) const {
    return timers_.size() + count <= kTimersPerShardMax &&
           partition.leased() + count <= partition.rules().in_flight_max;
  }
  Status deliver(const Partition& partition, std::vector<Delivery>* deliveries);
  // Appends one record; returns its position.
  Result<Position> append(RecordKind kind, Bytes head, Bytes items);
  void note_queue(uint32_t id) {
    if (id <= kQueueIdMax) newest_queue_ = std::max(newest_queue_, QueueId{id});
  }
  void account_checkpoint();
  static Status load_shared(const SurvivingBytes& surviving, Bytes& in, SharedMessages* shared);
  // Replay learns the partition's slot end from the record at `position`: what told it before is
  // garbage, this is alive.
  void told(Partition& partition, Position position);
  Status tell(std::span<Partition* const> partitions);
  // False if the record of this message fails its checksum. A record that is large beside the
  // message is not hashed for it alone.
  bool still_as_written(Position message, const MessageHeader& header);
  // The message there, as it was written; nothing, and the log is fenced, if it is not.
  std::optional<StoredMessage> verified_message(Position at);
  // Appends that these messages are gone, and applies it: a record of kind ack or expire.
  Status append_gone(RecordKind kind, Partition& partition, std::span<const uint64_t> slots);
  Result<Position> append_ack(Partition& partition, TimeMs now);
  Result<Position> append_extend(Partition& partition, TimeMs now, uint32_t holder = 0);
  // dead_letters.cc
  uint32_t choose(Partition& partition, uint32_t messages_max, uint32_t bytes_max, TimeMs now);
  uint32_t choose_before(uint64_t slot);
  // retention.cc
  TimeMs expire_messages(Partition& partition, TimeMs now, bool* some);
  // What is kept from then or before is over.
  TimeMs horizon_of(const Partition& partition, TimeMs now) const;
  bool is_over(const Partition& partition, Slot slot, TimeMs horizon) const;
  Status append_expired(Partition& partition);
  Status move(Partition& source, Slot slot, Partition& target, TimeMs now);
  void apply_dead_letter(const DeadLetterHead& head, Bytes message, Position record);
  // moves.cc
  Errc gather_move(Partition& source, Slot slot, const MoveWish& wish, TimeMs now, Moved* moved);
  Errc append_moved(Partition& source, TimeMs now, Moved* moved);
  struct BegunRecord {
    Position position{};
    MutableBytes body{};
  };
  Result<BegunRecord> begin_moved(RecordKind kind, storage::Space space, Bytes head, Bytes items,
                                  Bytes run, uint64_t alone);
  void apply_move(const MoveHead& head, Bytes runs_and_messages, Position record);
  void append_moved_message(const Partition& source, Slot slot, const StoredMessage& message,
                            std::vector<std::byte>* run);
  // publishing.cc
  void find_published(Bytes body, const PublishHead& head);
  void apply_publish(const PublishHead& head, Bytes body, Position record);
  void apply_carry_shared(const CarrySharedHead& head, Bytes body, Position record);
  void gather_reference(uint32_t queue, uint64_t slot, Position from, const uint8_t* stamp);
  Result<uint64_t> carry_gathered(Position from);
  // moves_across.cc
  Errc hide(Partition& source, std::span<const uint64_t> slots, TimeMs now);
  void apply_move_in(const MoveInHead& head, Bytes ids_and_messages, Position record);
  Errc append_move_ids(MoveOrigin origin, std::span<const uint64_t> slots, bool over);
  void apply_move_ids(const MoveIdsHead& head, std::span<const uint64_t> slots, Position record);
  void become_visible(Partition& partition, Position end, bool wait_durable);
  template <class F>
  void advance(RingQueue<Coming>& queue, Position reached, bool durable, F& visible);

  ShardId shard_;
  storage::Log& log_;
  ReceiptSealer sealer_;
  TimerWheel timers_;
  RunScratch scratch_;
  FifoIntake intake_;
  base::KeyedHash names_;
  std::string refused_;
  QueueId newest_queue_{};
  bool recovered_ = false;
  TimeMs dedup_due_{};
  TimeMs retention_due_{};
  TimeMs retention_from_{};
  std::unordered_map<QueueId, std::unique_ptr<Partition>> partitions_;
  Partition* last_found_ = nullptr;
  bool unaccounted_ = false;  // a checkpoint was loaded, the log's live bytes do not know yet
  Position last_end_{};       // of the newest record appended since the log was opened
  // The record that was verified last, and how far the log was durable then.
  struct Verified {
    Position begin{};
    Position end{};
    uint64_t durable = 0;
  };
  Verified verified_;
  RingQueue<Coming> coming_written_;
  RingQueue<Coming> coming_durable_;
  struct MovesLeft {
    uint32_t messages = kDeadLettersPerTickMax;
    uint64_t bytes = kDeadLetterBytesPerTickMax;
  };
  MovesLeft moves_left_;  // in this turn
  ReceiveAttempts attempts_;
  bool stopped_short_ = false;
  Position moved_through_{};
  // Reused by each operation.
  std::vector<SlotRun> runs_;
  std::vector<uint64_t> slots_;
  std::vector<ExtendMark> marks_;
  std::vector<Partition*> telling_;
  std::vector<SlotEnd> slot_ends_;
  std::vector<std::byte> carried_run_;
  std::vector<uint64_t> doomed_;
  std::vector<SlotRun> expired_runs_;
  std::string moved_properties_;
  std::vector<std::byte> moved_message_;
  std::vector<SlotRun> moved_runs_;
  MoveIds move_ids_;
  std::vector<uint64_t> hiding_;
  SharedMessages shared_;
  std::vector<PublishTarget> targets_;
  std::vector<SharedReference> references_;
  std::vector<uint32_t> published_;
  // Messages that will be one record: where they go, and how many.
  QueueId moving_to_{};
  uint32_t moving_ = 0;
};

template <class Durable>
Result<ShardState::Wait> ShardState::ack(std::span<const Receipt> receipts, std::span<Errc> results,
                                         TimeMs now, Durable&& durable) {
  Wait wait;
  for (size_t i = 0; i < receipts.size();) {
    // One record for each stretch of receipts of one queue.
    const QueueId queue{receipts[i].queue_id};
    Partition* partition = find(queue);
    slots_.clear();
    for (; i < receipts.size() && QueueId{receipts[i].queue_id} == queue; ++i) {
      if (partition == nullptr) {
        results[i] = Errc::queue_not_found;
        continue;
      }
      const Slot slot = slot_of(receipts[i].shard_slot);
      const auto verdict = partition->judge_ack(slot, receipts[i].generation, timers_);
      if (verdict == Partition::Verdict::act) slots_.push_back(raw(slot));
      if (verdict == Partition::Verdict::nothing) {
        // Acked or purged before, maybe only just: this answer too waits for that record.
        wait.end = std::max(wait.end, last_end_);
        wait.durable = wait.durable || durable(queue);
      }
      results[i] =
          verdict == Partition::Verdict::receipt_expired ? Errc::receipt_expired : Errc::ok;
    }
    if (slots_.empty()) continue;
    const auto end = append_ack(*partition, now);
    if (!end) return fail(end.error());
    wait.end = *end;
    wait.durable = wait.durable || durable(queue);
  }
  return wait;
}

template <class Durable>
Result<ShardState::Wait> ShardState::extend(const ExtendRequest& request, std::span<Errc> results,
                                            TimeMs now, Durable&& durable) {
  const std::span<const ExtendEntry> entries = request.entries;
  Wait wait;
  for (size_t i = 0; i < entries.size();) {
    const QueueId queue{entries[i].receipt.queue_id};
    Partition* partition = find(queue);
    marks_.clear();
    uint64_t hidden_again = 0;
    for (; i < entries.size() && QueueId{entries[i].receipt.queue_id} == queue; ++i) {
      if (partition == nullptr) {
        results[i] = Errc::queue_not_found;
        continue;
      }
      const Receipt& receipt = entries[i].receipt;
      const Slot slot = slot_of(receipt.shard_slot);
      const uint32_t visibility_ms = entries[i].visibility_ms;
      const uint32_t lease_ms_max =
          entries[i].lease_ms_max == 0 ? kLeaseMsMax : entries[i].lease_ms_max;
      switch (partition->judge_extend(slot, receipt.generation, now + visibility_ms, lease_ms_max,
                                      log_)) {
        case Partition::Verdict::act:
          if (visibility_ms > 0 && !partition->has_timer(slot) &&
              !may_hide(*partition, ++hidden_again)) {
            results[i] = Errc::over_limit;
            break;
          }
          marks_.push_back({raw(slot), receipt.generation, visibility_ms});
          results[i] = Errc::ok;
          break;
        case Partition::Verdict::too_long:
          results[i] = Errc::lease_too_long;
          break;
        case Partition::Verdict::receipt_expired:
          results[i] = Errc::receipt_expired;
          break;
        case Partition::Verdict::not_leased:
          results[i] = Errc::message_not_leased;
          break;
        case Partition::Verdict::nothing:
        case Partition::Verdict::gone:
          results[i] = Errc::message_gone;
          break;
      }
    }
    if (marks_.empty()) continue;
    const auto end = append_extend(*partition, now, request.holder);
    if (!end) return fail(end.error());
    wait.end = *end;
    wait.durable = wait.durable || durable(queue);
  }
  return wait;
}

template <class F>
uint32_t ShardState::expire(TimeMs now, uint32_t max, F&& ready) {
  return timers_.advance(now, max, [&](const TimerTarget& target, TimeMs) {
    Partition* partition = find(QueueId{target.partition});
    MR_ASSERT(partition != nullptr);
    partition->apply_due(target.slot, target.kind);
    if (target.kind == TimerKind::lease) ++partition->tally.expired;
    ready(*partition);
  });
}

template <class F>
void ShardState::expire_messages(TimeMs now, F&& ready) {
  if (now < retention_due_) return;
  if (retention_waits(now)) {
    retention_due_ = retention_from_;
    return;
  }
  TimeMs next = kNever;
  for (auto& [id, partition] : partitions_) {
    bool some = false;
    next = std::min(next, expire_messages(*partition, now, &some));
    if (some) ready(*partition);
  }
  retention_due_ = next <= now ? now : std::max(next, now + kRetentionStepMs);
}

template <class F>
void ShardState::advance(RingQueue<Coming>& queue, Position reached, bool durable, F& visible) {
  while (!queue.empty() && queue.front().end <= reached) {
    const Coming coming = queue.pop();
    Partition* partition = find(coming.queue);
    if (partition == nullptr) continue;  // deleted meanwhile
    if (durable) --partition->durable_waits;
    partition->set_visible_end(std::max(partition->visible_end(), coming.slot_end));
    visible(*partition);
  }
}

template <class F>
void ShardState::advance_visibility(F&& visible) {
  advance(coming_written_, log_.written(), false, visible);
  advance(coming_durable_, log_.durable(), true, visible);
}

}  // namespace millrace::engine
