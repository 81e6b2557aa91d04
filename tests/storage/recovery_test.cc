// What survives: random runs over the simulated disk with deaths of process and power anywhere.
#include "storage/recovery.h"

#include <gtest/gtest.h>

#include "base/planted.h"
#include "tests/storage/log_harness.h"
#include "tests/storage/log_owner.h"

namespace millrace::storage {
namespace {

struct Story {
  uint64_t seed = 0;
  bool equal_sizes = false;
  bool in_order = false;
  Durability durability = Durability::commit;
};

sim::PowerLossOptions power_loss(base::Prng& prng) {
  sim::PowerLossOptions options;
  options.granularity = prng.chance(1, 2) ? 512 : 4096;
  options.torn = prng.chance(1, 2);
  return options;
}

// Ends the process or the power, then starts again - some starts die on the way, too.
std::string die_and_start(LogHarness& h, LogOwner& owner, base::Prng& prng) {
  const bool power = prng.chance(2, 3);
  uint64_t must_survive = power ? owner.durable_records() : owner.written_records();
  if (power) {
    h.crash(prng, power_loss(prng));
  } else {
    h.kill();
  }
  while (prng.chance(1, 3)) {  // dies while starting
    h.image->halt_after(prng.below(60));
    (void)h.open();
    const bool power_again = prng.chance(1, 2);
    // What only the page cache holds may go with the power now.
    if (power_again && !power) must_survive = owner.durable_at_death;
    if (power_again) {
      h.crash(prng, power_loss(prng));
    } else {
      h.kill();
    }
  }
  const auto report = h.open();
  if (!report) return "does not open: " + h.message + " " + std::string(errc_name(report.error()));
  if (report->damaged_ranges != 0) return "undamaged bytes were called damaged";
  return owner.check_replay(must_survive);
}

// Empty if all went well.
std::string run(const Story& story) {
  LogOptions options = test_options(story.seed);
  options.durability = story.durability;
  options.interval_ms = 20;
  LogHarness h(options);
  base::Prng prng(story.seed);
  LogOwner owner(h, story.seed * 31);
  owner.record_bytes = story.equal_sizes ? 200 : 0;
  owner.in_order = story.in_order;
  owner.items_aim = 1 + prng.below(300);
  if (!h.open()) return "a new log does not open";
  for (int life = 0; life < 6; ++life) {
    for (uint64_t turns = prng.below(250); turns > 0; --turns)
      owner.turn();
    owner.durable_at_death = owner.durable_records();
    if (std::string fault = die_and_start(h, owner, prng); !fault.empty())
      return "seed " + std::to_string(story.seed) + ", life " + std::to_string(life) + ": " + fault;
  }
  return {};
}

TEST(Recovery, SurvivorsAreAnExactPrefixWithAllThatWasDurable) {
  for (uint64_t seed = 1; seed <= 150; ++seed)
    ASSERT_EQ(run({seed, seed % 2 == 0, seed % 3 == 0, Durability::commit}), "");
}

TEST(Recovery, WithoutCommitSyncsAPrefixSurvivesToo) {
  for (uint64_t seed = 1000; seed < 1080; ++seed)
    ASSERT_EQ(run({seed, seed % 2 == 0, seed % 3 == 0,
                   seed % 5 < 2 ? Durability::interval : Durability::none}),
              "");
}

// The tests above must be able to fail.
bool caught(base::Bug bug) {
  base::g_planted_bug = bug;
  bool found = false;
  for (uint64_t seed = 1; seed <= 500 && !found; ++seed)
    found = !run({seed, seed % 4 != 0, seed % 3 == 0, Durability::commit}).empty();
  base::g_planted_bug = base::Bug::none;
  return found;
}

TEST(Recovery, IgnoringChainAndGenerationIsCaught) {
  EXPECT_TRUE(caught(base::Bug::no_chaining));
}

TEST(Recovery, SkippingTheDirectorySyncIsCaught) {
  EXPECT_TRUE(caught(base::Bug::directory_not_synced));
}

}  // namespace
}  // namespace millrace::storage
