// The bound on the disk: 4 x what is alive + 3 segments, where alive are the messages as they are,
// and not the records that cleaning might have to give them.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class DiskBound : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    options_.segment_bytes = 64u << 10;
    open();
    held_ = create("held");
    busy_ = create("busy");
  }
  static Batch batch(uint32_t messages, size_t body_bytes) {
    Batch batch;
    for (uint32_t i = 0; i < messages; ++i)
      batch.add(std::string(body_bytes, 'x'), 0);
    return batch;
  }
  // 8 segments of messages that come and go.
  void traffic() {
    for (int i = 0; i < 40; ++i) {
      send(busy_, batch(100, 100));
      std::vector<Receipt> receipts;
      for (const Got& got : receive(busy_, 100, 60'000))
        receipts.push_back(got.receipt);
      ack(receipts);
      tick();
    }
  }
  uint64_t own_bytes() { return counters(held_).bytes + counters(busy_).bytes; }
  // Freed files are given back once a durable mark names the new head: a moment later.
  void expect_within_bound() {
    const uint64_t bound = 4 * own_bytes() + 3 * options_.segment_bytes;
    until([&] {
      environment_.advance(20);
      return shard().state().log().bytes_on_disk() <= bound;
    });
  }

  QueueId held_{};
  QueueId busy_{};
};

TEST_F(DiskBound, IsOnTheBytesOfTheMessagesThatBatchesHold) {
  for (int round = 0; round < 12; ++round) {
    send(held_, batch(100, 128));
    send(held_, batch(100, 128));
    traffic();
    expect_within_bound();
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  EXPECT_EQ(own_bytes(), 2400u * (16 + 128));
}

// Each needs a record of its own once carried, of 80 bytes for 24: cleaning must find its end.
TEST_F(DiskBound, HoldsForSmallMessagesTakenApartAndCleaningComesToRest) {
  for (int round = 0; round < 12; ++round) {
    send(held_, batch(400, 8));
    std::vector<Receipt> receipts;
    const std::vector<Got> got = receive(held_, 400, kVisibilityMsMax);
    for (size_t i = 0; i < got.size(); i += 2)
      receipts.push_back(got[i].receipt);
    ack(receipts);
    traffic();
    expect_within_bound();
    ASSERT_FALSE(HasFailure()) << "round " << round;
    const storage::Log& log = shard().state().log();
    uint64_t written = 0;
    until([&] {
      const uint64_t before = std::exchange(written, log.bytes_written());
      for (int i = 0; i < 20; ++i)
        advance(20);
      return before == log.bytes_written();
    });
  }
  EXPECT_EQ(counters(held_).leased, 2400u);
}

}  // namespace
}  // namespace millrace::engine
