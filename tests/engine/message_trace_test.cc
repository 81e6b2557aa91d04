// The life of a message as its shard's log tells it.
#include "engine/message_trace.h"

#include <filesystem>

#include <fmt/format.h>

#include "millrace/message_id.h"
#include "storage/log_inspect.h"
#include "storage/real_disk.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Kind = TraceEvent::Kind;

class Trace : public EngineTest {
 protected:
  void SetUp() override { open(); }

  // Of the message that was sent as `slot` of a queue, with the broker running.
  std::vector<TraceEvent> trace(QueueId queue, Slot slot) {
    settle();
    MessageTrace trace({raw(queue), pack_shard_slot(ShardId{0}, slot)});
    auto disk = storage::RealDisk::open_directory(options_.data_directory, {});
    EXPECT_TRUE(disk);
    storage::InspectCallbacks callbacks;
    callbacks.on_record = [&](const storage::Record& record) { trace.on_record(record); };
    callbacks.on_mark = [&](const storage::MarkRow& row) { trace.on_mark(row.mark); };
    EXPECT_TRUE(storage::inspect_log(**disk, "shard-0", std::nullopt, callbacks));
    return trace.events();
  }
  static std::vector<Kind> kinds(const std::vector<TraceEvent>& events) {
    std::vector<Kind> kinds;
    for (const TraceEvent& event : events)
      kinds.push_back(event.kind);
    return kinds;
  }
};

TEST_F(Trace, TellsWhatBecameOfAMessageAndWhen) {
  const QueueId queue = create("orders");
  const int64_t start = environment_.wall_ms();
  send(queue, Batch().add("before").add("followed", 1'000).add("behind"));
  advance(1'000);
  auto got = receive(queue, 10, 5'000);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(extend(got[1].receipt, 7'000), Errc::ok);
  advance(100);
  EXPECT_EQ(extend(got[1].receipt, 0), Errc::ok);
  got = receive(queue, 10, 3'000);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  const auto events = trace(queue, Slot{1});
  ASSERT_EQ(kinds(events), (std::vector{Kind::sent, Kind::received, Kind::extended, Kind::extended,
                                        Kind::received, Kind::acknowledged}));
  EXPECT_EQ(events[0].at.value, start);
  EXPECT_EQ(events[0].until.value, start + 1'000);
  EXPECT_EQ(events[0].bytes, 8u);
  EXPECT_EQ(events[1].at.value, start + 1'000);
  EXPECT_EQ(events[1].until.value, start + 6'000);
  EXPECT_EQ(events[1].receive_count, 1u);
  EXPECT_EQ(events[2].until.value, start + 8'000);
  EXPECT_EQ(events[3].until.value, 0);
  EXPECT_EQ(events[4].receive_count, 2u);
  EXPECT_EQ(events[5].at.value, start + 1'100);  // an ack has the time of its batch
  EXPECT_EQ(kinds(trace(queue, Slot{0})), (std::vector{Kind::sent, Kind::received}));
  EXPECT_TRUE(trace(queue, Slot{3}).empty());
}

TEST_F(Trace, FollowsAMessageToTheDeadLetterQueueAndBeyond) {
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  send(dead, "there before");
  send(queue, "poison");
  EXPECT_EQ(receive(queue, 1, 1'000).size(), 1u);
  advance(1'000);
  EXPECT_TRUE(receive(queue, 1, 1'000).empty());
  until([&] { return shard().state().log().durable() >= shard().state().moved_through(); });
  const auto got = receive(dead, 10, 1'000);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(ack(got[1].receipt), Errc::ok);
  const auto events = trace(queue, Slot{0});
  ASSERT_EQ(kinds(events), (std::vector{Kind::sent, Kind::received, Kind::dead_lettered,
                                        Kind::received, Kind::acknowledged}));
  EXPECT_EQ(events[2].queue, dead);
  EXPECT_EQ(events[2].slot, 1u);
  EXPECT_EQ(events[3].queue, dead);
  EXPECT_EQ(events[3].receive_count, 2u);
}

TEST_F(Trace, FollowsAMessageBackFromTheDeadLetterQueueAndTheNewOneFromThere) {
  const QueueId dead = create("dead");
  const QueueId queue = create("q");
  const ReplyTo set = reply();
  shard().set_queue(
      queue,
      {.attributes = {{"RedrivePolicy", R"({"deadLetterTargetArn":"dead","maxReceiveCount":1})"}}},
      set);
  until([&] { return sink_.queue_errors.contains(set.token); });
  send(dead, Batch().add("first").add("second"));
  const ReplyTo to = reply();
  shard().start_move({.source = dead, .destination = queue}, to);
  until([&] { return counters(queue).ready == 2; });
  until([&] { return shard().state().log().durable() >= shard().state().moved_through(); });
  const auto got = receive(queue, 10, 1'000);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(ack(got[1].receipt), Errc::ok);
  const auto events = trace(dead, Slot{1});
  ASSERT_EQ(kinds(events), (std::vector{Kind::sent, Kind::moved}));
  EXPECT_EQ(events[1].queue, queue);
  EXPECT_EQ(events[1].at.value, environment_.wall_ms());
  EXPECT_EQ(kinds(trace(queue, slot_of(got[1].receipt.shard_slot))),
            (std::vector{Kind::sent, Kind::received, Kind::acknowledged}));
}

TEST_F(Trace, SaysHowItFoundAMessageWhoseBeginningsAreGone) {
  options_.segment_bytes = 64u << 10;
  options_.data_directory += "-small";
  open();
  const QueueId queue = create("slow");
  const QueueId busy = create("busy");
  send(queue, Batch().add("neighbour").add("waiting"));
  ASSERT_EQ(receive(queue, 2, 1'000).size(), 2u);
  const std::string body(1'000, 'x');
  for (int i = 0; i < 600 && shard().state().log().head() <= Position{200'000}; ++i) {
    send(busy, body);
    const auto got = receive(busy, 1, 1'000);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  }
  ASSERT_GT(shard().state().log().head(), Position{200'000});
  const auto events = trace(queue, Slot{1});
  ASSERT_EQ(kinds(events), std::vector{Kind::found});
  EXPECT_EQ(events[0].receive_count, 1u);
  EXPECT_EQ(events[0].bytes, 7u);
  EXPECT_NE(events[0].at.value, 0);
}

TEST_F(Trace, TellsOfPurgesAndOfMessagesThatWereKeptTooLong) {
  const QueueId purged = create("purged");
  const QueueId kept = create("kept", {.retention_ms = 60'000});
  send(purged, "a");
  send(kept, "b");
  const ReplyTo to = reply();
  shard().purge_queue(purged, to);
  until([&] { return sink_.queue_errors.contains(to.token); });
  advance(61'000);
  EXPECT_TRUE(receive(kept, 1, 0).empty());
  EXPECT_EQ(kinds(trace(purged, Slot{0})), (std::vector{Kind::sent, Kind::purged}));
  EXPECT_EQ(kinds(trace(kept, Slot{0})), (std::vector{Kind::sent, Kind::expired}));
}

}  // namespace
}  // namespace millrace::engine
