// The worst there is for a full disk: the smallest messages, told apart as far as they can be by
// leases, delays and acks. Whatever was done, consumers get it empty, and then sends go on.
#include <algorithm>
#include <array>
#include <vector>

#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr uint64_t kSeeds = 200;
constexpr uint64_t kFifoSeeds = 40;
constexpr int kRefusalsMax = 1'000;  // in a row, 20 turns after each

class FullDisk : public SimEngineTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void SetUp() override {
    options_.durability = rng_.chance(1, 2) ? Durability::commit : Durability::none;
    open();
    for (uint64_t i = rng_.between(1, 4); i > 0; --i)
      queues_.push_back(create(std::string(1, static_cast<char>('a' + i))));
    turns(20);
    image_.set_capacity(image_.used_bytes() + rng_.between(1, 8) * options_.segment_bytes);
  }

  QueueId any_queue() { return queues_[rng_.below(queues_.size())]; }

  Errc try_send(uint64_t count) {
    Batch batch;
    for (uint64_t i = 0; i < count && fifo_; ++i)
      batch.add_fifo(fmt::format("{}", rng_.below(100)), fmt::format("{}", ++ids_), "x");
    for (uint64_t i = 0; i < count && !fifo_; ++i)
      batch.add("x", rng_.chance(1, 8) ? static_cast<uint32_t>(rng_.below(60'000)) : 0);
    const ReplyTo to = reply();
    shard().send(batch.to(any_queue()), to);
    until([&] { return sink_.sends.contains(to.token); });
    const Errc error = sink_.sends[to.token].error;
    sink_.sends.clear();
    if (error == Errc::ok) sent_ += count;
    return error;
  }
  Errc try_receive(QueueId queue, uint32_t count, uint32_t visibility_ms) {
    const ReplyTo to = reply();
    shard().receive(
        {.queue = queue, .messages_max = count, .visibility_ms = visibility_ms, .wait_ms = 0}, to);
    until([&] { return sink_.receives.contains(to.token); });
    const RecordingSink::Receive got = std::move(sink_.receives[to.token][0]);
    sink_.receives.clear();
    for (const Got& message : got.messages)
      leased_.push_back(message.receipt);
    return got.error;
  }
  Errc try_ack(std::span<const Receipt> receipts) {
    const ReplyTo to = reply();
    shard().ack({receipts}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    const Errc error = sink_.result_errors[to.token];
    sink_.result_errors.clear();
    sink_.results.clear();
    return error;
  }
  Errc try_extend(const Receipt& receipt, uint32_t visibility_ms) {
    const ExtendEntry entry{receipt, visibility_ms};
    const ReplyTo to = reply();
    shard().extend({{&entry, 1}}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    const Errc error = sink_.result_errors[to.token];
    sink_.result_errors.clear();
    sink_.results.clear();
    return error;
  }

  void fill() {
    for (int refused = 0; refused < 3;) {
      const Errc error = try_send(rng_.chance(1, 4) ? rng_.between(1, 1'000) : rng_.between(1, 20));
      ASSERT_TRUE(error == Errc::ok || error == Errc::disk_full) << errc_text(error);
      refused += error == Errc::disk_full;
      if (rng_.chance(1, 10)) stir();
    }
  }
  // Something that takes neighbours apart.
  void stir() {
    Errc error = Errc::ok;
    switch (rng_.below(5)) {
      case 0:
        error = try_send(rng_.between(1, 10));
        break;
      case 1:
      case 2:
        error = try_receive(any_queue(), static_cast<uint32_t>(rng_.between(1, 300)),
                            static_cast<uint32_t>(rng_.below(30'000)));
        break;
      case 3: {
        // Each second one, by one record or by one each.
        std::vector<Receipt> some;
        for (size_t i = 0; i < leased_.size(); i += 2)
          some.push_back(leased_[i]);
        leased_.clear();
        const size_t step = rng_.chance(1, 2) ? kBatchMessagesMax : 1;
        for (size_t i = 0; i < some.size() && error == Errc::ok; i += step)
          error = try_ack(std::span(some).subspan(i, std::min(step, some.size() - i)));
        break;
      }
      case 4:
        for (size_t i = 0; i < leased_.size() && error == Errc::ok; i += rng_.between(1, 40))
          error = try_extend(leased_[i], static_cast<uint32_t>(rng_.below(60'000)));
        break;
    }
    ASSERT_TRUE(error == Errc::ok || error == Errc::disk_full) << errc_text(error);
    turns(static_cast<int>(rng_.below(30)));
  }
  // A consumer that takes `at_once` and acknowledges one by one.
  void drain(uint32_t at_once) {
    environment_.advance(100'000);  // all leases and delays are over
    turns(20);
    leased_.clear();
    int refused = 0;
    const auto insist = [&](auto&& ask) {
      while (ask() == Errc::disk_full) {
        ASSERT_LT(++refused, kRefusalsMax);
        // Ids hold their room until they are over.
        if (fifo_ && refused == kRefusalsMax / 2) environment_.advance(300'000);
        turns(20);
      }
      refused = 0;
    };
    for (const QueueId queue : queues_)
      for (uint64_t asked = 0; asked <= sent_; ++asked) {
        insist([&] { return try_receive(queue, at_once, 3'600'000); });
        if (HasFatalFailure() || leased_.empty()) break;
        for (const Receipt& receipt : leased_) {
          insist([&] { return try_ack({&receipt, 1}); });
          if (HasFatalFailure()) return;
        }
        leased_.clear();
      }
  }

  base::Prng rng_{GetParam()};
  std::vector<QueueId> queues_;
  std::vector<Receipt> leased_;
  uint64_t sent_ = 0;
  bool fifo_ = false;
  uint64_t ids_ = 0;
};

TEST_P(FullDisk, OfTheSmallestMessagesInAllStatesIsDrainedToEmpty) {
  for (int round = 0; round < 2 && !HasFatalFailure(); ++round) {
    fill();
    for (int i = 0; i < 60 && !HasFatalFailure(); ++i)
      stir();
    if (!HasFatalFailure())
      drain(static_cast<uint32_t>(rng_.chance(1, 4) ? 1 : rng_.between(2, 100)));
    if (HasFatalFailure()) break;
    Errc error = Errc::disk_full;
    for (int i = 0; i < 100 && error == Errc::disk_full; ++i) {
      turns(20);
      error = try_send(1);
    }
    ASSERT_EQ(error, Errc::ok);
  }
}

// Its ids keep their segments, or are told again, for five minutes, and may fill so much that
// nothing is given until then; but no longer.
class FullFifoDisk : public FullDisk {};

TEST_P(FullFifoDisk, IsDrainedToEmpty) {
  fifo_ = true;
  queues_ = {create("f.fifo", {.fifo = true})};
  for (int round = 0; round < 2 && !HasFatalFailure(); ++round) {
    fill();
    for (int i = 0; i < 60 && !HasFatalFailure(); ++i)
      stir();
    if (!HasFatalFailure()) drain(static_cast<uint32_t>(rng_.between(2, 100)));
    if (HasFatalFailure()) break;
    environment_.advance(300'000);
    Errc error = Errc::disk_full;
    for (int i = 0; i < 100 && error == Errc::disk_full; ++i) {
      turns(20);
      error = try_send(1);
    }
    ASSERT_EQ(error, Errc::ok);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FullDisk, testing::Range<uint64_t>(1, kSeeds + 1));
INSTANTIATE_TEST_SUITE_P(Seeds, FullFifoDisk, testing::Range<uint64_t>(1, kFifoSeeds + 1));

}  // namespace
}  // namespace millrace::engine
