// A broker with its own threads, used by blocking calls from several.
#include "millrace/local_client.h"

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace millrace {
namespace {

class LocalClientTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string message;
    auto broker = Broker::open({.data_directory = directory_.path(),
                                .shards = 2,
                                .durability = Durability::none,
                                .segment_bytes = 4u << 20},
                               &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(*broker);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Broker> broker_;
};

TEST_F(LocalClientTest, EachCallGivesWhatTheShardAnswers) {
  LocalClient client(*broker_);
  EXPECT_EQ(client.find_queue("orders").error(), Errc::shutting_down);  // no threads yet
  ASSERT_TRUE(broker_->start_threads());
  EXPECT_EQ(client.find_queue("orders").error(), Errc::queue_not_found);
  const auto queue = client.create_queue("orders");
  ASSERT_TRUE(queue);
  EXPECT_EQ(client.find_queue("orders")->id, queue->id);
  EXPECT_TRUE(client.set_queue(queue->id, {.attributes = {{"VisibilityTimeout", "60"}}}));
  const LocalClient::OutMessage batch[] = {{"one"}, {"two"}};
  ASSERT_TRUE(client.send_batch(queue->id, batch));
  ASSERT_TRUE(client.send(queue->id, ""));
  std::vector<LocalClient::Message> got;
  while (got.size() < 3) {
    const auto more = client.receive(queue->id, {.messages_max = 10});
    ASSERT_TRUE(more);
    ASSERT_FALSE(more->empty());
    got.insert(got.end(), more->begin(), more->end());
  }
  EXPECT_EQ(client.counters(queue->id)->leased, 3u);
  EXPECT_TRUE(client.extend(got[0].receipt, 5'000));
  EXPECT_TRUE(client.ack(got[0].receipt));
  const Receipt rest[] = {got[1].receipt, Receipt{}};
  EXPECT_EQ(*client.ack(rest), (std::vector<Errc>{Errc::ok, Errc::receipt_invalid}));
  EXPECT_TRUE(client.purge_queue(queue->id));
  EXPECT_EQ(client.counters(queue->id)->leased, 0u);
  EXPECT_TRUE(client.delete_queue(queue->id));
  EXPECT_EQ(client.send(queue->id, "x").error(), Errc::queue_not_found);
  EXPECT_TRUE(broker_->stop());
  EXPECT_EQ(client.send(queue->id, "x").error(), Errc::shutting_down);
}

TEST_F(LocalClientTest, ManyThreadsSendAndReceiveEveryMessageOnce) {
  ASSERT_TRUE(broker_->start_threads());
  LocalClient client(*broker_);
  const QueueId queue = client.create_queue("orders")->id;
  constexpr int kSenders = 3;
  constexpr int kEach = 200;
  std::mutex mutex;
  std::set<std::string> seen;
  size_t duplicates = 0;
  std::vector<std::thread> threads;
  for (int s = 0; s < kSenders; ++s)
    threads.emplace_back([&, s] {
      for (int i = 0; i < kEach; ++i)
        EXPECT_TRUE(client.send(queue, std::to_string(s) + "-" + std::to_string(i)));
    });
  for (int r = 0; r < 3; ++r)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 2'000; ++turn) {
        const auto got =
            client.receive(queue, {.messages_max = 10, .visibility_ms = 600'000, .wait_ms = 50});
        ASSERT_TRUE(got);
        for (const auto& message : *got)
          EXPECT_TRUE(client.ack(message.receipt));
        const std::lock_guard lock(mutex);
        for (const auto& message : *got)
          duplicates += !seen.insert(message.body).second;
        if (seen.size() == kSenders * kEach) return;
      }
    });
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(seen.size(), size_t{kSenders * kEach});
  EXPECT_EQ(duplicates, 0u);
  EXPECT_EQ(client.counters(queue)->acked, uint64_t{kSenders * kEach});
}

TEST_F(LocalClientTest, StoppingEndsAWaitingReceive) {
  ASSERT_TRUE(broker_->start_threads());
  LocalClient client(*broker_);
  const QueueId queue = client.create_queue("orders")->id;
  std::thread waiter(
      [&] { EXPECT_EQ(client.receive(queue, {.wait_ms = 600'000}).error(), Errc::shutting_down); });
  EXPECT_TRUE(broker_->stop());
  waiter.join();
}

TEST_F(LocalClientTest, StoppingEndsCallsThatSeveralShardsAnswer) {
  ASSERT_TRUE(broker_->start_threads());
  LocalClient client(*broker_);
  const QueueId queue = client.create_queue("orders")->id;
  constexpr int kCallsMax = 20'000;
  std::atomic<int> calls{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      const std::string name = "queue-" + std::to_string(caller) + "-";
      Errc last = Errc::ok;
      for (int i = 0; i < kCallsMax && last == Errc::ok; ++i, ++calls)
        last = caller % 2 == 0 ? client.create_queue(name + std::to_string(i)).error()
                               : client.purge_queue(queue).error();
      EXPECT_EQ(last, Errc::shutting_down);
    });
  while (calls < 40)
    std::this_thread::yield();
  EXPECT_TRUE(broker_->stop());
  for (std::thread& caller : callers)
    caller.join();
}

}  // namespace
}  // namespace millrace
