// Server time (promises a17): wall clocks that jump by an hour and by 400 days, both ways, while
// the broker runs and while it does not.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

constexpr int64_t kHour = 3'600'000;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kJumps[] = {kHour, -kHour, 400 * kDay, -400 * kDay};

class Clock : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    open();
    QueueAttributes attributes;
    attributes.retention_ms = static_cast<uint32_t>(kHour);
    queue_ = create("orders", attributes);
  }
  void restart(bool kill) {
    if (kill)
      crash_and_open();
    else
      stop_and_open();
    tick();
  }
  uint64_t there() {
    const QueueCounters counts = counters(queue_);
    return counts.ready + counts.leased + counts.delayed;
  }
  std::string report() {
    std::string all;
    for (const std::string& line : broker_->recovery_report())
      all += line + "\n";
    return all;
  }

  QueueId queue_{};
};

TEST_F(Clock, AJumpWhileRunningMovesNoLeaseNoDelayNoWaitAndNoRetention) {
  for (const int64_t jump : kJumps) {
    send(queue_, Batch().add("leased").add("delayed", 30'000).add("ready"));
    ASSERT_EQ(receive(queue_, 1, 20'000).size(), 1u);
    const ReplyTo waits = reply();
    const QueueId empty = create("empty");
    shard().receive({.queue = empty, .wait_ms = 10'000}, waits);
    environment_.jump_wall(jump);
    tick();
    EXPECT_EQ(there(), 3u) << jump;
    const auto seen = peek(queue_);
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0].due - shard().now(), 20'000) << jump;
    EXPECT_EQ(seen[1].due - shard().now(), 30'000) << jump;
    advance(9'999);
    EXPECT_FALSE(sink_.receives.contains(waits.token)) << jump;
    advance(1);
    EXPECT_TRUE(sink_.receives.contains(waits.token)) << jump;
    advance(9'999);
    EXPECT_EQ(bodies(receive(queue_, 10, 0)), Bodies{"ready"}) << jump;
    advance(1);
    EXPECT_EQ(receive(queue_, 10, 0).size(), 2u) << jump;
    advance(10'000);
    EXPECT_EQ(receive(queue_, 10, 0).size(), 3u) << jump;
    advance(kHour - 30'000);
    EXPECT_EQ(there(), 0u) << jump;
  }
}

TEST_F(Clock, AcrossARestartItNeverGoesBack) {
  for (const bool kill : {false, true})
    for (const int64_t jump : {-kHour, -400 * kDay}) {
      send(queue_, "a");
      ASSERT_EQ(receive(queue_, 1, 60'000).size(), 1u);
      settle();
      const TimeMs before = shard().now();
      environment_.jump_wall(jump);
      restart(kill);
      EXPECT_EQ(shard().now(), before) << jump;
      EXPECT_TRUE(receive(queue_).empty());
      advance(59'999);
      EXPECT_TRUE(receive(queue_).empty());
      advance(1);
      const auto got = receive(queue_);
      ASSERT_EQ(got.size(), 1u);
      EXPECT_EQ(ack(got[0].receipt), Errc::ok);
    }
}

TEST_F(Clock, ARestartFollowsAWallThatIsUpToADayAheadAtOnce) {
  for (const bool kill : {false, true}) {
    send(queue_, "a");
    ASSERT_EQ(receive(queue_, 1, 60'000).size(), 1u);
    settle();
    const TimeMs before = shard().now();
    environment_.jump_wall(kDay);
    restart(kill);
    EXPECT_EQ(shard().now(), before + kDay);
    EXPECT_EQ(there(), 0u);
    EXPECT_EQ(report().find("accept-clock"), std::string::npos) << report();
  }
}

TEST_F(Clock, AWallMoreThanADayAheadAtAStartEndsLeasesButRetentionWaitsADay) {
  for (const bool kill : {false, true}) {
    send(queue_, Batch().add("a").add("b"));
    ASSERT_EQ(receive(queue_, 1, 60'000).size(), 1u);
    settle();
    environment_.jump_wall(400 * kDay);
    restart(kill);
    EXPECT_NE(report().find("the clock is 9600 hours ahead of the newest record: messages age out "
                            "again in 24 hours, or when it is started with accept-clock"),
              std::string::npos)
        << report();
    EXPECT_EQ(there(), 2u);
    EXPECT_EQ(receive(queue_, 10, 0).size(), 2u);
    // Nobody says that it is right: a restart begins the wait anew.
    advance(kDay - 1);
    restart(kill);
    EXPECT_NE(report().find("the clock was far ahead at an earlier start"), std::string::npos)
        << report();
    advance(kDay - 1);
    EXPECT_EQ(receive(queue_, 10, 0).size(), 2u);
    advance(1);
    EXPECT_EQ(there(), 0u);
    settle();
    restart(kill);
    EXPECT_EQ(report().find("accept-clock"), std::string::npos) << report();
  }
}

TEST_F(Clock, WhoSaysThatTheClockIsRightDoesNotWait) {
  send(queue_, "a");
  settle();
  environment_.jump_wall(25 * kHour);
  restart(false);
  EXPECT_EQ(there(), 1u);
  options_.accept_clock = true;
  restart(false);
  EXPECT_EQ(there(), 0u);
  options_.accept_clock = false;
  restart(false);
  EXPECT_EQ(report().find("accept-clock"), std::string::npos) << report();
}

TEST_F(Clock, AllShardsWaitAndMoveTasksTakeWhatIsThere) {
  options_.shards = 2;
  ASSERT_TRUE(broker_->stop());
  broker_.reset();
  open();
  QueueAttributes keeps;
  keeps.retention_ms = static_cast<uint32_t>(kHour);
  const QueueId dead = create("dead", keeps);
  queue_ = create("source", keeps);
  redrive(queue_, "dead");
  send(queue_, "here", 0);
  send(queue_, "there", 1);
  while (receive(queue_, 10, 0).size() > 0)
    tick();
  settle_moves();
  ASSERT_EQ(counters(dead).ready, 2u);
  environment_.jump_wall(2 * kDay);
  restart(false);
  EXPECT_EQ(counters(dead).ready, 2u);
  const ReplyTo to = reply();
  shard().start_move({.source = dead}, to);
  until([&] { return counters(queue_).ready == 2; });
}

}  // namespace
}  // namespace millrace::engine
