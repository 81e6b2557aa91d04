#include "tests/sim/simulation.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/planted.h"
#include "tests/sim/small_world.h"

namespace millrace::sim {
namespace {

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const SimulationOptions options{.seed = seed, .steps = 1500};
    const SimulationOutcome first = run_simulation(options);
    const SimulationOutcome second = run_simulation(options);
    EXPECT_EQ(first.violation, "") << "seed " << seed;
    EXPECT_EQ(first.state_digest, second.state_digest) << "seed " << seed;
    EXPECT_EQ(first.received, second.received) << "seed " << seed;
  }
}

TEST(Simulation, OtherSeedsGiveOtherRuns) {
  EXPECT_NE(run_simulation({.seed = 1, .steps = 300}).state_digest,
            run_simulation({.seed = 2, .steps = 300}).state_digest);
}

// What each of them found, when it found it. A seed's run changes with the code, so the bugs also
// have tests of their own below the simulator where they can be named.
TEST(Simulation, SeedsThatOnceFailedPass) {
  constexpr struct {
    uint64_t seed;
    uint32_t steps;
    const char* found;
  } kSeeds[] = {
      {13, 1000, "a clean stop that did not wait for the sync in flight"},
      {22, 1000, "a torn tail over several segments, taken for a missing one"},
      {8, 1000, "slots given out again after a power loss took the first ones"},
      {1050, 4000, "a segment freed before it was durable"},
      {3680, 4000, "a clean end that outlived the life after it"},
  };
  for (const auto& row : kSeeds)
    EXPECT_EQ(
        run_simulation(
            {.seed = row.seed, .steps = row.steps, .backups = false, .shape = ShapeKind::standard})
            .violation,
        "")
        << row.found;
}

TEST(SmallWorld, AnEighthOfTheSequencesOfTwoOperationsSurvivesEveryPowerFailure) {
  const SmallWorldReport report = try_all_sequences(2, 0, 8);
  EXPECT_EQ(report.violation, "");
  EXPECT_GT(report.images, 200u);
}

TEST(SmallWorld, FindsPlantedBugs) {
  constexpr struct {
    base::Bug bug;
    std::string_view operations;
  } kRows[] = {
      {base::Bug::ack_before_sync, "a"},        {base::Bug::lease_lost_on_restart, "v"},
      {base::Bug::sequence_reused, "p"},        {base::Bug::dedup_lost_when_cleaned, "vkc"},
      {base::Bug::purge_forgotten, "p"},        {base::Bug::dead_letter_left_behind, "vtv"},
      {base::Bug::dead_letter_too_late, "vtv"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(try_sequence(row.operations).violation, "");
    base::g_planted_bug = row.bug;
    const SmallWorldReport report = try_sequence(row.operations);
    base::g_planted_bug = base::Bug::none;
    EXPECT_NE(report.violation, "") << row.operations;
  }
}

TEST(Simulation, EveryOperationIsAnsweredInMoreThanOneWay) {
  Coverage all;
  Crossing crossed;
  uint32_t kills = 0, power_failures = 0, clean_stops = 0, backups = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const SimulationOutcome outcome = run_simulation({.seed = seed, .steps = 2000});
    ASSERT_EQ(outcome.violation, "") << "seed " << seed;
    for (const auto& [what, times] : outcome.coverage)
      all[what] += times;
    for (const auto& [what, times] : outcome.crossing)
      for (size_t i = 0; i < kConditions; ++i)
        crossed[what][i] += times[i];
    kills += outcome.kills;
    power_failures += outcome.power_failures;
    clean_stops += outcome.clean_stops;
    backups += outcome.backups;
  }
  for (const char* what : {"send ok",
                           "publish ok",
                           "receive ok",
                           "receive empty",
                           "receive canceled",
                           "push ok",
                           "ack ok",
                           "ack receipt_expired",
                           "ack receipt_invalid",
                           "extend ok",
                           "extend message_not_leased",
                           "extend message_gone",
                           "extend receipt_expired",
                           "peek ok",
                           "stats ok",
                           "purge ok",
                           "receive over_limit",
                           "ack queue_not_found",
                           "move ok",
                           "redrive ok",
                           "start move ok",
                           "list moves ok",
                           "set ok",
                           "fifo set ok",
                           "fifo receive repeated",
                           "fifo redrive ok",
                           "fifo start move ok",
                           "fifo send ok",
                           "fifo send repeated",
                           "fifo receive ok",
                           "fifo receive empty",
                           "fifo receive canceled",
                           "fifo push ok",
                           "fifo ack ok",
                           "fifo ack receipt_expired",
                           "fifo ack receipt_invalid",
                           "fifo extend ok",
                           "fifo extend message_not_leased",
                           "fifo extend message_gone",
                           "fifo extend receipt_expired",
                           "fifo purge ok",
                           "fifo move ok",
                           "delete ok",
                           "create ok"})
    EXPECT_GE(all[what], 10u) << what;
  // On what, and in how many of the ways in which a life can begin and end.
  for (const char* what : {"ack leased: ok",
                           "ack lease over: ok",
                           "ack leased again: receipt_expired",
                           "ack acked: ok",
                           "ack purged: ok",
                           "ack moved: ok",
                           "extend leased: ok",
                           "extend lease over: ok",
                           "extend leased again: receipt_expired",
                           "extend acked: message_gone",
                           "extend moved: message_gone",
                           "fifo ack leased: ok",
                           "fifo ack lease over: receipt_expired",
                           "fifo ack moved: ok",
                           "fifo ack purged: ok",
                           "fifo extend leased: ok",
                           "fifo extend lease over: ok",
                           "fifo extend moved: message_gone",
                           "fifo send repeated",
                           "fifo move ok"}) {
    const auto found = crossed.find(what);
    ASSERT_NE(found, crossed.end()) << what;
    EXPECT_GE(std::ranges::count_if(found->second, [](uint64_t times) { return times > 0; }), 5)
        << what;
  }
  EXPECT_GE(kills, 20u);
  EXPECT_GE(power_failures, 20u);
  EXPECT_GE(clean_stops, 5u);
  EXPECT_GE(backups, 20u);
}

}  // namespace
}  // namespace millrace::sim
