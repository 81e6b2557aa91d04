// Move tasks: what is ready in a dead-letter queue goes back, or elsewhere, once, whole and in
// order, at the rate that was asked for, across restarts.
#include <set>

#include <fmt/format.h>

#include "tests/engine/move_task_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

TEST_F(MoveTasksTest, MessagesGoBackToWhereTheyCameFromAsNewOnes) {
  open();
  const QueueId queue = create("q");
  const QueueId other = create("other");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  redrive(other, "dead");
  std::string properties;
  append_property(properties, PropertyTag::attribute, "color", "String", as_bytes("blue"));
  append_property(properties, PropertyTag::trace_header, as_bytes("Root=1"));
  bury(queue, Batch().add_with(properties, "1", 0));
  bury(other, Batch().add("2"));
  bury(queue, Batch().add("3"));
  const SendReply marker = send(queue, "marker");
  advance(5'000);
  const Answer started = start({.source = dead});
  ASSERT_EQ(started.error, Errc::ok) << started.detail;
  ASSERT_EQ(started.tasks.size(), 1u);
  EXPECT_EQ(started.tasks[0].to_move, 3u);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.id, started.tasks[0].id);
  EXPECT_EQ(task.state, MoveState::completed);
  EXPECT_EQ(task.moved, 3u);
  EXPECT_TRUE(task.destination_name.empty());
  EXPECT_EQ(counters(dead).ready, 0u);
  EXPECT_EQ(bodies(receive(other)), Bodies{"2"});
  const auto got = receive(queue);
  ASSERT_EQ(bodies(got), (Bodies{"marker", "1", "3"}));
  EXPECT_EQ(got[1].properties, properties);
  EXPECT_EQ(got[1].receive_count, 1u);
  EXPECT_EQ(got[1].sent_at.value, environment_.wall_ms());
  EXPECT_GT(slot_of(got[1].receipt.shard_slot), marker.first_slot);
}

TEST_F(MoveTasksTest, ANamedQueueGetsAllInTheOrderTheyDied) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  QueueAttributes delayed;
  delayed.delay_ms = 60'000;
  const QueueId there = create("there", delayed);
  redrive(queue, "dead");
  Batch batch;
  Bodies all;
  for (int i = 0; i < 700; ++i) {
    all.push_back(fmt::format("{}-{}", i, std::string(100, 'x')));
    batch.add(all.back());
  }
  bury(queue, batch);
  ASSERT_EQ(start({.source = dead, .destination = there}).error, Errc::ok);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.moved, 700u);
  EXPECT_EQ(task.to_move, 700u);
  EXPECT_EQ(task.destination_name, "there");
  EXPECT_EQ(bodies(receive(there, 1'000)), all);
  EXPECT_EQ(counters(queue).ready, 0u);
}

TEST_F(MoveTasksTest, MessagesThatAreLeasedDelayedOrComeLaterStay) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  send(dead, Batch().add("leased").add("ready").add("delayed", 10'000));
  EXPECT_EQ(bodies(receive(dead, 1)), Bodies{"leased"});
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 1}).error, Errc::ok);
  send(dead, "later");
  advance(1'000);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::completed);
  EXPECT_EQ(task.moved, 1u);
  EXPECT_EQ(bodies(receive(there)), Bodies{"ready"});
  advance(30'000);
  const auto left = bodies(receive(dead));
  EXPECT_EQ(std::set<std::string>(left.begin(), left.end()),
            (std::set<std::string>{"leased", "delayed", "later"}));
}

TEST_F(MoveTasksTest, ARateIsTheWholeTasksAndTimeThatJumpsIsWorthASecond) {
  options_.shards = 3;
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  for (uint16_t at = 0; at < 3; ++at) {
    Batch batch;
    for (int i = 0; i < 200; ++i)
      batch.add(fmt::format("{}-{}", at, i));
    send(dead, batch, at);
  }
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 30}).error, Errc::ok);
  const auto moved = [&] {
    settle_moves();
    return counters(there).ready;
  };
  EXPECT_EQ(moved(), 0u);
  for (int i = 0; i < 200; ++i)
    advance(10);  // 2 s
  EXPECT_GE(moved(), 54u);
  EXPECT_LE(moved(), 60u);
  const uint64_t before = moved();
  advance(3'600'000);
  EXPECT_GE(moved(), before + 27);
  EXPECT_LE(moved(), before + 30);
  for (int i = 0; i < 40; ++i)
    advance(1'000);
  EXPECT_EQ(until_ended(dead).moved, 600u);
  EXPECT_EQ(moved(), 600u);
}

TEST_F(MoveTasksTest, TheLastShardWithMessagesGetsTheWholeRate) {
  options_.shards = 4;
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  Batch batch;
  for (int i = 0; i < 100; ++i)
    batch.add(std::to_string(i));
  send(dead, batch, 2);
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 10}).error, Errc::ok);
  settle_moves();
  for (int i = 0; i < 500; ++i)
    advance(10);  // 5 s
  settle_moves();
  EXPECT_GE(counters(there).ready, 48u);
  EXPECT_LE(counters(there).ready, 50u);
}

TEST_F(MoveTasksTest, ACancelledTaskMovesNothingMoreAndWhatItMovedStays) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  send(dead, Batch().add("1").add("2").add("3").add("4"));
  const Answer started = start({.source = dead, .destination = there, .rate = 1});
  advance(1'000);
  settle_moves();
  EXPECT_EQ(cancel(dead, started.tasks[0].id + 1).error, Errc::move_task_not_found);
  const Answer answer = cancel(dead, started.tasks[0].id);
  ASSERT_EQ(answer.error, Errc::ok);
  ASSERT_EQ(answer.tasks.size(), 1u);
  EXPECT_EQ(answer.tasks[0].state, MoveState::cancelled);
  EXPECT_EQ(answer.tasks[0].moved, 1u);
  advance(10'000);
  EXPECT_EQ(newest(dead).state, MoveState::cancelled);
  EXPECT_EQ(newest(dead).moved, 1u);
  EXPECT_EQ(counters(dead).ready, 3u);
  EXPECT_EQ(bodies(receive(there)), Bodies{"1"});
  const Answer again = cancel(dead);
  EXPECT_EQ(again.error, Errc::move_task_not_found);
  EXPECT_EQ(again.detail, "no such move task of 'dead' is running");
  // Another one takes the rest.
  ASSERT_EQ(start({.source = dead, .destination = there}).error, Errc::ok);
  EXPECT_EQ(until_ended(dead).moved, 3u);
}

TEST_F(MoveTasksTest, ATaskThatIsCancelledBeforeItIsDurableMovesNothing) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  bury(queue, Batch().add("1"));
  const ReplyTo started = reply();
  const ReplyTo cancelled = reply();
  shard().start_move({.source = dead}, started);
  shard().cancel_move(dead, 0, cancelled);
  EXPECT_EQ(wait_for(started).tasks.at(0).state, MoveState::cancelled);
  EXPECT_EQ(wait_for(cancelled).tasks.at(0).state, MoveState::cancelled);
  settle_moves();
  EXPECT_EQ(counters(dead).ready, 1u);
}

TEST_F(MoveTasksTest, BadRequestsAreRefusedWithTheReason) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId ordered = create("there.fifo", fifo_queue());
  redrive(queue, "dead");
  struct Case {
    MoveRequest request;
    Errc error;
    std::string detail;
  };
  for (const Case& bad : std::vector<Case>{
           {{.source = QueueId{999}}, Errc::queue_not_found, "there is no such source queue"},
           {{.source = dead, .destination = QueueId{999}},
            Errc::queue_not_found,
            "there is no such destination queue"},
           {{.source = queue},
            Errc::not_a_dead_letter_queue,
            "no RedrivePolicy names 'q'; a source may be the dead-letter queue of at least one "
            "queue"},
           {{.source = dead, .destination = dead},
            Errc::same_queue,
            "source and destination are 'dead'; they may be two queues, or give no destination"},
           {{.source = dead, .destination = ordered},
            Errc::queue_types_differ,
            "'there.fifo' is a FIFO queue; messages of 'dead' may go to a standard queue"},
           {{.source = dead, .rate = 501},
            Errc::invalid_argument,
            "the rate is 501; it may be 1 to 500 messages a second, or none given"}}) {
    const Answer answer = start(bad.request);
    EXPECT_EQ(answer.error, bad.error) << bad.detail;
    EXPECT_EQ(answer.detail, bad.detail);
    EXPECT_TRUE(answer.tasks.empty());
  }
  EXPECT_TRUE(list(dead).tasks.empty());
  EXPECT_EQ(list(dead, 0).error, Errc::invalid_argument);
  EXPECT_EQ(list(dead, 11).detail, "up to 11 tasks are asked for; it may be 1 to 10");
  EXPECT_EQ(list(QueueId{999}).error, Errc::queue_not_found);
  EXPECT_EQ(cancel(QueueId{999}).error, Errc::queue_not_found);
  EXPECT_EQ(cancel(dead).error, Errc::move_task_not_found);
  // The bounds themselves are fine.
  EXPECT_EQ(start({.source = dead, .rate = 500}).error, Errc::ok);
  until_ended(dead);
  EXPECT_EQ(start({.source = dead, .rate = 1}).error, Errc::ok);
}

TEST_F(MoveTasksTest, OneRunsForASourceAndAHundredInAll) {
  open();
  const QueueId queue = create("q");
  std::vector<QueueId> sources;
  for (int i = 0; i <= 100; ++i) {
    sources.push_back(create(fmt::format("dead{}", i)));
    redrive(queue, fmt::format("dead{}", i));
    send(sources.back(), "1");
    const Answer answer = start({.source = sources.back(), .destination = queue, .rate = 1});
    EXPECT_EQ(answer.error, i < 100 ? Errc::ok : Errc::over_limit) << answer.detail;
    if (i > 0) continue;
    const Answer second = start({.source = sources[0]});
    EXPECT_EQ(second.error, Errc::move_task_running);
    EXPECT_EQ(second.detail, "a task of 'dead0' is running; one may run at a time");
  }
  advance(1'000);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(until_ended(sources[static_cast<size_t>(i)]).moved, 1u);
  EXPECT_EQ(start({.source = sources[100], .destination = queue}).error, Errc::ok);
}

TEST_F(MoveTasksTest, AMissingDestinationFailsTheTaskAndTheMessagesStay) {
  open();
  const QueueId queue = create("q");
  const QueueId gone = create("gone");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  redrive(gone, "dead");
  bury(gone, Batch().add("1"));
  bury(queue, Batch().add("2"));
  remove(gone);
  ASSERT_EQ(start({.source = dead}).error, Errc::ok);
  MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::failed);
  EXPECT_EQ(task.failure, "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(task.moved, 0u);
  const QueueId there = create("there");
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 1}).error, Errc::ok);
  advance(1'000);
  settle_moves();
  remove(there);
  advance(1'000);
  task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::failed);
  EXPECT_EQ(task.failure, "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(task.moved, 1u);
  EXPECT_EQ(counters(dead).ready, 1u);
}

TEST_F(MoveTasksTest, AMessageThatWasSentToTheDeadLetterQueueItselfHasNoSource) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  bury(queue, Batch().add("1"));
  send(dead, "2");
  ASSERT_EQ(start({.source = dead}).error, Errc::ok);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::failed);
  EXPECT_EQ(task.failure, "CouldNotDetermineMessageSource");
  EXPECT_EQ(task.moved, 1u);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"1"});
  EXPECT_EQ(bodies(receive(dead)), Bodies{"2"});
}

TEST_F(MoveTasksTest, TheHistoryHoldsTenNewestFirstAcrossRestartsAndCleaning) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  std::vector<uint64_t> ids;
  for (int i = 0; i < 13; ++i) {
    send(dead, "1");
    const Answer answer = start({.source = dead, .destination = queue, .rate = i == 12 ? 7u : 0u});
    ids.insert(ids.begin(), answer.tasks.at(0).id);
    advance(1'000);
    until_ended(dead);
  }
  ids.resize(10);
  const auto check = [&] {
    const auto tasks = list(dead).tasks;
    ASSERT_EQ(tasks.size(), 10u);
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(tasks[i].id, ids[i]);
      EXPECT_EQ(tasks[i].state, MoveState::completed);
      EXPECT_EQ(tasks[i].moved, 1u);
      EXPECT_EQ(tasks[i].to_move, 1u);
      EXPECT_GT(tasks[i].ended_at_ms, 0);
    }
    EXPECT_EQ(tasks[0].rate, 7u);
  };
  check();
  crash_and_open();
  check();
  // Laps of the catalog's log.
  for (int i = 0; i < 3'000; ++i) {
    const ReplyTo to = reply();
    shard().set_queue(queue, {.tags = {{"lap", std::string(256, static_cast<char>('a' + i % 26))}}},
                      to);
    if (i % 50 == 49) until([&] { return sink_.queue_errors.contains(to.token); });
  }
  settle();
  check();
  stop_and_open();
  check();
  EXPECT_EQ(list(dead, 2).tasks.size(), 2u);
  remove(dead);
  const QueueId anew = create("dead");
  EXPECT_TRUE(list(anew).tasks.empty());
  crash_and_open();
  EXPECT_TRUE(list(anew).tasks.empty());
}

TEST_F(MoveTasksTest, ATaskGoesOnAfterARestartAndTakesNothingThatCameSince) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  send(dead, Batch().add("1").add("2").add("3").add("4"));
  const Answer started = start({.source = dead, .destination = there, .rate = 1});
  advance(1'000);
  settle_moves();
  advance(5'000);
  settle_moves();
  send(dead, "later");
  for (const bool clean : {false, true}) {
    if (clean)
      stop_and_open();
    else
      crash_and_open();
    tick();
    EXPECT_EQ(newest(dead).state, MoveState::running);
    EXPECT_EQ(newest(dead).id, started.tasks[0].id);
    EXPECT_EQ(start({.source = dead}).error, Errc::move_task_running);
    advance(1'000);
    settle_moves();
  }
  advance(1'000);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::completed);
  EXPECT_EQ(task.to_move, 4u);
  EXPECT_EQ(bodies(receive(there)), (Bodies{"1", "2", "3", "4"}));
  EXPECT_EQ(bodies(receive(dead)), Bodies{"later"});
}

TEST_F(MoveTasksTest, ATaskThatIsStartedInTheFirstTurnIsNoneOfTheLifeBefore) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  send(dead, Batch().add("1").add("2").add("3").add("4").add("5").add("6"));
  crash_and_open();
  const Answer started = start({.source = dead, .destination = there, .rate = 1});
  ASSERT_EQ(started.error, Errc::ok);
  EXPECT_EQ(started.tasks.at(0).to_move, 6u);
  for (int i = 0; i < 20; ++i) {
    advance(100);
    settle_moves();
  }
  EXPECT_LE(counters(there).ready, 3u);  // it is done once, not twice
  for (int i = 0; i < 10; ++i) {
    advance(1'000);
    settle_moves();
  }
  EXPECT_EQ(until_ended(dead).moved, 6u);
  EXPECT_EQ(receive(there).size(), 6u);
}

TEST_F(MoveTasksTest, ATaskEndsWithItsSourceAndAfterThirtySixHours) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  Batch batch;
  for (int i = 0; i < 100; ++i)
    batch.add("x");
  send(dead, batch);
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 1}).error, Errc::ok);
  advance(36 * 3'600'000 - 1);
  settle_moves();
  EXPECT_EQ(newest(dead).state, MoveState::running);
  advance(1);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::failed);
  EXPECT_EQ(task.failure, "it ran for 36 hours, the longest a move task may");
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 1}).error, Errc::ok);
  const ReplyTo waiting = reply();
  remove(dead);
  shard().list_moves(dead, 1, waiting);
  EXPECT_EQ(wait_for(waiting).error, Errc::queue_not_found);
  advance(10'000);
  settle();
  EXPECT_EQ(counters(there).ready, task.moved);
}

TEST_F(MoveTasksTest, WhatIsTooOldIsNotMoved) {
  open();
  const QueueId queue = create("q");
  QueueAttributes brief;
  brief.retention_ms = 60'000;
  const QueueId dead = create("dead", brief);
  redrive(queue, "dead");
  send(dead, "old");
  advance(50'000);
  send(dead, "young");
  environment_.advance(10'000);
  const ReplyTo to = reply();
  shard().start_move({.source = dead, .destination = queue}, to);
  EXPECT_EQ(wait_for(to).error, Errc::ok);
  EXPECT_EQ(until_ended(dead).moved, 1u);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"young"});
  EXPECT_EQ(counters(dead).ready, 0u);
}

TEST_F(MoveTasksTest, AWaitingReceiveGetsWhatIsMoved) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  bury(queue, Batch().add("1"), 1);
  const ReplyTo to = reply();
  shard(0).receive({.queue = queue, .messages_max = 1, .visibility_ms = 1'000, .wait_ms = 20'000},
                   to);
  ASSERT_EQ(start({.source = dead}).error, Errc::ok);
  until([&] { return sink_.receives.contains(to.token); });
  ASSERT_EQ(sink_.receives[to.token][0].messages.size(), 1u);
  EXPECT_EQ(sink_.receives[to.token][0].messages[0].body, "1");
}

TEST_F(MoveTasksTest, OnFifoAGroupKeepsItsOrderAndEqualIdsDoNotCollapse) {
  options_.shards = 3;
  open();
  QueueAttributes spread = fifo_queue();
  spread.deduplication_scope = DeduplicationScope::group;
  spread.throughput_limit = ThroughputLimit::group;
  const QueueId queue = create("q.fifo", spread);
  const QueueId dead = create("dead.fifo", fifo_queue());
  redrive(queue, "dead.fifo");
  // The same id twice, when the window is over in between.
  for (int round = 0; round < 2; ++round) {
    for (int group = 0; group < 6; ++group)
      send(queue, Batch()
                      .add_fifo(fmt::format("g{}", group), fmt::format("id{}", group),
                                fmt::format("{}:{}", group, round))
                      .add_fifo(fmt::format("g{}", group), fmt::format("next{}", group),
                                fmt::format("{}:{}+", group, round)));
    for (int i = 0; i < 60; ++i)
      receive(queue, 10, 0);
    settle_moves();
    advance(300'001);
  }
  ASSERT_EQ(counters(dead).ready, 24u);
  ASSERT_EQ(start({.source = dead}).error, Errc::ok);
  EXPECT_EQ(until_ended(dead).moved, 24u);
  EXPECT_EQ(counters(queue).ready, 24u);
  std::map<std::string, Bodies> by_group;
  for (int i = 0; i < 100 && counters(queue).ready > 0; ++i)
    for (const Got& got : receive(queue, 10, 60'000)) {
      EXPECT_EQ(got.receive_count, 1u);
      EXPECT_FALSE(find_property(as_bytes(got.properties), PropertyTag::deduplication_id));
      EXPECT_FALSE(find_property(as_bytes(got.properties), PropertyTag::moved));
      by_group[got.body.substr(0, 1)].push_back(got.body.substr(2));
      ack(got.receipt);
    }
  EXPECT_EQ(by_group.size(), 6u);
  for (const auto& [group, all] : by_group)
    EXPECT_EQ(all, (Bodies{"0", "0+", "1", "1+"})) << group;
}

TEST_F(MoveTasksTest, RestartsAndCleaningKeepWhatWasMoved) {
  options_.segment_bytes = 64 << 10;
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  std::set<std::string> all;
  for (int round = 0; round < 20; ++round) {
    Batch batch;
    for (int i = 0; i < 50; ++i) {
      const std::string body = fmt::format("{}-{}-{}", round, i, std::string(200, 'b'));
      all.insert(body);
      batch.add(body);
    }
    bury(queue, batch);
    ASSERT_EQ(start({.source = dead, .destination = there}).error, Errc::ok);
    EXPECT_EQ(until_ended(dead).moved, 50u);
    // Traffic that makes the log go round.
    for (int i = 0; i < 20; ++i) {
      send(queue, Batch().add(std::string(20'000, 'f')));
      for (const Got& got : receive(queue))
        ack(got.receipt);
    }
    const uint64_t digest = shard().state().digest(shard().now());
    if (round % 2 == 0)
      crash_and_open();
    else
      stop_and_open();
    EXPECT_TRUE(shard().state().accounts_hold());
    EXPECT_EQ(shard().state().digest(shard().now()), digest);
  }
  EXPECT_GT(shard().state().log().head().value, 0u);
  std::set<std::string> got;
  for (int i = 0; i < 40; ++i)
    for (const Got& one : receive(there, 100))
      EXPECT_TRUE(got.insert(one.body).second);
  EXPECT_EQ(got, all);
}

}  // namespace
}  // namespace millrace::engine
