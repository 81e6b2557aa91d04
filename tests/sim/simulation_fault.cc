// The run with a planned fault: three lives of some hundred requests, of which one meets a disk
// that fails at a call known beforehand. What promises.md a13-a14 say of it is checked here; that
// nothing acknowledged is lost, by the same clients and reference as in every run.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "base/assert.h"
#include "tests/sim/simulation_run.h"

namespace millrace::sim {
namespace {

constexpr uint64_t kStepsToGoOn = 400;

uint64_t sends_taken(const Coverage& coverage) {
  uint64_t taken = 0;
  for (const char* what : {"send ok", "fifo send ok"})
    if (const auto found = coverage.find(what); found != coverage.end()) taken += found->second;
  return taken;
}

}  // namespace

bool Run::fails_syncs() const {
  return !options_.fault || options_.fault->fault.call == DiskCall::sync;
}

// A late report comes from the file's next sync, as an I/O error.
bool Run::fault_explains(Errc error) const {
  const DiskFault& fault = options_.fault->fault;
  return error == fault.error || error == Errc::shard_fenced ||
         (fault.late_report && error == Errc::io_error);
}

void Run::turn_fault_on(uint32_t life) {
  fault_in_life_ = life == options_.fault->life;
  if (!fault_in_life_) return;
  DiskFault fault = options_.fault->fault;
  fault.pages_stay = true;
  // Delivered before any sync, and then changed under way by one that says ok: nobody sees that.
  if (fault.late_report && durability_ == Durability::none)
    fault.sync_failure = SyncFailure::keeps_content;
  // A start writes the log's tail again: a sync of it that lies takes what was durable before.
  if (fault.late_report) lie_possible_since_ = 0;
  environment_.fail_in_next_disk(fault, options_.fault->disk);
  fault_is_on_ = true;
}

void Run::turn_fault_off() {
  if (!fault_is_on_) return;
  forget_backup();  // its answers may be the failing call's
  end_faults();
  fault_is_on_ = false;
}

// A start that the fault refuses is followed by one without it, which must succeed.
bool Run::open_a_life(uint32_t life) {
  turn_fault_on(life);
  if (open()) return true;
  if (!refused_) return false;
  say("the start is refused");
  ++outcome_.faults_met;
  fault_is_on_ = refused_ = false;
  const DiskFault& fault = options_.fault->fault;
  lied_ = lied_ever_ = fault.late_report;
  // Of an earlier life, too: what was written then may have waited for this start's sync.
  disk_failed_ = disk_failed_ || fails_syncs();
  kill_or_power(options_.power && fault.nth % 2 == 0);
  return open();
}

// All are there, whatever it takes.
bool Run::have_queues() {
  while (!create_queues()) {
    if (broken()) return false;
    if (world_.fenced) {
      end_a_life(options_.fault->life + 1);
      if (!open()) return false;
    }
    turn_fault_off();
  }
  return true;
}

void Run::make_steps(uint64_t count) {
  for (uint64_t step = 0; step < count && !world_.fenced && !over(); ++step) {
    perhaps_jump_in_time();
    const size_t i = prng_.below(clients_.size());
    clients_[i]->step(port(i));
    ++outcome_.requests;
    while (prng_.chance(1, 2) && !broken())
      turn();
    if (options_.fault && options_.fault->backups && !broken()) perhaps_back_up();
  }
}

// With the fault over a node that is not fenced takes sends again, by itself.
void Run::check_that_it_goes_on() {
  const uint64_t before = sends_taken(world_.coverage);
  for (uint64_t step = 0; step < kStepsToGoOn && !world_.fenced && !over(); ++step) {
    make_steps(1);
    if (sends_taken(world_.coverage) > before + 3) return;
  }
  if (!world_.fenced && !over())
    world_.violation("C12: the fault is over, nothing is fenced, and no send is taken");
}

void Run::live() {
  make_steps(options_.steps / kFaultLives);
  const auto met = [](const SimDisk* disk) { return disk->faults_hit() > 0; };
  const std::vector<SimDisk*>& disks = environment_.disks();
  if (!fault_is_on_ || over() || world_.fenced || std::none_of(disks.begin(), disks.end(), met))
    return;
  turn_fault_off();
  check_that_it_goes_on();
}

// The first life ends in order, so that the second has a checkpoint; the second and any that is
// fenced are killed or lose their power.
void Run::end_a_life(uint32_t life) {
  disconnect();
  const bool fenced = world_.fenced;
  world_.fenced = world_.sync_fails = false;
  if (life == 0 && !fenced) {
    stop();
    fault_is_on_ = false;
    return;
  }
  turn_fault_off();
  const bool power =
      options_.power && (fenced ? options_.fault->fault.nth % 2 == 0 : life + 1 == kFaultLives);
  say(power ? "power failure" : "kill");
  kill_or_power(power);
  environment_.forget_disks();
  broker_.reset();
  world_.start = power ? Start::power_failure : Start::kill;
}

// Nothing is answered with an error that the disk did not have.
void Run::check_answers() {
  for (const auto& [what, times] : world_.coverage)
    for (const Errc error : {Errc::disk_full, Errc::io_error, Errc::damaged})
      if (what.ends_with(fmt::format(" {}", errc_name(error))) && !fault_explains(error))
        world_.violation(fmt::format("answered '{}', {} times", what, times));
}

SimulationOutcome Run::go_with_fault() {
  for (uint32_t life = 0; life < kFaultLives && !over(); ++life) {
    say(fmt::format("life {}", life));
    if (!open_a_life(life) || !have_queues()) break;
    live();
    if (!over()) end_a_life(life);
    environment_.advance(static_cast<int64_t>(prng_.below(300)));
  }
  if (!over()) check_answers();
  if (!over() && open()) finish();
  return ended();
}

StoppedNode Run::go_and_stop() {
  MR_ASSERT(open() && create_queues());
  make_steps(options_.steps);
  disconnect();
  stop();
  MR_ASSERT(!broken());
  image_.kill();
  image_.settle();
  return {image_.clone(), broker_options_};
}

StoppedNode run_and_stop(const SimulationOptions& options) {
  return Run(options).go_and_stop();
}

}  // namespace millrace::sim
