// What a broker is after a start equals what it was: by replay, from a checkpoint, against a plain
// reference, whatever the ending.
#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "base/prng.h"
#include "engine/limits.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class Recovery : public EngineTest {
 protected:
  std::string checkpoint_path() const { return directory_.path() + "/shard-0/checkpoint"; }
  uint64_t digest() { return shard().state().digest(shard().now()); }
  // One of each state, in two queues.
  void fill() {
    const QueueId a = create("a");
    const QueueId b = create("b");
    send(a, Batch().add("leased twice").add("leased").add("delayed", 600'000).add("acked"));
    send(b, Batch().add("ready").add("purged"));
    ASSERT_EQ(receive(a, 1, 1'000).size(), 1u);
    advance(1'000);
    const auto leased = receive(a, 3, 500'000);
    ASSERT_EQ(leased.size(), 3u);
    EXPECT_EQ(ack(leased[2].receipt), Errc::ok);
    EXPECT_EQ(extend(leased[1].receipt, 700'000), Errc::ok);
  }
};

TEST_F(Recovery, ACheckpointGivesWhatReplayGives) {
  open();
  fill();
  const uint64_t before = digest();
  stop_and_open();
  EXPECT_EQ(digest(), before);
  ASSERT_TRUE(std::filesystem::exists(checkpoint_path()));
  ASSERT_TRUE(broker_->stop());
  broker_.reset();
  std::filesystem::remove(checkpoint_path());
  open();
  EXPECT_EQ(digest(), before);
  ASSERT_TRUE(broker_->stop());
  broker_.reset();
  std::fstream(checkpoint_path(), std::ios::in | std::ios::out | std::ios::binary)
      .seekp(100)
      .put('!');
  open();
  EXPECT_EQ(digest(), before);
}

TEST_F(Recovery, WhatHappensAfterACheckpointIsReplayedOnTopOfIt) {
  open();
  fill();
  stop_and_open();
  const QueueId a = shard().find_queue("a")->id;
  send(a, Batch().add("later"));
  const auto got = receive(a, 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].body, "later");
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  const uint64_t before = digest();
  const QueueCounters counted = counters(a);
  crash_and_open();
  EXPECT_EQ(digest(), before);
  EXPECT_EQ(counters(a).bytes, counted.bytes);
  EXPECT_EQ(counters(a).leased, counted.leased);
  EXPECT_EQ(counters(a).delayed, counted.delayed);
}

TEST_F(Recovery, ACheckpointWhoseSegmentsAreGoneIsNotUsed) {
  options_.durability = Durability::none;
  open();
  fill();
  stop_and_open();
  const QueueId busy = create("busy");
  storage::Log& log = shard().state().log();
  for (const Position head = log.head(); log.head() == head;) {
    send(busy, std::string(500'000, 'x'));
    ack(receive(busy, 1).at(0).receipt);
  }
  const uint64_t before = digest();
  crash_and_open();
  EXPECT_EQ(digest(), before);
}

TEST_F(Recovery, TheSlotsOfAnEmptiedQueueGoOnAfterACheckpoint) {
  open();
  const QueueId queue = create("a");
  send(queue, Batch().add("x").add("y"));
  for (const Got& got : receive(queue))
    ack(got.receipt);
  stop_and_open();
  EXPECT_EQ(raw(send(queue, "z").first_slot), 2u);
}

TEST_F(Recovery, AfterAnUncleanEndSlotsThatMayHaveBeenShownAndLostArePassedOver) {
  options_.durability = Durability::none;
  open();
  const QueueId queue = create("a");
  const QueueId unused = create("b");
  send(queue, Batch().add("x").add("y"));
  crash_and_open();
  const Slot first = send(queue, "z").first_slot;
  EXPECT_EQ(raw(first), 2 + kSlotsSkippedAfterLoss);
  EXPECT_EQ(raw(send(unused, "z").first_slot), kSlotsSkippedAfterLoss);
  stop_and_open();
  EXPECT_EQ(send(queue, "z").first_slot, first + 1);
  EXPECT_EQ(receive(queue).size(), 4u);
}

// The plainest queue there is: what a message may be at any time, by its body.
struct Plain {
  enum class State { ready, leased, delayed, gone } state = State::ready;
  int64_t due = 0;
  uint32_t receives = 0;
  Receipt receipt{};
};

class RandomOperations : public EngineTest, public testing::WithParamInterface<uint64_t> {
 protected:
  // Time has come to `now`: leases and delays that are over.
  void expire_plain() {
    const int64_t now = shard().now().value;
    for (auto& [body, one] : plain_)
      if ((one.state == Plain::State::leased || one.state == Plain::State::delayed) &&
          one.due <= now)
        one.state = Plain::State::ready;
  }
  uint64_t count_plain(Plain::State state) const {
    return static_cast<uint64_t>(std::count_if(
        plain_.begin(), plain_.end(), [&](const auto& e) { return e.second.state == state; }));
  }
  void compare() {
    settle();
    const QueueCounters c = counters(queue_);
    ASSERT_EQ(c.ready, count_plain(Plain::State::ready));
    ASSERT_EQ(c.leased, count_plain(Plain::State::leased));
    ASSERT_EQ(c.delayed, count_plain(Plain::State::delayed));
    // The accounts against a recount of every live message, at one moment: cleaning may go on
    // between a question for the counters and its answer.
    uint64_t bytes = 0;
    uint64_t accounted = 0;
    for (uint16_t i = 0; i < broker_->shard_count(); ++i) {
      ShardState& state = shard(i).state();
      const Partition& partition = *state.find(queue_);
      partition.index().for_each_live([&](Slot slot) {
        bytes += live_cost(message_at(state.log(), partition.index().position(slot))->header);
      });
      accounted += partition.live_bytes();
      const bool slots_told = partition.slot_end_told != Position{};
      ASSERT_EQ(state.log().live_bytes() + partition.apart_bytes(),
                partition.live_bytes() + (slots_told ? sizeof(SlotEnd) : 0));
    }
    ASSERT_EQ(accounted, bytes);
  }

  base::Prng prng_{GetParam()};
  QueueId queue_{};
  std::map<std::string, Plain> plain_;
};

TEST_P(RandomOperations, AgreeWithAPlainQueueThroughRestarts) {
  options_.durability = Durability::none;
  options_.shards = static_cast<uint16_t>(1 + GetParam() % 2);
  open();
  queue_ = create("q");
  uint64_t number = 0;
  const auto any_shard = [&] { return static_cast<uint16_t>(prng_.below(broker_->shard_count())); };
  const auto some_leased = [&](auto&& use) {
    // A bounded look from a random place.
    auto at = plain_.lower_bound(fmt::format("{:08}", prng_.below(number + 1)));
    for (int i = 0; i < 20 && at != plain_.end(); ++i, ++at)
      if (at->second.receives > 0) return use(at->second);
  };
  for (int op = 0; op < 12'000; ++op) {
    switch (prng_.below(12)) {
      case 0:
      case 1:
      case 2: {
        Batch batch;
        std::vector<std::pair<std::string, uint32_t>> sent;
        for (uint64_t n = prng_.between(1, 8); n > 0; --n) {
          std::string body = fmt::format("{:08}", number++) + std::string(prng_.below(2'000), '.');
          const uint32_t delay = prng_.chance(1, 5) ? static_cast<uint32_t>(prng_.below(9'000)) : 0;
          batch.add(body, delay);
          sent.emplace_back(std::move(body), delay);
        }
        ASSERT_EQ(send(queue_, batch, any_shard()).error, Errc::ok);
        for (auto& [body, delay] : sent) {
          Plain& one = plain_[body];
          one.state = delay == 0 ? Plain::State::ready : Plain::State::delayed;
          one.due = shard().now().value + delay;
        }
        break;
      }
      case 3:
      case 4:
      case 5: {
        const auto visibility = static_cast<uint32_t>(prng_.between(1, 20'000));
        const auto got =
            receive(queue_, static_cast<uint32_t>(prng_.between(1, 10)), visibility, any_shard());
        if (got.empty()) {
          ASSERT_EQ(count_plain(Plain::State::ready), 0u);
        }
        for (const Got& message : got) {
          Plain& one = plain_.at(message.body);
          ASSERT_EQ(one.state, Plain::State::ready) << message.body;
          ASSERT_EQ(message.receive_count, one.receives + 1);
          one = {Plain::State::leased, shard().now().value + visibility, message.receive_count,
                 message.receipt};
        }
        break;
      }
      case 6:
      case 7:
      case 8:
        some_leased([&](Plain& one) {
          ASSERT_EQ(ack(one.receipt, any_shard()), Errc::ok);
          one.state = Plain::State::gone;
        });
        break;
      case 9:
        some_leased([&](Plain& one) {
          const auto visibility = static_cast<uint32_t>(prng_.below(10'000));
          const Errc result = extend(one.receipt, visibility, any_shard());
          const Errc expected = one.state == Plain::State::gone ? Errc::message_gone : Errc::ok;
          ASSERT_EQ(result, expected);
          if (result != Errc::ok) return;
          one.state = visibility == 0 ? Plain::State::ready : Plain::State::leased;
          one.due = shard().now().value + visibility;
        });
        break;
      case 10:
        advance(static_cast<int64_t>(prng_.below(3'000)));
        expire_plain();
        break;
      case 11:
        if (prng_.chance(1, 40)) {
          prng_.chance(1, 2) ? crash_and_open() : stop_and_open();
          tick();
          expire_plain();
        }
        if (prng_.chance(1, 20)) compare();
        break;
    }
    if (HasFatalFailure()) {
      FAIL() << "seed " << GetParam() << ", operation " << op;
    }
  }
  compare();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomOperations, testing::Range<uint64_t>(1, 5));

}  // namespace
}  // namespace millrace::engine
