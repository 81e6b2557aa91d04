// What people had to say of a queue before this one, each as a test by its name.
#include <map>

#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Complaints : public EngineTest {};

TEST_F(Complaints, AMessageDoesNotDisappearAfterThirtySeconds) {
  options_.durability = Durability::commit;
  open();
  const QueueId queue = create("q");
  send(queue, "never asked for");
  advance(31'000);
  auto got = receive(queue);
  ASSERT_EQ(bodies(got), Bodies{"never asked for"});
  // Its consumer says nothing more: hidden for 30 s, then back, and so on.
  for (uint32_t receives = 2; receives < 6; ++receives) {
    advance(29'000);
    EXPECT_TRUE(receive(queue).empty());
    if (receives % 2 == 0) crash_and_open();
    advance(1'000);
    got = receive(queue);
    ASSERT_EQ(bodies(got), Bodies{"never asked for"});
    EXPECT_EQ(got[0].receive_count, receives);
  }
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_EQ(counters(queue).leased, 0u);
}

TEST_F(Complaints, AMessageIsNotProcessedThreeOrFourTimes) {
  options_.shards = 4;
  open();
  const QueueId queue = create("q");
  constexpr int kMessages = 200;
  for (int i = 0; i < kMessages; ++i)
    send(queue, fmt::format("{}", i), static_cast<uint16_t>(i % 4));
  // Consumers everywhere, and a process that dies under them: while a lease lasts nobody else gets
  // the message, and who acknowledged it never sees it again.
  std::map<std::string, int> processed;
  for (int round = 0; round < 100; ++round) {
    for (uint16_t at = 0; at < 4; ++at)
      for (const Got& one : receive(queue, 3, 3'600'000, at)) {
        ++processed[one.body];
        if (round % 3 != 0) continue;
        EXPECT_EQ(ack(one.receipt, static_cast<uint16_t>(3 - at)), Errc::ok);
      }
    if (round % 20 == 7) crash_and_open();
  }
  EXPECT_EQ(processed.size(), size_t{kMessages});
  for (const auto& [body, times] : processed)
    EXPECT_EQ(times, 1) << body;
}

TEST_F(Complaints, OrderIsPreserved) {
  open();
  const QueueId queue = create("q.fifo", {.fifo = true});
  constexpr int kEach = 12;
  for (int i = 0; i < kEach; ++i)
    for (const char* group : {"a", "b"})
      send(queue, Batch().add_fifo(group, fmt::format("{}{}", group, i),
                                   fmt::format("{}{:02}", group, i)));
  // Returned, expired, crashed and taken in batches: what a group gives next is always its oldest.
  std::map<char, std::string> done;
  for (int round = 0; done['a'].size() + done['b'].size() < 2 * kEach * 3 && round < 500; ++round) {
    const auto got = receive(queue, static_cast<uint32_t>(1 + round % 4), 1'000);
    std::map<char, size_t> next{{'a', done['a'].size() / 3}, {'b', done['b'].size() / 3}};
    for (const Got& one : got)
      EXPECT_EQ(one.body, fmt::format("{}{:02}", one.body[0], next[one.body[0]]++));
    switch (round % 5) {
      case 0:  // returned, the youngest first
        for (size_t i = got.size(); i-- > 0;)
          EXPECT_EQ(extend(got[i].receipt, 0), Errc::ok);
        break;
      case 1:  // forgotten
        advance(1'000);
        break;
      case 2:
        crash_and_open();
        advance(1'000);
        break;
      default:
        for (const Got& one : got) {
          EXPECT_EQ(ack(one.receipt), Errc::ok);
          done[one.body[0]] += one.body;
        }
    }
  }
  for (const char group : {'a', 'b'}) {
    std::string right;
    for (int i = 0; i < kEach; ++i)
      right += fmt::format("{}{:02}", group, i);
    EXPECT_EQ(done[group], right);
  }
}

TEST_F(Complaints, AFailedMessageIsNotLostForEver) {
  open();
  const QueueId dead = create("dead");
  QueueAttributes attributes;
  attributes.dead_letter_queue = "dead";
  attributes.receives_max = 3;
  const QueueId queue = create("q", attributes);
  send(queue, "fails");
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(bodies(receive(queue, 10, 1'000)), Bodies{"fails"}) << i;
    if (i == 1) crash_and_open();
    advance(1'000);
  }
  EXPECT_TRUE(receive(queue).empty());
  stop_and_open();
  crash_and_open();
  // Days later somebody looks.
  advance(3 * 86'400'000LL);
  until([&] { return counters(dead).ready == 1; });
  const auto got = receive(dead);
  ASSERT_EQ(bodies(got), Bodies{"fails"});
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
}

}  // namespace
}  // namespace millrace::engine
