// The client against a real broker in this process, over TCP and over a unix socket.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "clients/cpp/blocking_client.h"
#include "millrace/engine.h"
#include "millrace/message_id.h"
#include "net/server.h"
#include "tests/support/temporary_directory.h"

namespace millrace::client {
namespace {

class LiveBroker : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(start());
    client_ = connect();
    ASSERT_NE(client_, nullptr);
  }
  void TearDown() override {
    client_.reset();
    stop();
  }
  bool start() {
    BrokerOptions options;
    options.data_directory = directory_ / "data";
    options.shards = 2;
    options.segment_bytes = 4u << 20;
    options.durability = Durability::none;
    std::string why;
    auto broker = Broker::open(options, &why);
    EXPECT_TRUE(broker) << why;
    if (!broker) return false;
    broker_ = std::move(*broker);
    net::ServerOptions server_options;
    server_options.listen = std::string(GetParam()) == "unix" ? "unix:" + directory_ / "socket"
                                                              : std::string(GetParam());
    server_options.durability = options.durability;
    server_options.pin_threads = false;
    auto server = net::Server::start(*broker_, server_options, &why);
    EXPECT_TRUE(server) << why;
    if (!server) return false;
    server_ = std::move(*server);
    return true;
  }
  void stop() {
    if (server_) server_->stop();
    server_.reset();
    if (broker_) {
      EXPECT_TRUE(broker_->stop());
    }
    broker_.reset();
  }
  std::unique_ptr<BlockingClient> connect(const std::string& name = {}) {
    std::string why;
    auto client = BlockingClient::connect(server_->address(), {.name = name}, &why);
    EXPECT_TRUE(client) << why;
    return client ? std::move(*client) : nullptr;
  }
  // All that come, in as many receives as it takes.
  std::vector<OwnedMessage> receive_all(QueueId queue, size_t wanted) {
    std::vector<OwnedMessage> all;
    for (int tries = 0; tries < 50 && all.size() < wanted; ++tries) {
      auto some = client_->receive({.queue = queue, .messages_max = 1000, .wait_ms = 1000});
      EXPECT_TRUE(some) << client_->error_text();
      if (!some) break;
      std::move(some->begin(), some->end(), std::back_inserter(all));
    }
    return all;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<BlockingClient> client_;
};

INSTANTIATE_TEST_SUITE_P(Client, LiveBroker, ::testing::Values("127.0.0.1:0", "unix"),
                         [](const auto& parameter) {
                           return std::string(parameter.param) == "unix" ? "Unix" : "Tcp";
                         });

TEST_P(LiveBroker, AMessageIsSentLeasedAndAcknowledged) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue) << client_->error_text();
  ASSERT_TRUE(client_->send(*queue, "hello"));
  const auto messages = client_->receive({.queue = *queue, .wait_ms = 5000});
  ASSERT_TRUE(messages) << client_->error_text();
  ASSERT_EQ(messages->size(), 1u);
  EXPECT_EQ(messages->front().body, "hello");
  EXPECT_EQ(messages->front().receive_count, 1u);
  const Receipt receipts[] = {messages->front().receipt};
  auto results = client_->ack(receipts);
  ASSERT_TRUE(results);
  EXPECT_EQ(*results, std::vector<Errc>{Errc::ok});
  // Again: done is done, as whoever lost the first answer wants it.
  results = client_->ack(receipts);
  ASSERT_TRUE(results);
  EXPECT_EQ(*results, std::vector<Errc>{Errc::ok});
}

TEST_P(LiveBroker, ManyPipelinedBatchesAllArriveOnce) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  Client& client = client_->async();
  constexpr uint32_t kBatches = 100;
  constexpr uint32_t kEach = 50;
  uint32_t stored = 0;
  for (uint32_t b = 0; b < kBatches; ++b) {
    MessageBatch batch;
    for (uint32_t i = 0; i < kEach; ++i)
      ASSERT_TRUE(batch.add(std::to_string(b * kEach + i)));
    ASSERT_TRUE(client.send(*queue, batch, [&](const Answer& answer) {
      ASSERT_TRUE(answer) << answer.text();
      stored += answer.sent().count;
    }));
  }
  while (client.in_flight() > 0)
    ASSERT_TRUE(client.poll(10'000));
  EXPECT_EQ(stored, kBatches * kEach);
  std::set<std::string> bodies;
  std::vector<Receipt> receipts;
  for (const OwnedMessage& message : receive_all(*queue, kBatches * kEach)) {
    bodies.insert(message.body);
    receipts.push_back(message.receipt);
  }
  EXPECT_EQ(bodies.size(), size_t{kBatches * kEach});
  EXPECT_EQ(receipts.size(), size_t{kBatches * kEach});
}

TEST_P(LiveBroker, ASubscriptionPushesWithinItsCredit) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  Client& client = client_->async();
  uint64_t pushed = 0;
  std::vector<Receipt> receipts;
  const auto subscription =
      client.subscribe({.queue = *queue, .messages_max = 10}, 25, [&](const Answer& answer) {
        ASSERT_TRUE(answer) << answer.text();
        if (answer.opcode() != wire::Opcode::deliver) return;
        EXPECT_LE(answer.messages().size(), 10u);
        for (const ReceivedMessage message : answer.messages()) {
          receipts.push_back(message.receipt);
          ++pushed;
        }
      });
  ASSERT_TRUE(subscription);
  MessageBatch batch;
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(batch.add("x"));
  ASSERT_TRUE(client.send(*queue, batch, nullptr));
  for (int turn = 0; turn < 200 && pushed < 25; ++turn)
    ASSERT_TRUE(client.poll(50));
  EXPECT_EQ(pushed, 25u);
  // No credit, no push: what is left is there for others.
  auto stats = client_->queue_stats({});
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->front().counters.ready, 15u);
  EXPECT_EQ(stats->front().counters.leased, 25u);
  EXPECT_EQ(stats->front().counters.times, nullptr);  // only with details
  const auto details = client_->queue_stats({}, true);
  ASSERT_TRUE(details && details->front().counters.times != nullptr);
  EXPECT_EQ(details->front().counters.times->wait.count(), 25u);
  EXPECT_EQ(pushed, 25u);
  ASSERT_TRUE(client.add_credit(*subscription, 100, nullptr));
  for (int turn = 0; turn < 200 && pushed < 40; ++turn)
    ASSERT_TRUE(client.poll(50));
  EXPECT_EQ(pushed, 40u);
  ASSERT_TRUE(client.unsubscribe(*subscription, nullptr));
  while (client.in_flight() > 0)
    ASSERT_TRUE(client.poll(10'000));
}

TEST_P(LiveBroker, ExtendByZeroMakesAMessageVisibleAtOnce) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  ASSERT_TRUE(client_->send(*queue, "x"));
  auto first = client_->receive({.queue = *queue, .wait_ms = 5000});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->size(), 1u);
  const ExtendEntry entries[] = {{first->front().receipt, 0}};
  ASSERT_EQ(*client_->extend(entries), std::vector<Errc>{Errc::ok});
  auto second = client_->receive({.queue = *queue, .wait_ms = 5000});
  ASSERT_TRUE(second);
  ASSERT_EQ(second->size(), 1u);
  EXPECT_EQ(second->front().receive_count, 2u);
  const Receipt past[] = {first->front().receipt};
  EXPECT_EQ(*client_->ack(past), std::vector<Errc>{Errc::receipt_expired});
}

TEST_P(LiveBroker, AWaitingReceiveCanBeCanceled) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  Client& client = client_->async();
  Errc error = Errc::ok;
  const auto request = client.receive({.queue = *queue, .wait_ms = 60'000},
                                      [&](const Answer& answer) { error = answer.error(); });
  ASSERT_TRUE(request);
  ASSERT_TRUE(client.poll(0));
  ASSERT_TRUE(client.cancel(*request, [](const Answer& answer) { EXPECT_TRUE(answer); }));
  for (int turn = 0; turn < 100 && client.in_flight() > 0; ++turn)
    ASSERT_TRUE(client.poll(50));
  EXPECT_EQ(error, Errc::canceled);
}

TEST_P(LiveBroker, PeekShowsEveryStateAndLeasesNothing) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  ASSERT_TRUE(client_->send(*queue, "leased"));
  ASSERT_EQ(receive_all(*queue, 1).size(), 1u);
  ASSERT_TRUE(client_->send(*queue, "ready"));
  MessageBatch delayed;
  ASSERT_TRUE(delayed.add("delayed", 60'000));
  ASSERT_TRUE(client_->send(*queue, delayed));
  for (int look = 0; look < 2; ++look) {
    const auto peeked = client_->peek({.queue = *queue});
    ASSERT_TRUE(peeked) << client_->error_text();
    ASSERT_EQ(peeked->size(), 3u);
    for (const OwnedPeek& one : *peeked) {
      const auto state = static_cast<MessageState>(one.item.state);
      EXPECT_EQ(one.body, state == MessageState::leased    ? "leased"
                          : state == MessageState::delayed ? "delayed"
                                                           : "ready");
      EXPECT_EQ(one.item.due_ms != 0, state != MessageState::ready);
    }
  }
}

TEST_P(LiveBroker, PeekSaysWhoHoldsALeasedMessageUntilTheLeaseEnds) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  for (const char* body : {"a", "b", "c", "d"})
    ASSERT_TRUE(client_->send(*queue, body));
  const auto holders = [&] {
    std::map<std::string, std::string> all;
    const auto peeked = client_->peek({.queue = *queue});
    EXPECT_TRUE(peeked) << client_->error_text();
    for (const OwnedPeek& one : peeked.value_or({}))
      all[one.body] = one.holder;
    return all;
  };
  const auto receive_one = [&](BlockingClient& as) {
    const auto got = as.receive({.queue = *queue, .messages_max = 1, .wait_ms = 1000});
    EXPECT_TRUE(got && got->size() == 1);
    return got && !got->empty() ? (*got)[0] : OwnedMessage{};
  };
  const std::string here = std::string(GetParam()) == "unix" ? "process " : "127.0.0.1:";
  auto worker = connect("worker");
  // Longer than a name may be, and with what is not for a terminal.
  auto other = connect("\x1b" + std::string(100, 'n'));
  ASSERT_TRUE(worker != nullptr && other != nullptr);
  const std::string first = receive_one(*worker).body;
  const OwnedMessage second = receive_one(*other);
  const std::string third = receive_one(*client_).body;
  auto seen = holders();
  EXPECT_TRUE(seen[first].starts_with(here)) << seen[first];
  EXPECT_TRUE(seen[first].ends_with(" worker")) << seen[first];
  EXPECT_EQ(seen[second.body].find('\x1b'), std::string::npos);
  EXPECT_TRUE(seen[second.body].ends_with(std::string(63, 'n'))) << seen[second.body];
  EXPECT_FALSE(seen[second.body].ends_with(std::string(64, 'n'))) << seen[second.body];
  EXPECT_TRUE(seen[third].starts_with(here)) << seen[third];
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](auto& one) { return one.second.empty(); }),
            1);
  // Whoever extends it has its receipt.
  const ExtendEntry extended{second.receipt, 60'000};
  ASSERT_TRUE(worker->extend({&extended, 1}));
  seen = holders();
  EXPECT_EQ(seen[second.body], seen[first]);
  worker.reset();
  for (int tries = 0; tries < 200 && !holders()[first].ends_with(" worker, gone"); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(holders()[first].ends_with(" worker, gone")) << holders()[first];
  client_.reset();
  stop();
  ASSERT_TRUE(start());
  client_ = connect();
  ASSERT_NE(client_, nullptr);
  EXPECT_EQ(holders()[first], "somebody before the restart");
}

std::string value_of(const std::vector<NamedText>& texts, std::string_view name) {
  for (const NamedText& text : texts)
    if (text.name == name) return text.value;
  return "(none)";
}

TEST_P(LiveBroker, QueuesAreMadeListedChangedPurgedAndDeleted) {
  const QueueSettings five{.attributes = {{"VisibilityTimeout", "5"}}, .tags = {{"team", "a"}}};
  const auto queue = client_->create_queue("orders", five);
  ASSERT_TRUE(queue);
  EXPECT_EQ(*client_->create_queue("orders", five), *queue);
  EXPECT_EQ(*client_->create_queue("orders", {}), *queue);
  EXPECT_EQ(client_->create_queue("orders", {.attributes = {{"VisibilityTimeout", "6"}}}).error(),
            Errc::queue_exists);
  EXPECT_EQ(client_->error_text(), "the queue exists with another VisibilityTimeout");
  EXPECT_EQ(client_->create_queue("bad name", {}).error(), Errc::invalid_queue_name);
  EXPECT_EQ(client_->create_queue(std::string(81, 'a'), {}).error(), Errc::invalid_queue_name);
  ASSERT_TRUE(client_->create_queue("other", {}));
  auto listed = client_->list_queues("ord");
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().name, "orders");
  EXPECT_TRUE(listed->front().attributes.empty());
  const QueueId wanted[] = {*queue};
  const auto described = [&] { return client_->queue_stats(wanted, true)->front(); };
  EXPECT_EQ(value_of(described().attributes, "VisibilityTimeout"), "5");
  EXPECT_EQ(described().tags, five.tags);
  ASSERT_TRUE(client_->set_queue(
      *queue,
      {.attributes = {{"DelaySeconds", "0.25"}}, .tags = {{"cost", "1"}}, .untagged = {"team"}}));
  EXPECT_EQ(value_of(described().attributes, "VisibilityTimeout"), "5");
  EXPECT_EQ(value_of(described().attributes, "DelaySeconds"), "0.25");
  EXPECT_EQ(described().tags, (std::vector<NamedText>{{"cost", "1"}}));
  EXPECT_GE(described().modified_at_ms, described().created_at_ms);
  EXPECT_EQ(client_->set_queue(*queue, {.attributes = {{"InFlightMax", "0"}}}).error(),
            Errc::invalid_argument);
  EXPECT_TRUE(client_->error_text().starts_with("InFlightMax is '0'; it may be 1 to 1000000000"));
  ASSERT_TRUE(client_->set_queue(*queue, {.attributes = {{"DelaySeconds", "0"}}}));
  ASSERT_TRUE(client_->send(*queue, "x"));
  ASSERT_TRUE(client_->purge_queue(*queue));
  EXPECT_EQ(client_->queue_stats(wanted)->front().counters.ready, 0u);
  ASSERT_TRUE(client_->delete_queue(*queue));
  EXPECT_EQ(client_->resolve("orders").error(), Errc::queue_not_found);
  EXPECT_EQ(client_->send(*queue, "x").error(), Errc::queue_not_found);
  EXPECT_FALSE(client_->error_text().empty());
}

TEST_P(LiveBroker, AFifoQueueKeepsOrderInAGroupAndAnswersDuplicatesWithTheOriginal) {
  const auto queue = client_->create_queue("orders.fifo", {.attributes = {{"FifoQueue", "true"}}});
  ASSERT_TRUE(queue) << client_->error_text();
  const auto add = [](MessageBatch& batch, std::string_view group, std::string_view id,
                      std::string_view body) {
    std::string properties;
    append_property(properties, PropertyTag::group, as_bytes(group));
    append_property(properties, PropertyTag::deduplication_id, as_bytes(id));
    append_property(properties, PropertyTag::attribute, "n", "Number", as_bytes(id));
    ASSERT_TRUE(batch.add(as_bytes(body), kDelayQueueDefault, as_bytes(properties)));
  };
  MessageBatch batch;
  add(batch, "a", "1", "a1");
  add(batch, "b", "2", "b1");
  add(batch, "a", "1", "a1 again");
  add(batch, "a", "3", "a2");
  std::vector<uint64_t> places;
  ASSERT_TRUE(client_->async().send(*queue, batch, [&](const Answer& answer) {
    ASSERT_TRUE(answer) << answer.text();
    for (uint32_t i = 0; i < answer.sent().count; ++i)
      places.push_back(answer.sent_shard_slot(i));
  }));
  for (int turn = 0; turn < 1000 && places.empty(); ++turn)
    ASSERT_TRUE(client_->async().poll(100));
  ASSERT_EQ(places.size(), 4u);
  EXPECT_EQ(places[2], places[0]);
  EXPECT_LT(sequence_number(places[0]), sequence_number(places[3]));
  const auto first = receive_all(*queue, 3);
  ASSERT_EQ(first.size(), 3u);
  std::vector<std::string> bodies;
  for (const OwnedMessage& message : first) {
    bodies.push_back(message.body);
    const Bytes properties = as_bytes(message.properties);
    EXPECT_EQ(as_text(*find_property(properties, PropertyTag::group)).front(), message.body[0]);
    EXPECT_TRUE(find_property(properties, PropertyTag::attribute));
  }
  std::erase(bodies, "b1");
  EXPECT_EQ(bodies, (std::vector<std::string>{"a1", "a2"}));
}

TEST_P(LiveBroker, AReceiptFromBeforeARestartStillAcknowledges) {
  const auto queue = client_->create_queue("orders", {});
  ASSERT_TRUE(queue);
  ASSERT_TRUE(client_->send(*queue, "x"));
  const auto messages = receive_all(*queue, 1);
  ASSERT_EQ(messages.size(), 1u);
  client_.reset();
  stop();
  ASSERT_TRUE(start());
  client_ = connect();
  ASSERT_NE(client_, nullptr);
  const Receipt receipts[] = {messages.front().receipt};
  EXPECT_EQ(*client_->ack(receipts), std::vector<Errc>{Errc::ok});
}

TEST_P(LiveBroker, EchoAndServerStatsAnswer) {
  EXPECT_EQ(*client_->echo("12345678"), "12345678");
  const auto shards = client_->server_stats();
  ASSERT_TRUE(shards);
  EXPECT_EQ(shards->size(), 2u);
  EXPECT_EQ(client_->async().welcome().shards, 2u);
}

}  // namespace
}  // namespace millrace::client
