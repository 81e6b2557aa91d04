#include "engine/partition.h"

#include <algorithm>

#include "base/assert.h"
#include "engine/message_names.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

// Sums what comes with one record before telling the accounts.
struct Added {
  uint64_t messages = 0;
  uint64_t bytes = 0;

  void add(const MessageHeader& header) {
    ++messages;
    bytes += live_cost(header);
  }
  void tell(storage::Log& log, SegmentBytes& segments, Position position) const {
    log.add_live(position, bytes);
    log.add_apart(messages * kCarriedAloneBytes);
    segments.add(log.segment_of(position), bytes);
  }
};

Slot run_end(const SlotRun& run) {
  return Slot{run.first_slot + run.count};
}

// Sums what leaves one segment before telling the log: runs of a record lie next to each other.
class Removal {
 public:
  // `shared`: the partition's count of messages that other queues have too.
  Removal(const PartitionContext& context, SegmentBytes& bytes, uint64_t& shared)
      : log_(context.log), messages_(context.shared), bytes_(bytes), shared_(shared) {}
  ~Removal() { settle(); }
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  void add(Position position) { add(position, message_at(log_, position)); }
  void add(Position position, const std::optional<StoredMessage>& message) {
    if (!message) return log_.fence_corrupt(position);
    if (sum_ != 0 && log_.segment_of(position) != log_.segment_of(position_)) settle();
    position_ = position;
    if (message->published()) [[unlikely]] {
      if (!message->is_shared()) {
        sum_ += kReferenceBytes + shared_cost(message->header);
        apart_ += kCarriedAloneBytes;
        return;
      }
      sum_ += kReferenceBytes;
      if (shared_ == 0 || !messages_.remove(log_, position)) return log_.fence_corrupt(position);
      --shared_;
      return;
    }
    sum_ += live_cost(message->header);
    apart_ += kCarriedAloneBytes;
  }

 private:
  void settle() {
    if (sum_ == 0) return;
    if (bytes_.remove(log_.segment_of(position_), sum_)) {
      log_.remove_live(position_, sum_);
      log_.remove_apart(apart_);
    } else {
      log_.fence_corrupt(position_);
    }
    sum_ = apart_ = 0;
  }

  storage::Log& log_;
  SharedMessages& messages_;
  SegmentBytes& bytes_;
  uint64_t& shared_;
  Position position_{};
  uint64_t sum_ = 0;
  uint64_t apart_ = 0;
};

}  // namespace

void push_run(std::vector<SlotRun>* runs, size_t first_run, Slot slot, uint32_t count) {
  if (runs->size() > first_run && runs->back().first_slot + runs->back().count == raw(slot)) {
    runs->back().count += count;
    return;
  }
  runs->push_back({raw(slot), count, 0});
}

void runs_of(std::span<const uint64_t> slots, std::vector<SlotRun>* runs) {
  runs->clear();
  for (const uint64_t slot : slots)
    push_run(runs, 0, Slot{slot}, 1);
}

uint64_t live_cost(const MessageHeader& header) {
  return message_stride(header) + kCarriedAloneBytes;
}

TimeMs StoredMessage::kept_from() const {
  return sent_at() + (header.delay_ms > kDelayMsMax ? header.delay_ms : 0);
}

Partition::Status Partition::status(Slot slot, const TimerWheel& timers) const {
  const TimerId timer = index_->timer(slot);
  if (timer == kNoTimer) return {MessageState::ready, TimeMs{0}};
  const bool leased = timers.target(timer).kind == TimerKind::lease;
  return {leased ? MessageState::leased : MessageState::delayed, timers.deadline(timer)};
}

// As many bytes as `count` ready messages from `first` on take. UINT64_MAX: that can't be said.
uint64_t Partition::bytes_between(const storage::Log& log, Slot first, uint32_t count) const {
  const SlotIndex::Stretch stretch = index_->stretch_of(first, count);
  const auto last = message_at(log, stretch.last);
  return last ? stretch.last.value - stretch.first.value + message_stride(last->header)
              : UINT64_MAX / 2;
}

uint64_t Partition::bytes_of_runs(const storage::Log& log, std::span<const SlotRun> runs) const {
  uint64_t bytes = 0;
  for (const SlotRun& run : runs)
    for (uint32_t i = 0; i < run.count; ++i)
      if (const auto message = message_at(log, index_->position(Slot{run.first_slot} + i)))
        bytes += message_stride(message->header);
  return bytes;
}

uint32_t Partition::choose(const storage::Log& log, uint32_t messages_max, uint32_t bytes_max,
                           std::vector<SlotRun>* runs) const {
  if (kind_.fifo) return choose_from_groups(log, messages_max, bytes_max, runs);
  if (fair_ != nullptr) return choose_fairly(log, messages_max, bytes_max, runs);
  const size_t first_run = runs->size();
  uint32_t chosen = 0;
  uint64_t bytes = 0;
  bool summed = true;  // else `bytes` is more than there are
  Slot from{0};
  while (chosen < messages_max) {
    const auto slot = index_->next_ready(from, visible_end_);
    if (!slot) break;
    const uint32_t ready = index_->ready_run(*slot, messages_max - chosen, visible_end_);
    // As a rule no message has to be looked at: what lies between the first and the last is enough.
    const uint64_t at_most = bytes_between(log, *slot, ready);
    if (bytes + at_most <= bytes_max) {
      bytes += at_most;
      push_run(runs, first_run, *slot, ready);
      chosen += ready;
      from = *slot + ready;
      summed = false;
      continue;
    }
    if (!summed) bytes = bytes_of_runs(log, std::span(*runs).subspan(first_run));
    summed = true;
    uint32_t taken = 0;
    bool full = false;
    for (; taken < ready; ++taken) {
      // What can't be read is chosen: whoever leases it finds out.
      const auto message = message_at(log, index_->position(*slot + taken));
      if (message) bytes += message_stride(message->header);
      if (bytes > bytes_max && chosen + taken > 0) {
        full = true;
        break;
      }
    }
    if (taken > 0) push_run(runs, first_run, *slot, taken);
    chosen += taken;
    if (full) break;
    from = *slot + taken;
  }
  return chosen;
}

Partition::Verdict Partition::judge_ack(Slot slot, uint32_t generation,
                                        const TimerWheel& timers) const {
  if (!shown(slot)) return Verdict::nothing;
  const SlotIndex::Entry at = index_->entry(slot);
  if (kind_.fifo) {
    const TimerId timer = index_->timer(at);
    const bool leased = timer != kNoTimer && timers.target(timer).kind == TimerKind::lease;
    return leased && generation == index_->receive_count(at) ? Verdict::act
                                                             : Verdict::receipt_expired;
  }
  return generation < index_->receive_count(at) ? Verdict::receipt_expired : Verdict::act;
}

Partition::Verdict Partition::judge_extend(Slot slot, uint32_t generation, TimeMs hidden_until,
                                           uint32_t lease_ms_max, const storage::Log& log) const {
  if (!shown(slot)) return Verdict::gone;
  const uint32_t count = index_->receive_count(slot);
  if (generation < count) return Verdict::receipt_expired;
  if (generation > count) return Verdict::not_leased;
  const auto message = message_at(log, index_->position(slot));
  if (!message) return Verdict::act;  // a lease that nobody can read is as good as any
  const TimeMs received_at = message->sent_at() + index_->received(slot).last_ms;
  return hidden_until - received_at > lease_ms_max ? Verdict::too_long : Verdict::act;
}

bool Partition::is_leased(Slot slot, uint32_t generation, TimeMs until,
                          const TimerWheel& timers) const {
  if (!index_->live(slot) || index_->receive_count(slot) != generation) return false;
  const Status now = status(slot, timers);
  return now.state == MessageState::leased && now.due == until;
}

void Partition::place(Slot slot, Position position) {
  if (slot >= index_->end()) {
    if (index_->live_count() == 0) {
      if (slot > index_->end()) index_->start_at(slot);
      index_->append(position);
    } else {
      index_->append_at(slot, position);
    }
  } else if (index_->live(slot)) {
    index_->move(slot, position);
  } else {
    index_->insert(slot, position);
  }
}

void Partition::stop_timer(const PartitionContext& context, SlotIndex::Entry at) {
  const TimerId timer = index_->timer(at);
  if (timer == kNoTimer) return;
  const bool leased = context.timers.target(timer).kind == TimerKind::lease;
  --(leased ? leased_ : delayed_);
  if (leased && fair_ != nullptr) fair_->lease_ended(at.slot());
  context.timers.stop(timer);
  index_->set_timer(at, kNoTimer);
}

void Partition::start_timer(const PartitionContext& context, SlotIndex::Entry at, TimerKind kind,
                            TimeMs due, uint32_t holder) {
  stop_timer(context, at);
  index_->set_ready(at, false);
  if (fair_ != nullptr) {
    fair_->hide(at.slot());
    if (kind == TimerKind::lease) fair_->lease_began(at.slot());
  }
  index_->set_timer(at, context.timers.start(due, {raw(queue_), kind, at.slot()}), holder);
  ++(kind == TimerKind::lease ? leased_ : delayed_);
}

void Partition::apply_enqueue(const PartitionContext& context, const EnqueueHead& head, Bytes run,
                              Position run_position, std::span<const MessageNames> names) {
  auto& offsets = context.scratch.offsets;
  auto& delayed = context.scratch.delayed;
  offsets.clear();
  delayed.clear();
  uint32_t properties_bytes = 0;
  Added added;
  for (size_t offset = 0; offsets.size() < head.count;) {
    if (run.size() - offset < sizeof(MessageHeader)) break;
    const auto& header = *reinterpret_cast<const MessageHeader*>(run.data() + offset);
    if (header.delay_ms != 0) delayed.push_back(static_cast<uint32_t>(offsets.size()));
    offsets.push_back(static_cast<uint32_t>(offset));
    properties_bytes |= header.properties_bytes;
    added.add(header);
    offset += message_stride(header);
  }
  if (offsets.empty()) return;
  const Slot first{head.first_slot};
  const auto count = static_cast<uint32_t>(offsets.size());
  const auto header_of = [&](uint32_t i) -> const MessageHeader& {
    return *reinterpret_cast<const MessageHeader*>(run.data() + offsets[i]);
  };
  if (first == index_->end()) {
    (void)index_->append_run(run_position, offsets);
  } else {
    added = {};
    for (uint32_t i = 0; i < count; ++i) {
      if (index_->live(first + i)) continue;  // only a planted bug gives a slot out twice
      place(first + i, run_position + offsets[i]);
      added.add(header_of(i));
    }
  }
  for (const uint32_t i : delayed) {
    const uint32_t delay_ms = header_of(i).delay_ms;
    start_timer(context, first + i, TimerKind::delay, TimeMs{head.sent_at_ms} + delay_ms);
    if (delay_ms > kDelayMsMax) in_order_ = false;
  }
  if (!kind_.fifo || groups_ == nullptr) (void)index_->set_ready_run(first, count);
  if (!kind_.fifo && properties_bytes != 0)
    for (uint32_t i = 0; i < count; ++i)
      join_tenant(context, first + i, run.data() + offsets[i]);
  if (kind_.fifo) name_messages(context, head, run, run_position, names);
  if (added.messages > 0) added.tell(context.log, bytes_, run_position);
}

void Partition::apply_lease(const PartitionContext& context, const LeaseHead& head,
                            std::span<const SlotRun> runs, uint32_t holder) {
  const TimeMs due = TimeMs{head.leased_at_ms} + head.visibility_ms;
  // A replayed run may be of slots that are long gone, and as long as it likes.
  for (const SlotRun& run : runs)
    index_->for_each_live(Slot{run.first_slot}, run_end(run), [&](SlotIndex::Entry at) {
      const uint32_t before = index_->receive_count(at);
      index_->set_receive_count(at, before + 1);
      if (const auto message = message_at(context.log, index_->position(at))) {
        const int32_t now_ms = ms_after(message->sent_at(), TimeMs{head.leased_at_ms});
        index_->set_received(at, {before == 0 ? now_ms : index_->received(at).first_ms, now_ms});
      }
      start_timer(context, at, TimerKind::lease, due, holder);
    });
}

void Partition::apply_extend(const PartitionContext& context, const ExtendHead& head,
                             std::span<const ExtendMark> marks, uint32_t holder) {
  for (const ExtendMark& mark : marks) {
    const Slot slot{mark.slot};
    if (!index_->live(slot)) continue;
    if (mark.visibility_ms == 0) {
      stop_timer(context, slot);
      make_ready(slot);
      continue;
    }
    const TimeMs due = TimeMs{head.at_ms} + mark.visibility_ms;
    const TimerId timer = index_->timer(slot);
    if (timer != kNoTimer && context.timers.target(timer).kind == TimerKind::lease) {
      context.timers.restart(timer, due);
      if (holder != 0) index_->set_timer(slot, timer, holder);
    } else {
      start_timer(context, slot, TimerKind::lease, due, holder);
    }
  }
}

void Partition::apply_ack(const PartitionContext& context, std::span<const SlotRun> runs,
                          std::optional<TimeMs> acked_at) {
  Removal removal(context, bytes_, shared_);
  for (const SlotRun& run : runs)
    index_->for_each_live(Slot{run.first_slot}, run_end(run), [&](SlotIndex::Entry at) {
      const Position position = index_->position(at);
      const auto message = message_at(context.log, position);
      removal.add(position, message);
      if (acked_at && message) count_ack(at, *message, *acked_at);
      erase(context, at);
    });
}

void Partition::apply_carry(const PartitionContext& context, const CarryHead& head, Bytes run,
                            Position run_position) {
  Slot slot{head.slot};
  for (size_t offset = 0; run.size() - offset >= sizeof(MessageHeader); slot = slot + 1) {
    const auto header = read_at<MessageHeader>(run, offset);
    apply_carry(context, head, slot, header, run.data() + offset, run_position + offset);
    offset += message_stride(header);
  }
}

void Partition::apply_carry(const PartitionContext& context, const CarryHead& head, Slot slot,
                            const MessageHeader& header, const std::byte* message,
                            Position position) {
  take_carried(context, slot,
               {head.receive_count,
                {head.first_received_ms, ms_of(head.last_received_s)},
                static_cast<MessageState>(head.state),
                TimeMs{head.due_ms}},
               message, position);
  if (kind_.fifo) remember_again(context, slot, TimeMs{head.sent_at_ms}, message, position);
  Added added;
  added.add(header);
  added.tell(context.log, bytes_, position);
  // A dead letter that is met here first, or a long delay.
  if (!kind_.fifo && in_order_ &&
      (header.delay_ms > kDelayMsMax || find_property(properties_of(message), PropertyTag::moved)))
    in_order_ = false;
}

void Partition::take_carried(const PartitionContext& context, Slot slot, const Carried& carried,
                             const std::byte* message, Position position) {
  uint32_t holder = 0;
  if (index_->live(slot)) {
    Removal(context, bytes_, shared_).add(index_->position(slot));
    holder = index_->holder(slot);
    stop_timer(context, slot);
  }
  place(slot, position);
  if (!kind_.fifo && !keeps_groups_) join_tenant(context, slot, message);
  index_->set_receive_count(slot, carried.receive_count);
  index_->set_received(slot, carried.received);
  if (carried.state == MessageState::ready) {
    make_ready(slot);
  } else {
    const bool leased = carried.state == MessageState::leased;
    start_timer(context, slot, leased ? TimerKind::lease : TimerKind::delay, carried.due, holder);
  }
}

void Partition::apply_arrival(const PartitionContext& context, const DeadLetterHead& head,
                              const std::byte* message, Position position) {
  const Slot slot{head.slot};
  if (index_->live(slot)) return;  // only a planted bug gives a slot out twice
  place(slot, position);
  index_->set_receive_count(slot, head.receive_count);
  if (head.first_received_at_ms != 0)
    index_->set_received(slot,
                         {ms_after(TimeMs{head.sent_at_ms}, TimeMs{head.first_received_at_ms}),
                          head.last_received_ms});
  if (!kind_.fifo) in_order_ = false;
  oldest_sent_at_ = std::min(oldest_sent_at_, TimeMs{head.sent_at_ms});
  if (kind_.fifo) {
    join_group(slot, group_key(context.names, properties_of(message)));
  } else {
    index_->set_ready(slot, true);
    join_tenant(context, slot, message);
  }
  Added added;
  added.add(*reinterpret_cast<const MessageHeader*>(message));
  added.tell(context.log, bytes_, position);
}

void Partition::end_sweep(TimeMs oldest) {
  sweep_ = {};
  oldest_sent_at_ = oldest;
  if (index_->live_count() == 0) in_order_ = true;
}

void Partition::forget_live_before(const PartitionContext& context, Slot end) {
  Removal removal(context, bytes_, shared_);
  for (auto slot = index_->next_live(Slot{0}); slot && *slot < end;
       slot = index_->next_live(*slot + 1)) {
    removal.add(index_->position(*slot));
    erase(context, index_->entry(*slot));
  }
}

void Partition::apply_purge(const PartitionContext& context, Slot slot_end) {
  if (slot_end >= index_->end()) {
    // The usual case: everything goes, without visiting messages that have no timer.
    release(context);
    index_->start_at(slot_end);
  } else {
    forget_live_before(context, slot_end);
  }
}

void Partition::apply_slot_end(Slot slot_end) {
  if (slot_end <= index_->end()) return;
  if (index_->live_count() == 0) {
    index_->start_at(slot_end);
  } else {
    index_->skip_to(slot_end);
  }
}

void Partition::apply_due(Slot slot, TimerKind kind) {
  index_->set_timer(slot, kNoTimer);
  if (kind == TimerKind::lease && fair_ != nullptr) fair_->lease_ended(slot);
  make_ready(slot);
  --(kind == TimerKind::lease ? leased_ : delayed_);
}

void Partition::forget_timers(TimerWheel& timers) {
  index_->clear_to(index_->end(), [&](TimerId timer) { timers.stop(timer); });
  if (groups_ != nullptr) groups_->clear();
  fair_.reset();
  named_groups_ = false;
  leased_ = delayed_ = 0;
}

void Partition::release(const PartitionContext& context) {
  context.log.remove_apart(apart_bytes());
  release_shared(context);
  forget_timers(context.timers);
  for (const SegmentBytes::Entry& entry : bytes_.entries())
    context.log.remove_live(Position{entry.segment * context.log.segment_bytes()}, entry.bytes);
  bytes_.clear();
  dedup_.clear([](uint64_t, int) {});  // settled with the messages
}

void Partition::forget_slot_end(const PartitionContext& context) {
  auto old = std::move(index_);
  index_ = std::make_unique<SlotIndex>();
  old->for_each_live([&](Slot slot) {
    place(slot, old->position(slot));
    index_->set_receive_count(slot, old->receive_count(slot));
    index_->set_received(slot, old->received(slot));
    const TimerId timer = old->timer(slot);
    if (timer == kNoTimer) {
      index_->set_ready(slot, true);
    } else {
      // Same entry of the wheel, held by the new index.
      index_->set_timer(slot, timer, old->holder(slot));
      MR_ASSERT(context.timers.target(timer).slot == slot);
    }
  });
}

}  // namespace millrace::engine
