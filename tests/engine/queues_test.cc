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
  };
  Answer answer(ReplyTo to) {
    until([&] { return sink_.queue_errors.contains(to.token); });
    return {sink_.queue_errors[to.token], sink_.queues[to.token]};
  }
  Answer try_create(std::string_view name, const QueueAttributes& attributes = {},
                    uint16_t at = 1) {
    const ReplyTo to = reply();
    shard(at).create_queue(name, attributes, to);
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
  shard(1).create_queue("new", {.delay_ms = 1}, c);
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
  shard(1).set_queue(queue, {.visibility_timeout_ms = 1'000}, to);
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
