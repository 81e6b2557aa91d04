#include "tools/bench/load.h"

#include <algorithm>
#include <utility>

#include "base/os_clock.h"

namespace millrace::tools {
namespace {

constexpr int64_t kSleepNs = 10'000'000;
constexpr int64_t kStalledNs = 20'000'000'000;  // nothing happens: the run has failed
constexpr uint64_t kCreditBatches = 8;          // a lane's credit, in batches, before it is renewed

}  // namespace

Load::Load(Transport& transport, const BenchOptions& options, std::vector<QueueId> queues,
           bool own_queues)
    : transport_(transport),
      options_(options),
      queues_(std::move(queues)),
      own_queues_(own_queues),
      lanes_(options.connections),
      layout_(options),
      run_number_(static_cast<uint32_t>(base::os_random() | 1)),
      check_(run_number_, options.connections, options.connections,
             options.fifo ? layout_.groups_per_lane() : 0) {
  for (Lane& lane : lanes_) {
    lane.sends.resize(options.inflight);
    for (uint32_t i = options.inflight; i > 0; --i)
      lane.free.push_back(i - 1);
  }
  transport_.set_events(this);
}

bool Load::sends() const {
  return phase_ == Phase::fill ||
         (phase_ == Phase::measure && options_.workload != Workload::consume);
}
bool Load::consumes() const {
  return !only_sends() && phase_ != Phase::fill;
}
bool Load::only_sends() const {
  return options_.workload == Workload::produce || options_.workload == Workload::echo;
}
uint64_t Load::done() const {
  return only_sends() || phase_ == Phase::fill ? stored_ : acked_;
}

// --- events ---

void Load::on_sent(uint32_t lane_index, uint32_t token, Errc error) {
  Lane& lane = lanes_[lane_index];
  const Outstanding send = lane.sends[token];
  lane.free.push_back(token);
  if (error != Errc::ok) return;  // the transport keeps the reason, and turn() fails
  check_.acknowledged(lane_index, send.first, send.count);
  stored_ += send.count;
  if (only_sends()) latency_.record(static_cast<uint64_t>(base::os_monotonic_ns() - send.since_ns));
}

void Load::on_arrived(uint32_t lane_index, uint32_t subscription,
                      std::span<const Arrived> messages) {
  Lane& lane = lanes_[lane_index];
  const int64_t now_ns = base::os_monotonic_ns();
  for (const Arrived& message : messages) {
    Stamp stamp{};
    const bool first_time = check_.received(lane_index, message.body, stamp);
    if (stamp.run == run_number_) lane.receipts.push_back(message.receipt);
    if (!first_time) continue;
    ++arrived_;
    if (options_.workload != Workload::consume)
      latency_.record(static_cast<uint64_t>(std::max<int64_t>(0, now_ns - stamp.intended_ns)));
  }
  lane.credit_due[subscription] += messages.size();
  lane.arrivals.push_back(subscription);
}

void Load::on_acked(uint32_t lane_index, uint32_t count, uint32_t refused) {
  std::deque<int64_t>& since_ns = lanes_[lane_index].acks_since_ns;
  if (options_.workload == Workload::consume)
    latency_.record(static_cast<uint64_t>(base::os_monotonic_ns() - since_ns.front()));
  since_ns.pop_front();
  acked_ += count - refused;
  refused_acks_ += refused;
}

// --- what to do in a turn ---

Status Load::send_batch(uint32_t lane_index, uint32_t count, int64_t intended_ns) {
  Lane& lane = lanes_[lane_index];
  const uint32_t token = lane.free.back();
  lane.free.pop_back();
  lane.sends[token] = {lane.sequence, count, intended_ns};
  const double step_ns = options_.rate > 0 && phase_ == Phase::measure ? 1e9 / options_.rate : 0;
  const Bytes run =
      layout_.fill({run_number_, lane_index, lane.sequence, intended_ns}, count, step_ns);
  lane.sequence += count;
  sent_ += count;
  const QueueId queue = queues_[next_queue_];
  next_queue_ = next_queue_ + 1 == queues_.size() ? 0 : next_queue_ + 1;
  return transport_.send(lane_index, queue, run, count, token);
}

bool Load::may_send_more() const {
  if (!sends() || sent_ >= target_) return false;
  if (phase_ == Phase::fill || only_sends() || options_.rate > 0) return true;
  return sent_ - acked_ < uint64_t{options_.batch} * options_.inflight * options_.connections;
}

Status Load::send_what_may(int64_t now_ns) {
  const bool open_loop = options_.rate > 0 && phase_ == Phase::measure;
  const auto lane_count = static_cast<uint32_t>(lanes_.size());
  for (uint32_t tried = 0; tried < lane_count;) {
    if (!may_send_more()) return {};
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(options_.batch, target_ - sent_));
    int64_t intended_ns = now_ns;
    if (open_loop) {
      // A batch leaves when its last message is due.
      const double first_ns = static_cast<double>(sent_) * 1e9 / options_.rate;
      const double last_ns = static_cast<double>(sent_ + count - 1) * 1e9 / options_.rate;
      if (begin_ns_ + static_cast<int64_t>(last_ns) > now_ns) return {};
      intended_ns = begin_ns_ + static_cast<int64_t>(first_ns);
    }
    const uint32_t lane = next_lane_;
    next_lane_ = (next_lane_ + 1) % lane_count;
    if (lanes_[lane].free.empty()) {
      ++tried;
      continue;
    }
    tried = 0;
    if (Status sent = send_batch(lane, count, intended_ns); !sent) return sent;
  }
  return {};
}

Status Load::acknowledge() {
  for (uint32_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    for (size_t at = 0; at < lane.receipts.size(); at += kBatchMessagesMax) {
      const size_t count = std::min<size_t>(kBatchMessagesMax, lane.receipts.size() - at);
      if (Status sent = transport_.ack(i, {lane.receipts.data() + at, count}); !sent) return sent;
      lane.acks_since_ns.push_back(now_ns_);
    }
    lane.receipts.clear();
    const uint64_t window = kCreditBatches * options_.batch;
    for (const uint32_t subscription : lane.arrivals) {
      uint64_t& due = lane.credit_due[subscription];
      if (due < (window + 1) / 2) continue;
      if (Status sent = transport_.add_credit(i, subscription, due); !sent) return sent;
      due = 0;
    }
    lane.arrivals.clear();
  }
  return {};
}

Status Load::subscribe_all() {
  for (size_t i = 0; i < std::max(lanes_.size(), queues_.size()); ++i) {
    const auto lane = static_cast<uint32_t>(i % lanes_.size());
    const auto subscription = static_cast<uint32_t>(lanes_[lane].credit_due.size());
    lanes_[lane].credit_due.push_back(0);
    if (Status subscribed = transport_.subscribe(lane, subscription, queues_[i % queues_.size()],
                                                 options_.batch, kCreditBatches * options_.batch);
        !subscribed)
      return subscribed;
  }
  return {};
}

Status Load::turn(int64_t wait_ns) {
  if (Status turned = transport_.turn(options_.spin ? 0 : wait_ns); !turned) return turned;
  now_ns_ = base::os_monotonic_ns();
  note_rate(now_ns_);
  return consumes() ? acknowledge() : Status();
}

void Load::note_rate(int64_t now_ns) {
  if (phase_ != Phase::measure || now_ns - rate_step_ns_ < kRateStepNs) return;
  rates_.push_back(static_cast<double>(done() - rate_done_) * 1e9 /
                   static_cast<double>(now_ns - rate_step_ns_));
  rate_step_ns_ = now_ns;
  rate_done_ = done();
}

// --- phases ---

Status Load::fill() {
  phase_ = Phase::fill;
  target_ = options_.messages;
  now_ns_ = base::os_monotonic_ns();
  int64_t moved_ns = now_ns_;
  for (uint64_t last = 0; stored_ < target_;) {
    if (Status sent = send_what_may(now_ns_); !sent) return sent;
    if (Status turned = turn(kSleepNs); !turned) return turned;
    if (stored_ != last) {
      last = stored_;
      moved_ns = now_ns_;
    } else if (now_ns_ - moved_ns > kStalledNs) {
      return fail_with("the broker stopped answering", Errc::timed_out);
    }
  }
  return {};
}

Status Load::measure() {
  phase_ = Phase::measure;
  const bool counted = options_.messages > 0;
  if (options_.workload != Workload::consume) target_ = counted ? options_.messages : UINT64_MAX;
  if (consumes())
    if (Status subscribed = subscribe_all(); !subscribed) return subscribed;
  begin_ns_ = now_ns_ = rate_step_ns_ = last_done_ns_ = base::os_monotonic_ns();
  const int64_t end_ns = options_.duration_ms == 0
                             ? INT64_MAX
                             : begin_ns_ + static_cast<int64_t>(options_.duration_ms) * 1'000'000;
  for (uint64_t last = 0; now_ns_ < end_ns && (!counted || done() < options_.messages);) {
    if (Status sent = send_what_may(now_ns_); !sent) return sent;
    int64_t wait_ns = kSleepNs;
    if (options_.rate > 0 && sent_ < target_) {
      const double due_ns = static_cast<double>(sent_ + options_.batch - 1) * 1e9 / options_.rate;
      wait_ns =
          std::clamp<int64_t>(begin_ns_ + static_cast<int64_t>(due_ns) - now_ns_, 0, kSleepNs);
    }
    if (Status turned = turn(std::min(wait_ns, std::max<int64_t>(0, end_ns - now_ns_))); !turned)
      return turned;
    if (done() != last) {
      last = done();
      last_done_ns_ = now_ns_;
    } else if (now_ns_ - last_done_ns_ > kStalledNs) {
      return fail_with("the broker stopped answering", Errc::timed_out);
    }
  }
  return {};
}

// What is still on its way: every send is answered, and every message that was stored is received
// and acknowledged, before anything is called lost.
Status Load::drain() {
  phase_ = Phase::drain;
  const auto settled = [this] {
    for (const Lane& lane : lanes_)
      if (lane.free.size() != lane.sends.size()) return false;
    if (!consumes()) return true;
    // After a consume that ran out of time the rest stays where it is.
    if (options_.workload == Workload::consume) return acked_ + refused_acks_ >= arrived_;
    return arrived_ >= stored_ && acked_ + refused_acks_ >= arrived_;
  };
  constexpr int64_t kPatienceNs = 5'000'000'000;
  int64_t moved_ns = now_ns_;
  for (uint64_t last = 0; !settled() && now_ns_ - moved_ns < kPatienceNs;) {
    if (Status turned = turn(kSleepNs); !turned) return turned;
    const uint64_t moved = stored_ + arrived_ + acked_;
    if (moved != last) moved_ns = now_ns_;
    last = moved;
  }
  return {};
}

// Without a consumer, the queues' own exact counts say whether everything that was acknowledged is
// there.
void Load::check_counters(LoadResult& result) {
  uint64_t there = 0;
  for (const QueueId queue : queues_) {
    const Result<QueueCounters> counters = transport_.counters(queue);
    if (!counters) return;
    there += counters->ready + counters->leased + counters->delayed;
  }
  result.lost = there < stored_ ? stored_ - there : 0;
  result.duplicates = there > stored_ ? there - stored_ : 0;
}

Result<bool> Load::run(LoadResult& result) {
  const auto phases = [this]() -> Status {
    if (options_.workload == Workload::consume)
      if (Status filled = fill(); !filled) return filled;
    return measure();
  };
  Status done_well = phases();
  const uint64_t measured = done();
  const int64_t ended_ns = options_.messages > 0 ? last_done_ns_ : now_ns_;
  if (done_well) done_well = drain();
  if (!done_well) {
    if (failure_.empty()) failure_ = transport_.failure();
    if (failure_.empty()) failure_ = errc_text(done_well.error());
    return fail(done_well.error());
  }
  result.messages = measured;
  result.seconds = std::max(1e-9, static_cast<double>(ended_ns - begin_ns_) / 1e9);
  result.latency_ns = std::move(latency_);
  result.rates = std::move(rates_);
  if (options_.workload == Workload::echo) {
    // Every answer came, in order, or the run would have failed.
    result.lost = result.duplicates = result.out_of_order = 0;
    return true;
  }
  if (options_.workload == Workload::produce) {
    if (own_queues_) check_counters(result);
    return true;
  }
  result.duplicates = check_.duplicates();
  result.out_of_order = check_.out_of_order();
  const bool all_drained = options_.workload != Workload::consume || measured >= options_.messages;
  if (all_drained) result.lost = check_.lost();
  return true;
}

Status Load::fail_with(std::string_view text, Errc error) {
  failure_ = text;
  return fail(error);
}

}  // namespace millrace::tools
