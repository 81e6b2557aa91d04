// Receives that wait, and clients that go away.
#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {
namespace {

class LongPollTest : public SqsTest {
 protected:
  void SetUp() override {
    SqsTest::SetUp();
    url_ = make("jobs");
  }
  void begin_with_two_shards() {
    front_.reset();
    kill();
    image_ = sim::SimDiskImage();
    start(2);
    url_ = make("jobs");
  }
  Json poll(int seconds) {
    return {{"QueueUrl", url_}, {"WaitTimeSeconds", seconds}, {"MaxNumberOfMessages", 10}};
  }
  std::string url_;
};

TEST_P(LongPollTest, WaitsAndEndsEmpty) {
  FakeExchange exchange;
  ask("ReceiveMessage", poll(2), exchange);
  turns(5);
  pass(1'900);
  EXPECT_FALSE(exchange.answered);
  EXPECT_EQ(front_->under_way(), 1u);
  pass(200);
  turns(5);
  ASSERT_TRUE(exchange.answered);
  EXPECT_EQ(see(exchange).result, Json::object());
  EXPECT_EQ(front_->under_way(), 0u);
}

TEST_P(LongPollTest, IsAnsweredByWhatComes) {
  FakeExchange exchange;
  ask("ReceiveMessage", poll(20), exchange);
  turns(5);
  send(url_, "x");
  turns(3);
  ASSERT_TRUE(exchange.answered);
  const Json messages = see(exchange).result["Messages"];
  ASSERT_EQ(messages.size(), 1u);
  // A message that becomes visible again wakes, too.
  FakeExchange next;
  ask("ReceiveMessage", poll(20), next);
  turns(3);
  EXPECT_FALSE(next.answered);
  well("ChangeMessageVisibility", {{"QueueUrl", url_},
                                   {"ReceiptHandle", messages[0]["ReceiptHandle"]},
                                   {"VisibilityTimeout", 0}});
  turns(3);
  EXPECT_TRUE(next.answered);
}

TEST_P(LongPollTest, ZeroOverridesTheQueuesOwnWait) {
  well("SetQueueAttributes",
       {{"QueueUrl", url_}, {"Attributes", {{"ReceiveMessageWaitTimeSeconds", "20"}}}});
  FakeExchange waiting;
  ask("ReceiveMessage", {{"QueueUrl", url_}}, waiting);
  FakeExchange exchange;
  ask("ReceiveMessage", poll(0), exchange);
  turns(5);
  EXPECT_TRUE(exchange.answered);
  EXPECT_FALSE(waiting.answered);
  front_->cancel(waiting);
}

TEST_P(LongPollTest, ClientThatIsGoneTakesNoMessage) {
  FakeExchange gone;
  FakeExchange stays;
  ask("ReceiveMessage", poll(20), gone);
  ask("ReceiveMessage", poll(20), stays);
  turns(3);
  front_->cancel(gone);
  send(url_, "x");
  turns(3);
  EXPECT_FALSE(gone.answered);
  ASSERT_TRUE(stays.answered);
  EXPECT_EQ(see(stays).result["Messages"].size(), 1u);
  EXPECT_EQ(front_->under_way(), 0u);
}

TEST_P(LongPollTest, ClientThatGoesWhileItsMessageIsOnItsWayGivesItBack) {
  send(url_, "x");
  FakeExchange gone;
  ask("ReceiveMessage", poll(20), gone);
  ASSERT_FALSE(gone.answered);  // leased, and not written yet
  front_->cancel(gone);
  turns(3);
  EXPECT_FALSE(gone.answered);
  EXPECT_EQ(attribute(url_, "ApproximateNumberOfMessagesNotVisible"), "0");
  EXPECT_EQ(receive(url_).size(), 1u);
}

TEST_P(LongPollTest, StopsWaitingWhenTold) {
  FakeExchange exchange;
  ask("ReceiveMessage", poll(20), exchange);
  turns(3);
  front_->stop_waiting(exchange);
  ASSERT_TRUE(exchange.answered);
  EXPECT_EQ(see(exchange).result, Json::object());
  send(url_, "x");
  EXPECT_EQ(attribute(url_, "ApproximateNumberOfMessages"), "1");
}

TEST_P(LongPollTest, SendOfAClientThatIsGoneIsKept) {
  FakeExchange exchange;
  ask("SendMessage", {{"QueueUrl", url_}, {"MessageBody", "x"}}, exchange);
  front_->stop_waiting(exchange);
  EXPECT_FALSE(exchange.answered);
  front_->cancel(exchange);
  turns(3);
  EXPECT_FALSE(exchange.answered);
  EXPECT_EQ(receive(url_).size(), 1u);
}

TEST_P(LongPollTest, QueueThatIsDeletedEndsIt) {
  FakeExchange exchange;
  ask("ReceiveMessage", poll(20), exchange);
  turns(3);
  well("DeleteQueue", {{"QueueUrl", url_}});
  turns(3);
  ASSERT_TRUE(exchange.answered);
  EXPECT_EQ(see(exchange).error(), missing_queue());
}

TEST_P(LongPollTest, ManyWaitAndFrontGoesAway) {
  std::vector<FakeExchange> exchanges(200);
  for (FakeExchange& exchange : exchanges)
    ask("ReceiveMessage", poll(20), exchange);
  turns(2);
  EXPECT_EQ(front_->under_way(), exchanges.size());
  for (size_t i = 0; i < exchanges.size(); i += 2)
    front_->cancel(exchanges[i]);
  EXPECT_EQ(front_->under_way(), exchanges.size() / 2);
  make_front();
  send(url_, "x");
  EXPECT_EQ(receive(url_).size(), 1u);
  for (const FakeExchange& exchange : exchanges)
    EXPECT_FALSE(exchange.answered);
}

// A front on one of two shards; what it asks may live on the other.
TEST_P(LongPollTest, ShardsAreOne) {
  begin_with_two_shards();
  const std::string fifo = make_fifo("jobs.fifo");
  const std::string other = make_fifo("other.fifo");
  for (const std::string& url : {fifo, other}) {
    const Json sent = well("SendMessage", {{"QueueUrl", url},
                                           {"MessageBody", "x"},
                                           {"MessageGroupId", "g"},
                                           {"MessageDeduplicationId", "d"}});
    const Json message = receive(url, {{"WaitTimeSeconds", 1}}).at(0);
    EXPECT_EQ(message["MessageId"], sent["MessageId"]);
    well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}});
    EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
  }
  FakeExchange exchange;
  ask("ReceiveMessage", poll(20), exchange);
  turns(5);
  engine::Batch batch;
  batch.add("from the other");
  const ReplyTo to = reply();
  shard(1).send(batch.to(shard().find_queue("jobs")->id), to);
  turns(10);
  ASSERT_TRUE(exchange.answered);
  EXPECT_EQ(see(exchange).result["Messages"][0]["Body"], "from the other");
}

// Each shard has some of the queue's messages: one receive brings them all, the oldest first.
TEST_P(LongPollTest, AReceiveIsFilledFromAllShards) {
  begin_with_two_shards();
  const QueueId queue = shard().find_queue("jobs")->id;
  const auto send_to = [&](int to, const std::string& body) {
    engine::Batch batch;
    batch.add(body);
    shard(static_cast<uint16_t>(to)).send(batch.to(queue), reply());
    turns(5);
  };
  for (const int own : {0, 1}) {
    send_to(1 - own, "first");
    environment_.advance(10);
    send_to(own, "second");
    environment_.advance(10);
    send_to(1 - own, "third");
    const Json messages = receive(url_, {{"MaxNumberOfMessages", 10}});
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0]["Body"], "first");
    EXPECT_EQ(messages[1]["Body"], "second");
    EXPECT_EQ(messages[2]["Body"], "third");
    for (const Json& message : messages)
      well("DeleteMessage", {{"QueueUrl", url_}, {"ReceiptHandle", message["ReceiptHandle"]}});
    EXPECT_EQ(attribute(url_, "ApproximateNumberOfMessagesNotVisible"), "0");
  }
  // Not more than was asked for, and those it did not take are there.
  send_to(0, "own");
  send_to(1, "other");
  send_to(1, "another");
  EXPECT_EQ(receive(url_, {{"MaxNumberOfMessages", 2}}).size(), 2u);
  EXPECT_EQ(attribute(url_, "ApproximateNumberOfMessages"), "1");
  const ReplyTo stats = reply();
  shard().queue_stats({&queue, 1}, stats);
  turns(10);
  ASSERT_EQ(sink_.queues[stats.token].size(), 1u);
  EXPECT_EQ(sink_.queues[stats.token][0].counters.received, 8u);
  EXPECT_EQ(sink_.queues[stats.token][0].counters.empty_receives, 0u);
}

// The client goes while the rest is asked for: what its own shard gave is there again.
TEST_P(LongPollTest, WhatWasGivenIsGivenBackWhenTheClientGoes) {
  begin_with_two_shards();
  send(url_, "x");
  bool met = false;
  for (int after = 0; after < 12; ++after) {
    FakeExchange exchange;
    ask("ReceiveMessage",
        {{"QueueUrl", url_}, {"MaxNumberOfMessages", 10}, {"VisibilityTimeout", 600}}, exchange);
    for (int i = 0; i < after; ++i)
      shard(static_cast<uint16_t>(i % 2)).tick();
    if (exchange.answered) break;
    met = true;
    front_->cancel(exchange);
    turns(10);
    EXPECT_EQ(attribute(url_, "ApproximateNumberOfMessages"), "1") << after;
  }
  EXPECT_TRUE(met);
}

MR_BOTH_PROTOCOLS(LongPollTest);

}  // namespace
}  // namespace millrace::net::sqs
