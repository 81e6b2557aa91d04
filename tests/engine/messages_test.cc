// Sending, receiving, acknowledging and extending on one shard, and what of it survives.
#include "engine/limits.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Messages : public EngineTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(Messages, ASentMessageIsReceivedAndAckedOnce) {
  const QueueId queue = create("orders");
  const SendReply sent = send(queue, "hello");
  EXPECT_EQ(sent.error, Errc::ok);
  EXPECT_EQ(sent.durability, Durability::commit);
  EXPECT_EQ(raw(sent.first_slot), 0u);
  const auto got = receive(queue);
  ASSERT_EQ(bodies(got), Bodies{"hello"});
  EXPECT_EQ(got[0].receive_count, 1u);
  EXPECT_TRUE(receive(queue).empty());
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);  // again: gone already is success
  advance(60'000);
  EXPECT_TRUE(receive(queue).empty());
}

TEST_F(Messages, WhatWasAcknowledgedSurvivesAKill) {
  const QueueId queue = create("orders");
  send(queue, Batch().add("a").add("b").add("c"));
  const auto first = receive(queue, 1);
  ASSERT_EQ(bodies(first), Bodies{"a"});
  EXPECT_EQ(ack(first[0].receipt), Errc::ok);
  crash_and_open();
  EXPECT_EQ(bodies(receive(queue)), (Bodies{"b", "c"}));
  advance(60'000);
  const auto again = receive(queue);
  EXPECT_EQ(bodies(again), (Bodies{"b", "c"}));
  EXPECT_EQ(again[0].receive_count, 2u);
}

TEST_F(Messages, ALeaseAndItsCountSurviveAKillAndSoDoesTheReceipt) {
  const QueueId queue = create("orders");
  send(queue, "a");
  ASSERT_EQ(receive(queue, 1, 10'000).size(), 1u);
  advance(10'000);
  const auto second = receive(queue, 1, 10'000);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].receive_count, 2u);
  crash_and_open();
  tick();
  EXPECT_TRUE(receive(queue).empty());
  EXPECT_EQ(extend(second[0].receipt, 20'000), Errc::ok);
  advance(19'000);
  EXPECT_TRUE(receive(queue).empty());
  advance(1'000);
  const auto third = receive(queue);
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].receive_count, 3u);
  EXPECT_EQ(third[0].sent_at, second[0].sent_at);
}

TEST_F(Messages, AnExtensionOfZeroMakesAMessageReadyAtOnce) {
  const QueueId queue = create("orders");
  send(queue, "a");
  const auto first = receive(queue);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(extend(first[0].receipt, 0), Errc::ok);
  const auto second = receive(queue);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].receive_count, 2u);
}

TEST_F(Messages, ReceiptsOfPastLeasesAreTold) {
  const QueueId queue = create("orders");
  send(queue, "a");
  const auto first = receive(queue, 1, 1'000);
  ASSERT_EQ(first.size(), 1u);
  advance(1'000);
  // Ready again, and nobody else has it: it is hidden once more.
  EXPECT_EQ(extend(first[0].receipt, 5'000), Errc::ok);
  EXPECT_EQ(counters(queue).leased, 1u);
  EXPECT_TRUE(receive(queue, 1, 1'000).empty());
  advance(5'000);
  const auto second = receive(queue, 1, 1'000);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(extend(first[0].receipt, 5'000), Errc::receipt_expired);
  EXPECT_EQ(ack(first[0].receipt), Errc::receipt_expired);
  EXPECT_EQ(counters(queue).leased, 1u);
  advance(1'000);
  EXPECT_EQ(ack(second[0].receipt), Errc::ok);  // ready again, and gone now
  EXPECT_EQ(extend(second[0].receipt, 5'000), Errc::message_gone);
  EXPECT_EQ(counters(queue).ready, 0u);
}

TEST_F(Messages, ALeaseLastsNoLongerInAllThanItMay) {
  const QueueId queue = create("orders");
  send(queue, "a");
  constexpr uint32_t kHalfADay = 43'200'000;
  const auto first = receive(queue, 1, kHalfADay);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(extend_at_most(first[0].receipt, kHalfADay, kHalfADay),
            Errc::ok);  // no time has passed
  advance(1'000);
  EXPECT_EQ(extend_at_most(first[0].receipt, kHalfADay, kHalfADay), Errc::lease_too_long);
  EXPECT_EQ(extend_at_most(first[0].receipt, kHalfADay - 1'000, kHalfADay), Errc::ok);
  EXPECT_EQ(extend(first[0].receipt, kHalfADay), Errc::ok);
  EXPECT_EQ(extend(first[0].receipt, kLeaseMsMax), Errc::lease_too_long);
  EXPECT_EQ(extend(first[0].receipt, kLeaseMsMax - 1'000), Errc::ok);
  EXPECT_EQ(extend(first[0].receipt, kLeaseMsMax + 1), Errc::invalid_argument);
  EXPECT_EQ(extend(first[0].receipt, 0), Errc::ok);
  // Each receive begins a lease of its own.
  const auto second = receive(queue, 1, 1'000);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(extend_at_most(second[0].receipt, kHalfADay, kHalfADay), Errc::ok);
}

TEST_F(Messages, HidingAMessageAgainKeepsToTheLimitOfMessagesInFlight) {
  const QueueId queue = create("orders", {.in_flight_max = 2});
  send(queue, "a");
  send(queue, "b");
  send(queue, "c");
  const auto first = receive(queue, 2, 1'000);
  ASSERT_EQ(first.size(), 2u);
  advance(1'000);
  EXPECT_EQ(extend(first[0].receipt, 5'000), Errc::ok);
  EXPECT_EQ(extend(first[1].receipt, 5'000), Errc::ok);
  advance(5'000);
  EXPECT_EQ(receive(queue, 1, 9'000).size(), 1u);  // a
  EXPECT_EQ(extend(first[1].receipt, 5'000), Errc::ok);
  EXPECT_EQ(extend(first[0].receipt, 5'000), Errc::receipt_expired);
  EXPECT_EQ(counters(queue).leased, 2u);
  advance(5'000);
  EXPECT_EQ(receive(queue, 1, 9'000).size(), 1u);  // b
  EXPECT_EQ(counters(queue).leased, 2u);
}

TEST_F(Messages, FirstAndLastReceiveAreKnownAlsoAfterAKillAndAStop) {
  const QueueId queue = create("orders");
  send(queue, "a");
  const int64_t sent_at = shard().now().value;
  advance(1'500);
  const auto first = receive(queue, 1, 1'000);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].first_received_at.value, sent_at + 1'500);
  advance(3'000);
  const auto second = receive(queue, 1, 1'000);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].first_received_at.value, sent_at + 1'500);
  const auto look = [&] {
    const auto peeked = peek(queue);
    ASSERT_EQ(peeked.size(), 1u);
    EXPECT_EQ(peeked[0].first_received_at.value, sent_at + 1'500);
    EXPECT_EQ(peeked[0].last_received_at.value, sent_at + 4'500);
  };
  look();
  crash_and_open();
  look();
  stop_and_open();  // from a checkpoint
  look();
}

TEST_F(Messages, AForgedReceiptIsRefusedAndTheRestOfTheBatchIsDone) {
  const QueueId queue = create("orders");
  send(queue, Batch().add("a").add("b"));
  const auto got = receive(queue);
  ASSERT_EQ(got.size(), 2u);
  Receipt forged = got[0].receipt;
  ++forged.generation;
  EXPECT_EQ(ack({forged, got[1].receipt, got[1].receipt}),
            (std::vector<Errc>{Errc::receipt_invalid, Errc::ok, Errc::ok}));
  EXPECT_EQ(counters(queue).leased, 1u);
  EXPECT_EQ(counters(queue).acked, 1u);
}

TEST_F(Messages, DelaysOfTheMessageAndOfTheQueueHoldItBack) {
  const QueueId queue = create("orders", {.delay_ms = 5'000});
  send(queue, Batch().add("queue's").add("none", 0).add("own", 1'000));
  EXPECT_EQ(bodies(receive(queue, 10, 60'000)), Bodies{"none"});
  EXPECT_EQ(counters(queue).delayed, 2u);
  crash_and_open();
  advance(999);
  EXPECT_TRUE(receive(queue, 10, 60'000).empty());
  advance(1);
  EXPECT_EQ(bodies(receive(queue, 10, 60'000)), Bodies{"own"});
  advance(4'000);
  EXPECT_EQ(bodies(receive(queue, 10, 60'000)), Bodies{"queue's"});
}

TEST_F(Messages, ABadMessageRefusesTheWholeBatchAndSaysWhich) {
  const QueueId queue = create("orders", {.message_bytes_max = 1024});
  const auto refused = [&](const Batch& batch) { return send(queue, batch); };
  EXPECT_EQ(refused(Batch()).error, Errc::batch_empty);
  const SendReply large = refused(Batch().add("a").add(std::string(1025, 'x')).add("b"));
  EXPECT_EQ(large.error, Errc::message_too_large);
  EXPECT_EQ(large.bad_index, 1u);
  const SendReply late = refused(Batch().add("a", kMessageDelayMsMax + 1));
  EXPECT_EQ(late.error, Errc::invalid_argument);
  Batch cut;
  cut.add("12345678").add("12345678");
  cut.bytes().resize(cut.bytes().size() - 8);
  EXPECT_EQ(refused(cut).error, Errc::malformed);
  Batch longer;
  longer.add("12345678");
  longer.bytes().resize(longer.bytes().size() + 8);
  EXPECT_EQ(refused(longer).error, Errc::malformed);
  Batch many;
  for (uint32_t i = 0; i <= kBatchMessagesMax; ++i)
    many.add("");
  EXPECT_EQ(refused(many).error, Errc::batch_too_large);
  EXPECT_EQ(send(QueueId{999}, "a").error, Errc::queue_not_found);
  EXPECT_TRUE(peek(queue).empty());
}

TEST_F(Messages, AReceiveStopsBeforeItsBytesAreFull) {
  const QueueId queue = create("orders");
  send(queue, Batch().add(std::string(1000, 'a')).add(std::string(1000, 'b')).add("c"));
  const ReplyTo to = reply();
  shard().receive({.queue = queue, .messages_max = 10, .bytes_max = 2'032}, to);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_EQ(sink_.receives[to.token][0].messages.size(), 2u);
  const ReplyTo small = reply();
  shard().receive({.queue = queue, .messages_max = 10, .bytes_max = 1}, small);
  until([&] { return sink_.receives.contains(small.token); });
  EXPECT_EQ(bodies(sink_.receives[small.token][0].messages), Bodies{"c"});
}

// Of messages that lie next to each other nobody looks at each; of others it is found out.
TEST_F(Messages, AReceiveTakesWhatFitsThoughOthersLieBetween) {
  const QueueId queue = create("orders");
  const QueueId other = create("other");
  const std::string a(1000, 'a'), b(1000, 'b'), c(5000, 'c');
  const auto received = [&](uint32_t bytes_max) {
    const ReplyTo to = reply();
    shard().receive({.queue = queue, .messages_max = 10, .bytes_max = bytes_max}, to);
    until([&] { return sink_.receives.contains(to.token); });
    const auto got = sink_.receives[to.token][0].messages;
    for (const Got& one : got)
      EXPECT_EQ(extend(one.receipt, 0), Errc::ok);
    return bodies(got);
  };
  send(queue, a);
  for (int i = 0; i < 10; ++i)
    send(other, a);
  send(queue, b);
  EXPECT_EQ(received(3'000), (Bodies{a, b}));
  EXPECT_EQ(received(2'000), Bodies{a});
  // And of a second stretch, behind a message that is leased.
  send(queue, "leased");
  const auto leased = receive(queue, 3);
  ASSERT_EQ(leased.size(), 3u);
  EXPECT_EQ(extend(leased[0].receipt, 0), Errc::ok);
  EXPECT_EQ(extend(leased[1].receipt, 0), Errc::ok);
  send(queue, c);
  EXPECT_EQ(received(14'000), (Bodies{a, b, c}));
  EXPECT_EQ(received(7'000), (Bodies{a, b}));
}

TEST_F(Messages, ASyncedSendIsNotDeliveredBeforeItIsDurable) {
  const QueueId queue = create("orders");
  const ReplyTo to = reply();
  shard().send(Batch().add("a").to(queue), to);
  const ReplyTo early = reply();
  shard().receive({.queue = queue, .wait_ms = 0}, early);
  ASSERT_EQ(sink_.receives[early.token].size(), 1u);
  EXPECT_TRUE(sink_.receives[early.token][0].messages.empty());
  until([&] { return sink_.sends.contains(to.token); });
  EXPECT_GE(shard().state().log().durable(), sink_.sends[to.token].position);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"a"});
}

TEST_F(Messages, ASyncWaitsForRequestsAtHandButNotForLongAndNotForMany) {
  const QueueId queue = create("orders");
  const auto sync_goes = [&] { return shard().state().log().sync_in_flight(); };
  settle();
  shard().send(Batch().add("a").to(queue), reply());
  for (uint32_t i = 0; i < kTicksHeldMax; ++i) {
    shard().expect_more();
    EXPECT_TRUE(shard().tick()) << "the loop would sleep, and the sync never go";
    EXPECT_FALSE(sync_goes()) << i;
  }
  shard().expect_more();
  shard().tick();
  EXPECT_TRUE(sync_goes());

  settle();
  shard().send(Batch().add("b").to(queue), reply());
  shard().expect_more();
  shard().tick();
  EXPECT_FALSE(sync_goes());
  shard().tick();
  EXPECT_TRUE(sync_goes()) << "nothing more came";

  settle();
  for (size_t i = 0; i < kHeldAnswersMax; ++i)
    shard().send(Batch().add("c").to(queue), reply());
  shard().expect_more();
  shard().tick();
  EXPECT_TRUE(sync_goes()) << "enough answers wait";

  settle();
  const std::string large(kHeldBytesMax, 'd');
  shard().send(Batch().add(large).to(queue), reply());
  shard().expect_more();
  shard().tick();
  EXPECT_TRUE(sync_goes()) << "enough bytes wait";
}

}  // namespace
}  // namespace millrace::engine
