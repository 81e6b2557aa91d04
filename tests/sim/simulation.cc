#include "tests/sim/simulation.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "engine/queue_attributes.h"
#include "tests/sim/simulation_run.h"

namespace millrace::sim {

void Run::shape() {
  broker_options_.data_directory = "sim";
  broker_options_.shards = shards_;
  broker_options_.durability = durability_;
  broker_options_.segment_bytes = uint64_t{64 * 1024} << prng_.below(3);
  broker_options_.disk_bytes_max = 1u << 30;
  broker_options_.accept_clock = true;  // time jumps by days: what is over goes
  QueueAttributes attributes;
  attributes.visibility_timeout_ms = static_cast<uint32_t>(prng_.between(20, 800));
  const ShapeKind kind = options_.shape.value_or(shape_of(options_.seed));
  shape_ = make_shape(kind, options_.seed, prng_.between(1, 3), attributes);
  for (const SimQueueShape& queue : shape_.queues)
    world_.queues.push_back({.shape = queue, .state = SimQueue::State::coming});
  world_.reference = &reference_;
  world_.kind = kind;
  world_.moves = shape_.moves;
  world_.shards = shards_;
  for (uint64_t n = prng_.between(1, 5); n > 0; --n)
    clients_.push_back(std::make_unique<SimClient>(world_, prng_.next()));
}

bool Run::open() {
  std::string message;
  Result<std::unique_ptr<Broker>> broker = Broker::open(broker_options_, environment_, &message);
  if (!broker) {
    lost_to_a_lie_ = lied_ever_ && broker.error() == Errc::damaged;
    // A recovery that could not write says io_error, whatever the reason.
    refused_ = fault_is_on_ && (fault_explains(broker.error()) || broker.error() == Errc::io_error);
    if (!lost_to_a_lie_ && !refused_)
      world_.violation(
          fmt::format("the broker does not open: {} ({})", message, errc_name(broker.error())));
    environment_.forget_disks();
    return false;
  }
  broker_ = std::move(*broker);
  // Nothing here harms bytes at rest: what was durable and is bad was never durable.
  for (const std::string& line : broker_->recovery_report()) {
    say(line);
    if (line.find("DAMAGE") != std::string::npos && !lied_ever_)
      world_.violation(fmt::format("C1: what a sync had covered is damaged: {}", line));
  }
  for (uint16_t i = 0; i < broker_->shard_count(); ++i)
    broker_->shard(ShardId{i}).set_waker([] {});
  settle_queues();
  if (over()) return false;
  connect();
  drive(1);
  return true;
}

// What became of queues whose deletion or creation a crash interrupted; and all others are there.
void Run::settle_queues() {
  for (auto& [number, attempts] : world_.attempts)
    attempts.restarted();
  for (SimQueue& queue : world_.queues) {
    if (queue.id == QueueId{}) continue;  // not made yet
    const QueueInfo* info = broker_->shard(ShardId{0}).find_queue(queue.shape.name);
    const bool same = info != nullptr && info->id == queue.id;
    using State = SimQueue::State;
    const bool may_be_the_same = queue.state == State::there || queue.state == State::going;
    const bool may_be_gone = queue.state != State::there;
    const bool may_be_another = queue.state == State::coming;
    const bool right = same ? may_be_the_same : info == nullptr ? may_be_gone : may_be_another;
    // A lie may have taken what said that a queue was made, and with it that its number was used.
    if (!right || (lied_ever_ && queue.state != State::there)) {
      lost_to_a_lie_ = lied_ever_;
      if (!lied_ever_)
        world_.violation(fmt::format("C10: queue {} is {} after a restart", queue.shape.name,
                                     info == nullptr ? "gone" : "another"));
      return;
    }
    if (same) {
      queue.state = State::there;
      queue.being_set = false;
      const bool visibility_known = queue.visibility_ms.is(info->attributes.visibility_timeout_ms);
      const bool delay_known = queue.delay_ms.is(info->attributes.delay_ms);
      if (!(visibility_known && delay_known) && !lied_ever_)
        world_.violation(
            fmt::format("C10: {} has other settings after a restart", queue.shape.name));
      continue;
    }
    if (queue.state == State::going) reference_.deleted(queue.number, world_.event, world_.now);
    queue.state = State::gone;
    if (info != nullptr) world_.born(queue, info->id);
  }
}

void Run::connect() {
  if (!over_connections_) return;
  for (size_t i = 0; i < clients_.size(); ++i)
    connections_.push_back(std::make_unique<SimConnection>(port(i), prng_.next()));
}

// The clients' ends of a life: nothing outstanding will be answered.
void Run::disconnect() {
  forget_backup();
  for (auto& client : clients_)
    client->broker_gone();
  connections_.clear();
}

// One turn of the node: some disk jobs complete, the shards tick in any order, time passes.
void Run::turn() {
  for (SimDisk* disk : environment_.disks())
    for (uint64_t calls = prng_.below(8); calls > 0 && disk->step_jobs(prng_); --calls) {
    }
  std::vector<uint16_t> order(broker_->shard_count());
  std::iota(order.begin(), order.end(), uint16_t{0});
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[prng_.below(i)]);
  for (uint16_t shard : order)
    if (shard == slow_shard_ ? prng_.chance(1, 12) : prng_.chance(3, 4)) {
      broker_->shard(ShardId{shard}).tick();
      environment_.disk_of_shard(shard).drop_pages();  // nothing is leased and not answered
    }
  for (auto& connection : connections_) {
    connection->step();
    if (!connection->fault().empty()) world_.violation(connection->fault());
  }
  if (prng_.chance(1, 2)) environment_.advance(static_cast<int64_t>(prng_.below(6)));
  if (prng_.chance(1, 200)) environment_.advance(static_cast<int64_t>(prng_.below(700)));
  refresh_clocks();
}

void Run::refresh_clocks() {
  for (uint16_t i = 0; i < broker_->shard_count(); ++i)
    broker_->shard(ShardId{i}).refresh_clock();
  world_.now = broker_->shard(ShardId{0}).now();
}

// Past leases and delays, past what queues keep, past what is remembered of deduplication ids.
void Run::perhaps_jump_in_time() {
  if (!shape_.time_jumps || !time_prng_.chance(1, 300)) return;
  const uint64_t seconds =
      time_prng_.chance(1, 2) ? time_prng_.between(1, 30) : time_prng_.between(40, 310);
  say(fmt::format("{} s pass", seconds));
  environment_.advance(static_cast<int64_t>(seconds) * 1000);
  refresh_clocks();
}

void Run::drive(uint32_t turns) {
  for (uint32_t i = 0; i < turns && !broken(); ++i)
    turn();
}

bool Run::wait_for_admin(AdminSink& sink) {
  for (uint32_t i = 0; i < kTurnsMax && !sink.answered; ++i)
    turn();
  if (!sink.answered) world_.violation("C12: an administrative request was never answered");
  return sink.answered;
}

bool Run::create_queue(SimQueue& queue) {
  AdminSink sink;
  broker_->shard(ShardId{0})
      .create_queue(queue.shape.name, engine::settings_of(queue.shape.attributes), {&sink, 1});
  if (!wait_for_admin(sink)) return false;
  if (fault_is_on_ && fault_explains(sink.error)) {
    world_.fenced = sink.error == Errc::shard_fenced;
    return false;
  }
  if (sink.error != Errc::ok || sink.queues.size() != 1) {
    world_.violation(
        fmt::format("creating {} failed: {}", queue.shape.name, errc_name(sink.error)));
    return false;
  }
  world_.born(queue, sink.queues[0].id);
  return true;
}

// The last first: who names a dead-letter queue names one that is there.
bool Run::create_queues() {
  return std::all_of(world_.queues.rbegin(), world_.queues.rend(),
                     [&](SimQueue& queue) { return queue.id != QueueId{} || create_queue(queue); });
}

// The counters of a queue must lie between what must and what may be there; exact in between is up
// to requests still open.
void Run::check_counters() {
  if (shape_.time_jumps) drive(8);  // what is over goes in a shard's turn
  AdminSink sink;
  broker_->shard(ShardId{0}).queue_stats({}, {&sink, 1});
  if (!wait_for_admin(sink)) return;
  for (const QueueInfo& info : sink.queues) {
    const auto it = std::find_if(world_.queues.begin(), world_.queues.end(),
                                 [&](const SimQueue& queue) { return queue.id == info.id; });
    if (it == world_.queues.end()) continue;
    const auto bounds = reference_.bounds(it->number, world_.now);
    const uint64_t there = info.counters.ready + info.counters.leased + info.counters.delayed;
    say(fmt::format("{}: {} ready, {} leased, {} delayed, expected {} to {}", info.name,
                    info.counters.ready, info.counters.leased, info.counters.delayed,
                    bounds.at_least, bounds.at_most));
    if (there < bounds.at_least || there > bounds.at_most)
      world_.violation(fmt::format("counters: {} messages in {}, expected {} to {}", there,
                                   info.name, bounds.at_least, bounds.at_most));
  }
}

void Run::kill_or_power(bool power) {
  // The process is gone at once: what its destructors would still write must not reach the disk.
  if (power) {
    image_.crash(prng_,
                 {.granularity = prng_.chance(1, 2) ? 512u : 4096u, .torn = prng_.chance(1, 2)});
    ++outcome_.power_failures;
  } else {
    image_.kill();
    ++outcome_.kills;
  }
  // What a failed sync dropped is as gone as after a power loss.
  reference_.crashed(power || std::exchange(disk_failed_, false), durability_ == Durability::commit,
                     world_.event, world_.now);
  if (std::exchange(lied_, false)) reference_.syncs_lied(lie_possible_since_.value_or(0));
  lie_possible_since_.reset();
}

// One of the next syncs fails, once: what it should have made durable is not, and the kernel calls
// it clean (Rebello et al., ATC'20).
DiskFault Run::sync_failure() {
  return {.call = DiskCall::sync,
          .nth = prng_.between(1, 3),
          .sync_failure = prng_.chance(1, 2) ? SyncFailure::keeps_content : SyncFailure::reverts};
}

void Run::fail_a_sync() {
  const std::vector<SimDisk*>& disks = environment_.disks();
  DiskFault fault = sync_failure();
  fault.late_report = syncs_lie_ && prng_.chance(1, 2);
  if (fault.late_report && !lie_possible_since_) lie_possible_since_ = world_.event;
  // What is verified when it is leased, or delivered before any sync, and then changed under way by
  // one that says ok, nobody sees.
  fault.pages_stay = true;
  if (fault.late_report && durability_ == Durability::none)
    fault.sync_failure = SyncFailure::keeps_content;
  disks[prng_.below(disks.size())]->inject(fault);
  world_.sync_fails = true;
  say(fault.late_report ? "one of the next syncs lies" : "one of the next syncs fails");
}

// Whether a fault was met, also if nobody was told of it yet.
void Run::end_faults() {
  for (SimDisk* disk : environment_.disks()) {
    outcome_.faults_met += disk->faults_hit();
    disk_failed_ = disk_failed_ || (disk->faults_hit() > 0 && fails_syncs());
    lied_ = lied_ || disk->lies_told() > 0;
    disk->drop_pages();
    disk->clear_faults();
  }
  lied_ever_ = lied_ever_ || lied_;
}

// Clients are gone before it begins; a fault that is on may end it early.
void Run::stop() {
  say("clean stop");
  for (uint16_t i = 0; i < broker_->shard_count(); ++i)
    for (auto& client : clients_)
      broker_->shard(ShardId{i}).cancel_all(client.get());
  const Status stopped = broker_->stop();
  if (!stopped && !(fault_in_life_ && fault_explains(stopped.error())))
    world_.violation(fmt::format("a clean stop failed: {}", errc_name(stopped.error())));
  if (fault_is_on_) end_faults();
  reference_.crashed(std::exchange(disk_failed_, false), true, world_.event, world_.now);
  if (std::exchange(lied_, false)) reference_.syncs_lied(lie_possible_since_.value_or(0));
  lie_possible_since_.reset();
  environment_.forget_disks();
  broker_.reset();
  ++outcome_.clean_stops;
  world_.start = Start::clean_stop;
}

void Run::crash() {
  const uint64_t dice = prng_.below(options_.power ? 10 : 6);
  disconnect();
  world_.fenced = world_.sync_fails = false;
  end_faults();
  if (dice < 1 && !disk_failed_) {
    stop();
  } else {
    const bool power = dice >= 6;
    say(power ? "power failure" : "kill");
    kill_or_power(power);
    world_.start = power ? Start::power_failure : Start::kill;
    environment_.forget_disks();
    broker_.reset();
  }
  // One crash in four hits the recovery of the one before.
  for (int again = 0; again < 3 && prng_.chance(1, 4); ++again) {
    say("crash in recovery");
    world_.start = Start::crash_in_recovery;
    disk_failed_ = prng_.chance(1, 3);
    if (disk_failed_)
      environment_.fail_in_next_disk(sync_failure(), static_cast<uint32_t>(prng_.below(3)));
    else
      image_.halt_after(prng_.below(60));
    std::string message;
    if (auto broker = Broker::open(broker_options_, environment_, &message)) {
      broker_ = std::move(*broker);
    }
    kill_or_power(options_.power && prng_.chance(1, 2));
    environment_.forget_disks();
    broker_.reset();
  }
  if (prng_.chance(1, 10)) environment_.jump_wall(static_cast<int64_t>(prng_.below(3'600'000)));
  environment_.advance(static_cast<int64_t>(prng_.below(300)));
  if (open() && prng_.chance(1, 2)) check_counters();
}

// With nothing left in its source a task ends.
void Run::end_moves() {
  if (!shape_.moves) return;
  for (const SimQueue& queue : world_.queues) {
    if (!queue.shape.has_sources()) continue;
    bool ended = false;
    for (int tries = 0; tries < 200 && !ended && !broken(); ++tries) {
      const uint64_t asked = ++world_.event;
      AdminSink sink;
      broker_->shard(ShardId{0}).list_moves(queue.id, 1, {&sink, 1});
      if (!wait_for_admin(sink)) return;
      ended = sink.moves.empty() || sink.moves[0].ended_at_ms != 0;
      if (ended)
        reference_.move_ended(queue.number, asked, ++world_.event);
      else
        environment_.advance(500);
    }
    if (!ended && !broken())
      world_.violation(fmt::format("C12: a move task of {} does not end", queue.shape.name));
  }
}

// Everything that is there comes out and is acknowledged; then nothing may be left, lost, or come
// back after one more restart.
void Run::drain() {
  SimClient& client = *clients_[0];
  uint32_t empty_rounds = 0;
  for (uint32_t round = 0; round < 2000 && empty_rounds < 3 && !broken(); ++round) {
    const uint64_t before = client.received();
    for (size_t queue = 0; queue < world_.queues.size(); ++queue) {
      client.drain_step(port(0), queue);
      drive(24);  // an answer may come at once: what is due must get its turns all the same
      for (uint32_t i = 0; i < kTurnsMax && client.waiting() && !broken(); ++i)
        turn();
      if (client.waiting())
        return world_.violation("C12: a request was never answered in the drain");
    }
    empty_rounds = client.received() == before ? empty_rounds + 1 : 0;
    if (empty_rounds == 1) end_moves();
    // The first empty round is followed by a wait past every lease and delay of the run.
    if (empty_rounds == 1) environment_.advance(kLongestHideMs + 2000);
    refresh_clocks();
  }
  check_counters();
  world_.violation(reference_.check_drained(world_.now));
}

void Run::finish() {
  disconnect();
  say("final drain");
  end_faults();
  kill_or_power(false);
  environment_.forget_disks();
  broker_.reset();
  if (!open()) return;
  drain();
  if (broken()) return;
  disconnect();
  kill_or_power(options_.power);
  environment_.forget_disks();
  broker_.reset();
  if (!open()) return;
  environment_.advance(kLongestHideMs + 2000);
  refresh_clocks();
  drain();
}

SimulationOutcome Run::go() {
  say(fmt::format("{}: {} shards, {} clients, {} queues, segments of {} bytes, durability {}",
                  shape_name(shape_.kind), broker_options_.shards, clients_.size(),
                  shape_.queues.size(), broker_options_.segment_bytes,
                  static_cast<int>(durability_)));
  for (const SimQueueShape& queue : shape_.queues)
    say(fmt::format("{}: retention {} s, delay {} ms, in flight {}, after {} receives to '{}'",
                    queue.name, queue.attributes.retention_ms / 1000, queue.attributes.delay_ms,
                    queue.attributes.in_flight_max, queue.attributes.receives_max,
                    queue.attributes.dead_letter_queue));
  if (open() && create_queues()) {
    for (uint64_t step = 0; step < options_.steps && !over(); ++step) {
      perhaps_jump_in_time();
      const size_t i = prng_.below(clients_.size());
      clients_[i]->step(port(i));
      ++outcome_.requests;
      while (prng_.chance(1, 2) && !broken())
        turn();
      if (prng_.chance(1, steps_per_sync_failure_) && !broken()) fail_a_sync();
      if (options_.backups && !broken()) perhaps_back_up();
      // A fenced shard acknowledges nothing any more; the process ends, and often the power too.
      if (world_.fenced && !broken())
        crash();
      else if (prng_.chance(1, 500) && !broken())
        crash();
      if (!broker_) break;
    }
    if (!over()) finish();
  }
  return ended();
}

SimulationOutcome Run::ended() {
  forget_backup();
  connections_.clear();
  if (broker_) {
    image_.kill();
    environment_.forget_disks();
    broker_.reset();
  }
  if (broken()) outcome_.violation = world_.violations.front();
  outcome_.coverage = world_.coverage;
  outcome_.crossing = world_.crossing;
  for (auto& client : clients_)
    outcome_.received += client->received();
  uint64_t digest = world_.event;
  for (const auto& [what, times] : world_.coverage)
    digest = base::mix(digest, base::hash64(as_bytes(what), times));
  outcome_.state_digest = base::mix(digest, static_cast<uint64_t>(world_.now.value));
  return outcome_;
}

SimulationOutcome run_simulation(const SimulationOptions& options) {
  Run run(options);
  return options.fault ? run.go_with_fault() : run.go();
}

}  // namespace millrace::sim
