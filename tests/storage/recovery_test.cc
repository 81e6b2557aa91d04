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
  uint64_t disk_segments = 0;  // 0: no bound
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
  if (story.disk_segments != 0) {
    h.image->set_capacity(story.disk_segments * kTestSegmentBytes);
    owner.items_aim = 1 + prng.below(4000);
  }
  for (int life = 0; life < 6; ++life) {
    for (uint64_t turns = prng.below(story.disk_segments != 0 ? 900 : 250); turns > 0; --turns) {
      if (story.disk_segments != 0 && prng.chance(1, 2)) (void)owner.lease();
      owner.turn();
    }
    if (h.log->fenced()) return "a full disk fenced the log";
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

// On a disk that is full for most of the time each start finds its way, and nothing durable is
// lost.
TEST(Recovery, AFullDiskChangesNoneOfIt) {
  for (uint64_t seed = 1; seed <= 40; ++seed)
    ASSERT_EQ(run({seed, seed % 2 == 0, seed % 3 == 0,
                   seed % 7 == 0 ? Durability::interval : Durability::commit, 5 + seed % 9}),
              "");
}

// Filled, then emptied one by one between leases that come to nothing: it never stands still, and
// takes items again.
TEST(Recovery, AFullLogIsDrainedItemByItemWhateverLeasesCost) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    LogHarness h(test_options(seed));
    LogOwner owner(h, seed);
    owner.in_order = seed % 2 == 0;
    owner.record_bytes = 240u << (seed % 3);  // a carry must not be larger than what it carries
    ASSERT_TRUE(h.open());
    h.settle();
    h.image->set_capacity((6 + seed) * kTestSegmentBytes);
    owner.items_aim = 1'000'000;
    while (owner.refused == 0)
      owner.turn();
    const uint64_t filled = owner.live_items();
    uint64_t leases = 0;
    owner.items_aim = 1;
    for (int turn = 0; turn < 30'000 && owner.live_items() > 1; ++turn) {
      for (int i = 0; i < 3; ++i)
        leases += owner.lease();
      owner.turn();
      owner.clean(64);  // as many a turn as the engine
      h.pass(1);
      if (turn % 100 == 0) h.pass(100);
    }
    ASSERT_LE(owner.live_items(), 1u)
        << "seed " << seed << " of " << filled << ", live " << h.log->live_bytes() << " on "
        << h.log->bytes_on_disk() << ", head "
        << h.log->live_bytes(h.log->segment_of(h.log->head())) << ", end at "
        << h.log->end().value % kTestSegmentBytes << ", durable "
        << (h.log->end() == h.log->durable()) << ", cleaning " << h.log->needs_cleaning();
    ASSERT_GT(leases, filled / 8);
    owner.items_aim = 1'000'000;
    for (int turn = 0; turn < 100 && owner.live_items() < 20; ++turn) {
      h.pass(100);
      owner.turn();
    }
    ASSERT_GE(owner.live_items(), 20u) << "seed " << seed;
    ASSERT_FALSE(h.log->fenced());
  }
}

// With no byte left anywhere, kill after kill: nothing is taken for a start that the next needs.
TEST(Recovery, ManyStartsInARowOnAFullDiskTakeNoSpace) {
  LogHarness h;
  LogOwner owner(h, 3);
  owner.record_bytes = 500;
  owner.items_aim = 1'000'000;
  ASSERT_TRUE(h.open());
  h.settle();
  h.image->set_capacity(8 * kTestSegmentBytes);
  while (owner.refused == 0)
    owner.turn();
  ASSERT_TRUE(h.write());
  h.image->set_capacity(h.image->used_bytes());
  base::Prng prng(9);
  for (int life = 0; life < 12; ++life) {
    const uint64_t must = life % 2 == 0 ? owner.durable_records() : owner.written_records();
    if (life % 2 == 0) {
      h.crash(prng, power_loss(prng));
    } else {
      h.kill();
    }
    ASSERT_TRUE(h.open()) << "life " << life << ": " << h.message;
    ASSERT_EQ(owner.check_replay(must), "") << life;
    h.settle();
  }
  owner.items_aim = 1;
  for (int turn = 0; turn < 30'000 && owner.live_items() > 1; ++turn) {
    owner.turn();
    h.pass(5);
  }
  EXPECT_LE(owner.live_items(), 1u);
}

TEST(Recovery, TwoStartsFromOneImageGiveTheSame) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    LogHarness h(test_options(seed));
    base::Prng prng(seed);
    LogOwner owner(h, seed);
    ASSERT_TRUE(h.open());
    for (uint64_t turns = 50 + prng.below(150); turns > 0; --turns)
      owner.turn();
    h.crash(prng, power_loss(prng));
    const auto image = h.image->clone();
    ASSERT_TRUE(h.open()) << h.message;
    const std::vector<Entry> first = h.replayed;
    h.close_without_syncing();
    h.use(image->clone());
    ASSERT_TRUE(h.open()) << h.message;
    ASSERT_EQ(h.replayed, first) << seed;
    // And once more on top of what the start left.
    h.crash(prng, power_loss(prng));
    ASSERT_TRUE(h.open()) << h.message;
    ASSERT_EQ(bodies(h.replayed), bodies(first)) << seed;
  }
}

// A start that dies after each of its calls, by process or by power, hides nothing from the next.
TEST(Recovery, MayBeKilledAtEachOfItsCalls) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    LogHarness h(test_options(seed));
    base::Prng prng(seed);
    LogOwner owner(h, seed);
    ASSERT_TRUE(h.open());
    for (int turns = 0; turns < 120; ++turns)
      owner.turn();
    h.crash(prng, power_loss(prng));
    const auto image = h.image->clone();
    ASSERT_TRUE(h.open()) << h.message;
    const std::vector<std::string> expected = bodies(h.replayed);
    for (uint64_t calls = 0; calls < 200; ++calls) {
      h.close_without_syncing();
      h.use(image->clone());
      h.image->halt_after(calls);
      const bool finished = static_cast<bool>(h.open());
      if (calls % 2 == 0) {
        h.crash(prng, power_loss(prng));
      } else {
        h.kill();
      }
      ASSERT_TRUE(h.open()) << h.message;
      ASSERT_EQ(bodies(h.replayed), expected) << "seed " << seed << ", call " << calls;
      if (finished) break;
    }
  }
}

// The second half of the tail lies in a second segment: the re-homed copy takes several, too.
// The stop comes between any two calls that make the next segment; the start after it finds a file
// that is whole and takes it.
TEST(Recovery, ASpareThatACleanStopLeftUnfinishedKeepsWhatIsSyncedInIt) {
  uint64_t taken = 0;
  for (uint64_t calls = 0; calls < 60; ++calls) {
    LogHarness h;
    ASSERT_TRUE(h.open());
    ASSERT_TRUE(h.append("first"));
    ASSERT_TRUE(h.write());
    h.log->start_jobs(h.now());
    base::Prng prng(calls);
    for (uint64_t i = 0; i < calls && h.disk->step_jobs(prng); ++i) {
    }
    ASSERT_TRUE(h.log->close(h.now()));
    h.kill();
    const auto report = h.open();
    ASSERT_TRUE(report && report->clean_shutdown);
    const size_t files = h.image->paths().size();
    for (int i = 0; i < 40; ++i)
      ASSERT_TRUE(h.append(std::string(2000, 'x')));
    ASSERT_TRUE(h.write());
    taken += h.image->paths().size() == files;
    ASSERT_TRUE(h.log->close(h.now()));
    h.crash(prng);
    ASSERT_TRUE(h.open()) << h.message;
    EXPECT_EQ(h.replayed.size(), 41u) << calls;
  }
  EXPECT_GT(taken, 0u);
}

TEST(Recovery, LongUnsyncedTailIsRehomedOverSeveralSegments) {
  LogOptions options = test_options();
  options.durability = Durability::interval;
  options.interval_ms = 60'000;
  LogHarness h(options);
  ASSERT_TRUE(h.open());
  std::vector<std::string> written;
  for (int i = 0; i < 400; ++i) {
    written.push_back(std::to_string(i) + std::string(1000, 't'));
    const auto at = h.append(written.back());
    h.log->add_live(*at, 1000);
    ASSERT_TRUE(h.write());
  }
  h.kill();
  const auto image = h.image->clone();
  base::Prng prng(1);
  bool finished = false;
  for (uint64_t calls = 0; calls < 400 && !finished; ++calls) {
    h.use(image->clone());
    h.image->halt_after(calls);
    finished = static_cast<bool>(h.open());
    if (finished) break;
    h.kill();
    ASSERT_TRUE(h.open()) << h.message;
    ASSERT_EQ(bodies(h.replayed), written) << "call " << calls;
    // Now it is on stable storage, however it was before.
    h.crash(prng, power_loss(prng));
    ASSERT_TRUE(h.open()) << h.message;
    ASSERT_EQ(bodies(h.replayed), written) << "call " << calls;
    h.close_without_syncing();
  }
  EXPECT_TRUE(finished);
}

// 2 % of the items are never removed: the disk stays within 4 x live + 3 segments.
TEST(Recovery, StragglersAreCarriedAndTheDiskStaysInBounds) {
  LogHarness h;
  LogOwner owner(h, 5);
  owner.hold_some = true;
  owner.items_aim = 60;
  ASSERT_TRUE(h.open());
  for (int turn = 0; turn < 6000; ++turn) {
    owner.turn();
    // Cleaning gets the turns it needs: to carry, to name the new head, to give the file back.
    for (int i = 0; i < 3; ++i) {
      owner.clean(200);
      h.settle();
      h.pass(10);
      h.settle();
    }
    ASSERT_LE(h.log->bytes_on_disk(), 4 * h.log->live_bytes() + 3 * kTestSegmentBytes) << turn;
  }
  EXPECT_GT(h.log->segment_of(h.log->end()), 50u);
  EXPECT_EQ(owner.refused, 0u);
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

// Full is not broken: who starts it again must know which of the two to mend.
TEST(Recovery, SaysWhatTheDiskSaid) {
  for (const sim::DiskCall call : {sim::DiskCall::write, sim::DiskCall::sync})
    for (const Errc error : {Errc::disk_full, Errc::io_error}) {
      LogHarness h;
      ASSERT_TRUE(h.open());
      ASSERT_TRUE(h.append("a"));
      ASSERT_TRUE(h.write());
      h.kill();
      h.fault_of_open = sim::DiskFault{.call = call, .for_ever = true, .error = error};
      const auto opened = h.open();
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error(), error);
      ASSERT_TRUE(h.open());
      EXPECT_EQ(bodies(h.replayed), std::vector<std::string>{"a"});
    }
}

TEST(Recovery, IgnoringChainAndGenerationIsCaught) {
  EXPECT_TRUE(caught(base::Bug::no_chaining));
}

TEST(Recovery, SkippingTheDirectorySyncIsCaught) {
  EXPECT_TRUE(caught(base::Bug::directory_not_synced));
}

}  // namespace
}  // namespace millrace::storage
