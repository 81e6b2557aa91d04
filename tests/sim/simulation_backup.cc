// Backups in a run: begun at any moment, read while all goes on, opened in a node of their own.
//
// No request begins between a backup's start and its answer. So the copy is what a kill at that
// time would have left, which the reference knows how to judge: what was answered before is in it,
// what was under way may be, and nothing else.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/simulation_run.h"

namespace millrace::sim {
namespace {

constexpr uint64_t kStepsPerBackup = 1'500;
// What crosses shards while a copy is cut is what tells whether all logs were cut at once.
constexpr uint64_t kStepsPerBackupWithMoves = 200;
constexpr uint64_t kStepsPerBackupWithFault = 20;
constexpr uint64_t kStepsUntilGivenUp = 400;

}  // namespace

// A node on the copy, with what was known when it was asked for.
Run::Run(const Run& source, const SimBackup& backup, uint64_t seed) : Run(source.options_) {
  prng_ = base::Prng(seed);
  over_connections_ = false;
  environment_.go_on_from(source.environment_, seed);
  reference_ = backup.reference;
  world_ = backup.world;
  world_.reference = &reference_;
  clients_.clear();
  clients_.push_back(std::make_unique<SimClient>(world_, prng_.next()));
  for (const auto& [path, bytes] : backup.files())
    image_.replace(path, bytes);
  // What was under way may have been done until the answer came.
  reference_.crashed(false, durability_ == Durability::commit, world_.event, backup.answered_at);
}

std::string Run::check_copy() {
  say("a copy is opened");
  broker_options_.restored = true;
  if (open()) drain();
  broker_options_.restored = false;
  if (!over() && broker_ != nullptr) {
    disconnect();
    kill_or_power(options_.power && prng_.chance(1, 2));
    environment_.forget_disks();
    broker_.reset();
    if (open()) {
      environment_.advance(kLongestHideMs + 2000);
      refresh_clocks();
      drain();
    }
  }
  return ended().violation;
}

void Run::perhaps_back_up() {
  if (backup_ == nullptr) {
    const uint64_t steps = options_.fault ? kStepsPerBackupWithFault
                           : world_.moves ? kStepsPerBackupWithMoves
                                          : kStepsPerBackup;
    if (backup_prng_.chance(1, steps)) start_backup();
    return;
  }
  ShardPort& port =
      broker_->shard(ShardId{static_cast<uint16_t>(backup_prng_.below(broker_->shard_count()))});
  const bool all = backup_->step(port, backup_prng_);
  // A fenced shard gives nothing; nor does one that will be at its next sync.
  if (backup_->error != Errc::ok) {
    // A minute may have passed since the last read.
    const bool too_late = backup_->error == Errc::canceled && shape_.time_jumps;
    if (!world_.fenced && !world_.sync_fails && !too_late && !disk_explains(backup_->error))
      world_.violation(
          fmt::format("a backup can't be read: {} {}", errc_name(backup_->error), backup_->detail));
    return forget_backup();
  }
  if (!all) {
    if (backup_prng_.chance(1, kStepsUntilGivenUp)) forget_backup();
    return;
  }
  // What a lying sync took is not in a copy of it either.
  if (!lied_ever_ && !lie_possible_since_) {
    if (std::string wrong = Run(*this, *backup_, backup_prng_.next()).check_copy(); !wrong.empty())
      world_.violation("in a restored copy: " + wrong);
    ++outcome_.backups;
  }
  forget_backup();
}

// The answer is the failing call's, or what was held for the backup made up for it.
bool Run::disk_explains(Errc error) const {
  const auto met = [](const SimDisk* disk) { return disk->faults_hit() > 0; };
  const std::vector<SimDisk*>& disks = environment_.disks();
  // A log that could make no segment looks again after a while only, and takes the copy's by then.
  if (error == Errc::canceled && fault_in_life_ && outcome_.faults_met > 0) return true;
  return fault_is_on_ && std::any_of(disks.begin(), disks.end(), met) &&
         (fault_explains(error) || error == Errc::canceled);
}

void Run::start_backup() {
  if (world_.moves && backup_prng_.chance(2, 3)) {
    clients_[0]->start_moves(port(0));
    drive(static_cast<uint32_t>(backup_prng_.below(8)));
  }
  // Many requests under way at once.
  for (uint64_t n = backup_prng_.below(6); n > 0 && !broken(); --n) {
    const size_t i = backup_prng_.below(clients_.size());
    clients_[i]->step(port(i));
  }
  if (broken() || world_.fenced) return;
  say("a backup begins");
  backup_ = std::make_unique<SimBackup>(reference_, world_);
  const auto shard = static_cast<uint16_t>(backup_prng_.below(broker_->shard_count()));
  broker_->shard(ShardId{shard}).start_backup({backup_.get(), 0});
  if (backup_prng_.chance(9, 10))
    slow_shard_ = static_cast<uint16_t>(backup_prng_.below(broker_->shard_count()));
  for (uint32_t i = 0; i < kTurnsMax && !backup_->answered && !broken() && !world_.fenced; ++i)
    turn();
  slow_shard_.reset();
  if (broken()) return;
  backup_->answered_at = world_.now;
  if (backup_->answered && backup_->error == Errc::ok) return;
  const bool given_up_before = backup_->error == Errc::over_limit && backups_given_up_ > 0;
  if (!world_.fenced && !world_.sync_fails && !given_up_before && !disk_explains(backup_->error))
    world_.violation(backup_->answered ? fmt::format("a backup is refused: {} {}",
                                                     errc_name(backup_->error), backup_->detail)
                                       : std::string("C12: a backup was never answered"));
  forget_backup();
}

void Run::forget_backup() {
  if (backup_ == nullptr) return;
  ++backups_given_up_;
  if (broker_ != nullptr)
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      broker_->shard(ShardId{i}).cancel_all(backup_.get());
  backup_.reset();
}

}  // namespace millrace::sim
