// Queue administration: what is created, changed, purged and deleted, on every shard and after a
// restart.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Queues : public EngineTest {
 protected:
  void SetUp() override {
    options_.shards = 2;
    open();
  }
  struct Answer {
    Errc error;
    std::vector<QueueInfo> queues;
    std::string detail;
  };
  Answer answer(ReplyTo to) {
    until([&] { return sink_.queue_errors.contains(to.token); });
    return {sink_.queue_errors[to.token], sink_.queues[to.token], sink_.queue_details[to.token]};
  }
  Answer ask_for(std::string_view name, const QueueSettings& settings, uint16_t at = 1) {
    const ReplyTo to = reply();
    shard(at).create_queue(name, settings, to);
    return answer(to);
  }
  Answer set(QueueId queue, const QueueSettings& settings) {
    const ReplyTo to = reply();
    shard(1).set_queue(queue, settings, to);
    return answer(to);
  }
  Answer try_create(std::string_view name, const QueueAttributes& attributes = {},
                    uint16_t at = 1) {
    const ReplyTo to = reply();
    shard(at).create_queue(name, settings_of(attributes), to);
    return answer(to);
  }
  Errc remove(QueueId queue, uint16_t at = 1) {
    const ReplyTo to = reply();
    shard(at).delete_queue(queue, to);
    return answer(to).error;
  }
  Errc purge(QueueId queue, uint16_t at = 1) {
    const ReplyTo to = reply();
    shard(at).purge_queue(queue, to);
    return answer(to).error;
  }
};

TEST_F(Queues, AQueueIsKnownToEveryShardOnceItIsAnswered) {
  const Answer created = try_create("orders", {.delay_ms = 7});
  ASSERT_EQ(created.error, Errc::ok);
  ASSERT_EQ(created.queues.size(), 1u);
  for (uint16_t i = 0; i < 2; ++i) {
    const QueueInfo* info = shard(i).find_queue("orders");
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->id, created.queues[0].id);
    EXPECT_EQ(info->attributes.delay_ms, 7u);
    EXPECT_EQ(shard(i).find_queue(info->id), info);
  }
  crash_and_open();
  ASSERT_NE(shard(1).find_queue("orders"), nullptr);
  EXPECT_EQ(shard(1).find_queue("orders")->id, created.queues[0].id);
}

TEST_F(Queues, CreatingItAgainGivesTheSameUnlessAttributesDiffer) {
  const Answer first = try_create("orders");
  EXPECT_EQ(try_create("orders", {}, 0).queues.at(0).id, first.queues.at(0).id);
  EXPECT_EQ(try_create("orders", {.delay_ms = 1}).error, Errc::queue_exists);
  // Two at once, before either shard knows.
  const ReplyTo a = reply();
  const ReplyTo b = reply();
  const ReplyTo c = reply();
  shard(0).create_queue("new", {}, a);
  shard(1).create_queue("new", {}, b);
  shard(1).create_queue("new", {.attributes = {{"DelaySeconds", "1"}}}, c);
  const Answer at_a = answer(a);
  const Answer at_b = answer(b);
  ASSERT_EQ(at_a.error, Errc::ok);
  ASSERT_EQ(at_b.error, Errc::ok);
  EXPECT_EQ(at_a.queues.at(0).id, at_b.queues.at(0).id);
  EXPECT_EQ(answer(c).error, Errc::queue_exists);
}

TEST_F(Queues, NamesAndAttributesOutOfBoundsAreRefused) {
  for (const std::string& name : {std::string(), std::string(81, 'a'), std::string("a/b"),
                                  std::string("../x"), std::string("a\n"), std::string("ä")})
    EXPECT_EQ(try_create(name).error, Errc::invalid_queue_name) << name;
  EXPECT_EQ(try_create(std::string(80, 'a')).error, Errc::ok);
  const QueueAttributes bad[] = {{.visibility_timeout_ms = kVisibilityMsMax + 1},
                                 {.delay_ms = kDelayMsMax + 1},
                                 {.message_bytes_max = 1023},
                                 {.message_bytes_max = kMessageBytesMax + 1},
                                 {.receive_wait_ms = 20'001},
                                 {.durability = static_cast<Durability>(3)}};
  for (const QueueAttributes& attributes : bad)
    EXPECT_EQ(try_create("q", attributes).error, Errc::invalid_argument) << &attributes - bad;
}

TEST_F(Queues, NewAttributesHoldFromThenOnAndAfterARestart) {
  const QueueId queue = create("orders");
  const ReplyTo to = reply();
  shard(1).set_queue(queue, {.attributes = {{"VisibilityTimeout", "1"}}}, to);
  ASSERT_EQ(answer(to).error, Errc::ok);
  send(queue, "a");
  ASSERT_EQ(receive(queue).size(), 1u);
  advance(1'000);
  EXPECT_EQ(receive(queue).size(), 1u);
  crash_and_open();
  EXPECT_EQ(shard(1).find_queue(queue)->attributes.visibility_timeout_ms, 1'000u);
  const ReplyTo unknown = reply();
  shard(1).set_queue(QueueId{99}, {}, unknown);
  EXPECT_EQ(answer(unknown).error, Errc::queue_not_found);
}

TEST_F(Queues, OnlyTheAttributesGivenAreComparedWhenAQueueIsAskedForAgain) {
  const Answer made =
      ask_for("orders", {.attributes = {{"DelaySeconds", "7"}}, .tags = {{"team", "a"}}});
  ASSERT_EQ(made.error, Errc::ok);
  const QueueId queue = made.queues.at(0).id;
  ASSERT_EQ(set(queue, {.attributes = {{"InFlightMax", "9"}}}).error, Errc::ok);
  for (const QueueSettings& same :
       {QueueSettings{}, QueueSettings{.attributes = {{"DelaySeconds", "7.0"}}},
        QueueSettings{.attributes = {{"InFlightMax", "9"}}, .tags = {{"team", "b"}}}}) {
    for (uint16_t at = 0; at < 2; ++at) {
      const Answer again = ask_for("orders", same, at);
      ASSERT_EQ(again.error, Errc::ok) << again.detail;
      EXPECT_EQ(again.queues.at(0).id, queue);
      EXPECT_EQ(again.queues.at(0).attributes.tags, (std::vector<NamedText>{{"team", "a"}}));
    }
  }
  const Answer other =
      ask_for("orders", {.attributes = {{"DelaySeconds", "7"}, {"InFlightMax", "10"}}});
  EXPECT_EQ(other.error, Errc::queue_exists);
  EXPECT_EQ(other.detail, "the queue exists with another InFlightMax");
  const Answer bad = ask_for("orders", {.attributes = {{"InFlightMax", "0"}}});
  EXPECT_EQ(bad.error, Errc::invalid_argument);
  EXPECT_EQ(bad.detail, "InFlightMax is '0'; it may be 1 to 1000000000");
}

TEST_F(Queues, WhatIsNotSetStaysAndAllOfItSurvivesARestart) {
  create("failed");
  const QueueId queue = create("orders", {.delay_ms = 7, .tags = {{"cost", "1"}, {"team", "a"}}});
  advance(10);
  ASSERT_EQ(set(queue, {.attributes = {{"MessageRetentionPeriod", "60"},
                                       {"RedrivePolicy", R"({"deadLetterTargetArn":"failed",)"
                                                         R"("maxReceiveCount":3})"}}})
                .error,
            Errc::ok);
  const int64_t modified = shard().now().value;
  advance(10);
  ASSERT_EQ(set(queue, {.tags = {{"team", "b"}}, .untagged = {"cost"}}).error, Errc::ok);
  const Answer bad =
      set(queue, {.attributes = {{"InFlightMax", "5"}, {"MaximumMessageSize", "1023"}}});
  EXPECT_EQ(bad.error, Errc::invalid_argument);
  EXPECT_EQ(bad.detail, "MaximumMessageSize is '1023'; it may be 1024 to 1048576");
  crash_and_open();
  const QueueInfo& found = *shard(1).find_queue(queue);
  EXPECT_EQ(found.attributes, (QueueAttributes{.delay_ms = 7,
                                               .retention_ms = 60'000,
                                               .dead_letter_queue = "failed",
                                               .receives_max = 3,
                                               .tags = {{"team", "b"}}}));
  EXPECT_EQ(found.modified_at_ms, modified);
  EXPECT_EQ(found.created_at_ms, modified - 10);
}

TEST_F(Queues, ADeadLetterQueueExistsIsOfTheSameTypeAndAllowsIt) {
  const auto policy = [](std::string_view name) {
    return QueueSettings{
        .attributes = {{"RedrivePolicy", R"({"deadLetterTargetArn":")" + std::string(name) +
                                             R"(","maxReceiveCount":3})"}}};
  };
  const auto refused = [&](std::string_view target) {
    const Answer made = ask_for("orders", policy(target));
    EXPECT_EQ(made.error, Errc::invalid_argument);
    return made.detail;
  };
  EXPECT_EQ(refused("nobody"), "RedrivePolicy names 'nobody'; there is no such queue");
  create("ordered.fifo", {.fifo = true});
  EXPECT_EQ(refused("ordered.fifo"),
            "RedrivePolicy names 'ordered.fifo'; it may name a standard queue");
  const QueueId failed = create("failed", {.redrive_permission = RedrivePermission::deny_all});
  EXPECT_EQ(refused("failed"),
            "RedrivePolicy names 'failed'; its RedriveAllowPolicy does not allow 'orders'");
  const auto allow = [&](std::string_view source) {
    return set(failed, {.attributes = {{"RedriveAllowPolicy",
                                        R"({"redrivePermission":"byQueue","sourceQueueArns":[")" +
                                            std::string(source) + R"("]})"}}})
        .error;
  };
  ASSERT_EQ(allow("others"), Errc::ok);
  EXPECT_EQ(refused("failed"),
            "RedrivePolicy names 'failed'; its RedriveAllowPolicy does not allow 'orders'");
  ASSERT_EQ(allow("orders"), Errc::ok);
  const Answer made = ask_for("orders", policy("failed"));
  ASSERT_EQ(made.error, Errc::ok) << made.detail;
  // Looked at when it is set, not later; and a queue may name itself.
  ASSERT_EQ(allow("others"), Errc::ok);
  const QueueId orders = made.queues.at(0).id;
  EXPECT_EQ(set(orders, {.attributes = {{"DelaySeconds", "1"}}}).error, Errc::ok);
  EXPECT_EQ(set(orders, policy("failed")).error, Errc::invalid_argument);
  EXPECT_EQ(set(orders, policy("orders")).error, Errc::ok);
}

TEST_F(Queues, PartitionsAreBoundedByWhatAQueueCanLiveOn) {
  EXPECT_EQ(ask_for("a.fifo", {.attributes = {{"FifoQueue", "true"}, {"Partitions", "2"}}}).detail,
            "Partitions is 2; it may be more than 1 only when FifoThroughputLimit is "
            "perMessageGroupId");
  QueueSettings spread{.attributes = {{"FifoQueue", "true"},
                                      {"DeduplicationScope", "messageGroup"},
                                      {"FifoThroughputLimit", "perMessageGroupId"},
                                      {"Partitions", "3"}}};
  EXPECT_EQ(ask_for("a.fifo", spread).detail,
            "Partitions is 3; it may be 1 to 2, the shards there are");
  spread.attributes.back().value = "1";
  EXPECT_EQ(ask_for("a.fifo", spread).queues.at(0).attributes.partitions, 1);
  spread.attributes.pop_back();
  EXPECT_EQ(ask_for("b.fifo", spread).queues.at(0).attributes.partitions, 2);
}

TEST_F(Queues, ADeletedQueueIsGoneAndItsNameGetsANewId) {
  const QueueId old = create("orders");
  send(old, "a", 0);
  send(old, "b", 1);
  const auto got = receive(old, 1);
  ASSERT_EQ(got.size(), 1u);
  ASSERT_EQ(remove(old), Errc::ok);
  EXPECT_EQ(remove(old), Errc::queue_not_found);
  EXPECT_EQ(shard(0).find_queue("orders"), nullptr);
  EXPECT_EQ(send(old, "c").error, Errc::queue_not_found);
  EXPECT_EQ(ack(got[0].receipt), Errc::queue_not_found);
  const QueueId fresh = create("orders");
  EXPECT_NE(fresh, old);
  EXPECT_TRUE(receive(fresh).empty());
  for (uint16_t i = 0; i < 2; ++i)
    EXPECT_EQ(shard(i).state().log().live_bytes(), 0u);
  crash_and_open();
  EXPECT_TRUE(receive(fresh).empty());
  EXPECT_EQ(shard(0).find_queue("orders")->id, fresh);
  ASSERT_EQ(remove(fresh), Errc::ok);
  crash_and_open();
  EXPECT_GT(raw(create("orders")), raw(fresh));
}

TEST_F(Queues, APurgeTakesAllThatWasThereAndNothingSentAfter) {
  const QueueId queue = create("orders");
  send(queue, Batch().add("ready").add("leased").add("delayed", 60'000), 0);
  send(queue, "other shard", 1);
  const auto leased = receive(queue, 1);
  ASSERT_EQ(leased.size(), 1u);
  ASSERT_EQ(purge(queue), Errc::ok);
  const QueueCounters none = counters(queue);
  EXPECT_EQ(none.ready + none.leased + none.delayed + none.bytes, 0u);
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);
  send(queue, "after", 1);
  crash_and_open();
  advance(120'000);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"after"});
  EXPECT_EQ(purge(QueueId{99}), Errc::queue_not_found);
}

TEST_F(Queues, ListsAreByNameAndPaged) {
  for (const char* name : {"b", "a-2", "a-1", "a-3"})
    create(name);
  const auto names = [&](std::string_view prefix, std::string_view after, uint32_t max) {
    const ReplyTo to = reply();
    shard(1).list_queues(prefix, after, max, to);
    Bodies all;
    for (const QueueInfo& queue : answer(to).queues)
      all.push_back(queue.name);
    return all;
  };
  EXPECT_EQ(names("", "", 10), (Bodies{"a-1", "a-2", "a-3", "b"}));
  EXPECT_EQ(names("a-", "", 2), (Bodies{"a-1", "a-2"}));
  EXPECT_EQ(names("a-", "a-2", 2), Bodies{"a-3"});
  EXPECT_EQ(names("a-", "b", 2), Bodies{});
  EXPECT_EQ(names("c", "", 2), Bodies{});
}

TEST_F(Queues, CountersOfAllShardsAreSummed) {
  const QueueId queue = create("orders");
  send(queue, Batch().add("a").add("b").add("c", 9'000), 0);
  advance(5);
  send(queue, Batch().add("d").add("e"), 1);
  ASSERT_EQ(receive(queue, 1, kDelayQueueDefault, 1).size(), 1u);
  const QueueCounters all = counters(queue);
  EXPECT_EQ(all.sent, 5u);
  EXPECT_EQ(all.received, 1u);
  EXPECT_EQ(all.ready, 3u);
  EXPECT_EQ(all.leased, 1u);
  EXPECT_EQ(all.delayed, 1u);
  EXPECT_EQ(all.oldest_sent_at_ms, shard(0).now().value - 5);
  // Strides of 24, and each of the two records' headers.
  EXPECT_EQ(all.bytes, 5 * 24u);
}

TEST_F(Queues, AQueueMayAskForMoreDurabilityThanTheServer) {
  options_.durability = Durability::none;
  stop_and_open();
  const QueueId quick = create("quick");
  const QueueId safe = create("safe", {.durability = Durability::commit});
  EXPECT_EQ(send(quick, "a").durability, Durability::none);
  const SendReply sent = send(safe, "a");
  EXPECT_EQ(sent.durability, Durability::commit);
  EXPECT_GE(shard().state().log().durable(), sent.position);
}

TEST_F(Queues, FiguresAskedForInPiecesAreCountedInTurnsOfTheirOwn) {
  const QueueId queue = try_create("orders").queues[0].id;
  std::vector<ReplyTo> asked;
  for (int i = 0; i < 3; ++i) {
    asked.push_back(reply());
    shard(0).queue_stats({&queue, 1}, asked.back());
  }
  // Counted, and told in the turn after.
  tick();
  tick();
  EXPECT_FALSE(sink_.queue_errors.contains(asked.back().token));
  for (const ReplyTo& to : asked)
    EXPECT_EQ(answer(to).error, Errc::ok);
}

TEST_F(Queues, MoreShardsMayBeAskedForLaterButNotFewer) {
  const QueueId queue = create("orders");
  send(queue, "a", 1);
  options_.shards = 1;
  stop_and_open();
  EXPECT_EQ(broker_->shard_count(), 2);
  options_.shards = 3;
  stop_and_open();
  EXPECT_EQ(broker_->shard_count(), 3);
  EXPECT_EQ(bodies(receive(queue, 10, kDelayQueueDefault, 2)), Bodies{"a"});
}

TEST_F(Queues, AMissingShardDirectoryStopsTheStart) {
  create("orders");
  settle();
  ASSERT_TRUE(broker_->stop());
  broker_.reset();
  std::filesystem::remove_all(directory_ / "shard-1");
  std::string message;
  const auto broker = BrokerOnDisk::open_directory(options_, environment_, &message);
  EXPECT_EQ(broker.error(), Errc::damaged);
  EXPECT_EQ(message, "shard-1 is missing from the data directory");
}

TEST_F(Queues, ADirectoryInUseIsRefused) {
  std::string message;
  const auto second = BrokerOnDisk::open_directory(options_, environment_, &message);
  EXPECT_EQ(second.error(), Errc::locked);
  EXPECT_NE(message.find("locked"), std::string::npos);
}

}  // namespace
}  // namespace millrace::engine
