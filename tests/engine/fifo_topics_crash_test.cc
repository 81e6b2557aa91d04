// FIFO topics through kills and power failures: a publisher that tries again what was not answered
// finds each message once in each FIFO queue, in its order; numbers of what is answered rise.
#include <algorithm>
#include <string>
#include <vector>

#include "millrace/message_id.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class FifoTopicsUnderCrashes : public SimEngineTest, public testing::WithParamInterface<int> {
 protected:
  static constexpr int kPublishers = 2;
  static constexpr int kQueues = 4;  // they live on both shards

  void SetUp() override {
    options_.shards = 2;
    options_.durability = Durability::commit;
    prng_ = base::Prng(static_cast<uint64_t>(GetParam()));
    open();
    topic_ = ask([&](ReplyTo to) {
               topics().create("events.fifo", {.attributes = {{"FifoTopic", "true"}}}, to);
             })
                 .topics.at(0)
                 .id;
    QueueAttributes fifo;
    fifo.fifo = true;
    for (int i = 0; i < kQueues; ++i)
      queues_.push_back(create(fmt::format("q{}.fifo", i), fifo));
    standard_ = create("standard");
  }

  // The next message of a publisher, to all queues, on either shard.
  void publish(int publisher) {
    const int number = answered_[publisher] + 1;
    const std::string body = fmt::format("{}-{}", publisher, number);
    const std::string group = fmt::format("g{}", publisher);
    Batch batch;
    batch.add_fifo(group, body, body).add(body, 0);
    const std::vector<OrderedForm> forms{{0, 0, 0}, {0, 0, 0}};
    std::vector<PublishCopy> copies{{standard_, {}, 0b10, {}}};
    for (const QueueId queue : queues_)
      copies.push_back({queue, {}, 0b01, {}});
    const std::vector<std::string_view> ids{body};
    const ReplyTo to = reply();
    open_[publisher] = to.token;
    shard(static_cast<uint16_t>(prng_.below(2)))
        .publish_ordered({{topic_, 2, batch.bytes(), {}, copies}, forms, ids}, to);
  }
  void take_answers() {
    for (int p = 0; p < kPublishers; ++p) {
      if (open_[p] == 0 || !sink_.sends.contains(open_[p])) continue;
      const uint64_t token = std::exchange(open_[p], 0);
      if (sink_.sends[token].error != Errc::ok) continue;
      ++answered_[p];
      const uint64_t number = sequence_number(sink_.sent_at[token].at(0));
      if (fresh_[p]) {
        EXPECT_GT(number, last_[p]);
      }
      fresh_[p] = true;
      last_[p] = std::max(last_[p], number);
    }
  }
  std::vector<std::string> take_all(QueueId queue) {
    std::vector<std::string> all;
    for (int i = 0; i < 2'000; ++i) {
      const auto got = try_receive(queue, 600'000);
      if (got.empty()) break;
      for (const Got& one : got) {
        all.push_back(one.body);
        ack(one.receipt);
      }
    }
    return all;
  }

  TopicId topic_{};
  std::vector<QueueId> queues_;
  QueueId standard_{};
  int answered_[kPublishers] = {};
  uint64_t open_[kPublishers] = {};
  uint64_t last_[kPublishers] = {};
  bool fresh_[kPublishers] = {true, true};
};

TEST_P(FifoTopicsUnderCrashes, EachMessageIsOnceInEachQueueInItsOrder) {
  for (int life = 0; life < 6; ++life) {
    const auto length = static_cast<int>(prng_.between(5, 400));
    for (int turn = 0; turn < length; ++turn) {
      for (int p = 0; p < kPublishers; ++p)
        if (open_[p] == 0) publish(p);
      turns(1);
      take_answers();
    }
    // Whose answer is lost may have its number already.
    for (int p = 0; p < kPublishers; ++p) {
      fresh_[p] = fresh_[p] && open_[p] == 0;
      open_[p] = 0;
    }
    if (prng_.chance(1, 4)) {
      ASSERT_TRUE(broker_->stop());
      environment_.forget_disks();
      broker_.reset();
    } else {
      if (prng_.chance(2, 3))
        image_.crash(prng_);
      else
        image_.kill();
      environment_.forget_disks();
      broker_.reset();
    }
    open();
  }
  turns(100);
  for (const QueueId queue : queues_) {
    std::vector<int> seen(kPublishers, 0);
    for (const std::string& body : take_all(queue)) {
      int publisher = 0;
      int number = 0;
      ASSERT_EQ(std::sscanf(body.c_str(), "%d-%d", &publisher, &number), 2);
      EXPECT_EQ(number, seen[static_cast<size_t>(publisher)] + 1) << body;
      seen[static_cast<size_t>(publisher)] = number;
    }
    for (int p = 0; p < kPublishers; ++p) {
      EXPECT_GE(seen[static_cast<size_t>(p)], answered_[p]);
      EXPECT_LE(seen[static_cast<size_t>(p)], answered_[p] + 1);
    }
  }
  std::set<std::string> standard;
  for (const std::string& body : take_all(standard_))
    standard.insert(body);
  for (int p = 0; p < kPublishers; ++p)
    for (int number = 1; number <= answered_[p]; ++number)
      EXPECT_TRUE(standard.contains(fmt::format("{}-{}", p, number)));
  EXPECT_GT(answered_[0] + answered_[1], 20);
}
INSTANTIATE_TEST_SUITE_P(Seeds, FifoTopicsUnderCrashes, testing::Range(1, 41));

}  // namespace
}  // namespace millrace::engine
