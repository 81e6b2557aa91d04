// How a session waits, ends, pushes, and holds back.
#include <gtest/gtest.h>

#include "net/binary/session.h"
#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

// --- waiting, cancelling, ending ---

TEST(Session, CancelEndsAWaitingReceive) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 60'000) + receive(3, queue, 1, 60'000));
  EXPECT_TRUE(peer.hear().empty());
  peer.say(frame(Opcode::cancel, 4, bytes_of(wire::CancelBody{2})));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].is_error(Errc::canceled));
  EXPECT_EQ(answers[0].header.correlation, 2u);
  EXPECT_TRUE(answers[1].is(Opcode::cancel));
  EXPECT_EQ(peer.port.canceled, 1u);
  EXPECT_EQ(peer.port.waiting(), 1u);
  // One that is over already is no mistake.
  peer.say(frame(Opcode::cancel, 5, bytes_of(wire::CancelBody{2})));
  EXPECT_TRUE(peer.hear_one().is(Opcode::cancel));
  // The other is still served.
  peer.say(send(6, queue, {"late"}));
  EXPECT_EQ(peer.hear().size(), 2u);
}

TEST(Session, AfterTheEndOfInputAnswersWhatIsUnderWayThenFinishes) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 60'000));
  peer.port.held = true;
  peer.say(send(3, queue, {"a"}));
  peer.session.end_of_input();
  EXPECT_FALSE(peer.session.finished());
  Answer answer = peer.hear_one();
  EXPECT_TRUE(answer.is_error(Errc::canceled));
  peer.port.release(0);
  answer = peer.hear_one();
  EXPECT_TRUE(answer.is(Opcode::send));
  EXPECT_TRUE(peer.session.finished());
}

// Requests that were there whole before the half-close, but had to wait for room.
TEST(Session, AfterTheEndOfInputHandlesWhatItHeldBack) {
  Limits limits;
  limits.inflight_max = 2;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.port.held = true;
  ByteString stream;
  for (uint64_t i = 2; i < 10; ++i)
    stream = std::move(stream) + send(i, queue, {"m"});
  const ByteString begun = send(10, queue, {"not whole"});
  stream.insert(stream.end(), begun.begin(), begun.end() - 8);
  peer.say(stream);
  EXPECT_EQ(peer.session.under_way(), 2u);
  peer.session.end_of_input();
  std::vector<uint64_t> heard;
  for (int turns = 0; turns < 20 && !peer.port.answers.empty(); ++turns) {
    EXPECT_FALSE(peer.session.finished());
    peer.port.release(0);
    for (const Answer& answer : peer.hear()) {
      EXPECT_TRUE(answer.is(Opcode::send));
      heard.push_back(answer.header.correlation);
    }
  }
  EXPECT_EQ(heard, (std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_TRUE(peer.session.finished());
}

TEST(Session, AfterTheEndOfInputHandlesWhatWaitedForOutputToBeRead) {
  Limits limits;
  limits.output_bytes_max = 10'000;
  Peer peer(limits);
  peer.greet();
  ByteString stream;
  for (uint64_t i = 2; i < 52; ++i)
    stream = std::move(stream) + frame(Opcode::echo, i, ByteString(1000));
  peer.say(stream);
  peer.session.end_of_input();
  EXPECT_FALSE(peer.session.finished());
  EXPECT_EQ(peer.hear().size(), 50u);
  EXPECT_TRUE(peer.session.finished());
}

TEST(Session, AfterTheEndOfInputWaitingReceivesMakeRoomForWhatIsHeld) {
  Limits limits;
  limits.inflight_max = 2;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  ByteString stream;
  for (uint64_t i = 2; i < 9; ++i)
    stream = std::move(stream) + receive(i, queue, 1, 60'000);
  peer.say(stream + send(9, queue, {"m"}));
  peer.session.end_of_input();
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 8u);
  for (const Answer& answer : answers) {
    EXPECT_TRUE(answer.header.correlation == 9 ? answer.is(Opcode::send)
                                               : answer.is_error(Errc::canceled));
  }
  EXPECT_TRUE(peer.session.finished());
}

// It asked for what is there now, and the answer is on its way.
TEST(Session, AfterTheEndOfInputAReceiveThatDoesNotWaitIsAnswered) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(send(2, queue, {"m"}));
  peer.hear();
  peer.port.held = true;
  peer.say(receive(3, queue, 1));
  peer.session.end_of_input();
  EXPECT_TRUE(peer.hear().empty());
  ASSERT_EQ(peer.port.answers.size(), 1u);
  peer.port.release(0);
  const Answer answer = peer.hear_one();
  EXPECT_TRUE(answer.is(Opcode::receive));
  EXPECT_EQ(answer.receipts().size(), 1u);
  EXPECT_TRUE(peer.session.finished());
}

TEST(Session, ShuttingDownTellsWaitingReceives) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 60'000));
  peer.session.shut_down();
  EXPECT_TRUE(peer.hear_one().is_error(Errc::shutting_down));
  EXPECT_TRUE(peer.session.finished());
}

TEST(Session, EndsEverythingWhenItGoes) {
  FakePort port;
  BufferPool pool;
  struct Host final : ConversationHost {
    void conversation_dirty(Conversation&) override {}
    void shard_fenced() override {}
  } host;
  SessionSetting setting{.port = &port, .pool = &pool, .host = &host, .limits = {}};
  const QueueId queue = port.add_queue("q");
  {
    Session session(setting, 0);
    ByteString bytes = hello() + receive(2, queue, 1, 60'000) + subscribe(3, queue, 1, 100);
    session.feed(bytes);
    EXPECT_EQ(port.waiting(), 1u);
  }
  EXPECT_EQ(port.waiting(), 0u);
  EXPECT_EQ(port.subscriptions(), 0u);
}

// --- subscriptions ---

TEST(Session, PushesAsFarAsTheCreditGoes) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(send(2, queue, std::vector<std::string>(500, "m")) + subscribe(3, queue, 10, 25));
  std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 5u);
  EXPECT_EQ(answers[1].as<wire::SubscriptionRef>().subscription, 3u);
  EXPECT_EQ(answers[2].header.opcode, static_cast<uint8_t>(Opcode::deliver));
  EXPECT_EQ(answers[2].header.correlation, 3u);
  EXPECT_EQ(answers[2].receipts().size(), 10u);
  EXPECT_EQ(answers[4].receipts().size(), 5u);

  peer.say(frame(Opcode::credit, 4, bytes_of(wire::CreditBody{3, 300})));
  answers = peer.hear();
  EXPECT_EQ(answers[0].header.correlation, 4u);
  size_t delivered = 0;
  for (size_t i = 1; i < answers.size(); ++i)
    delivered += answers[i].receipts().size();
  EXPECT_EQ(delivered, 300u);
  EXPECT_EQ(peer.port.credit_given, 325u);

  peer.say(frame(Opcode::unsubscribe, 5, bytes_of(wire::SubscriptionRef{3})));
  EXPECT_TRUE(peer.hear_one().is(Opcode::unsubscribe));
  EXPECT_EQ(peer.port.subscriptions(), 0u);
}

TEST(Session, EndsASubscriptionWhoseQueueIsDeleted) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(subscribe(2, queue, 10, 25) +
           frame(Opcode::queue_delete, 3, bytes_of(wire::QueueRef{raw(queue), 0})));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_TRUE(answers[1].is_error(Errc::queue_not_found));
  EXPECT_EQ(answers[1].header.correlation, 2u);
  peer.say(frame(Opcode::credit, 4, bytes_of(wire::CreditBody{2, 1})));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::subscription_not_found));
}

TEST(Session, TakesABoundedNumberOfSubscriptions) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  for (uint64_t i = 0; i < Subscriptions::kMax; ++i)
    peer.say(subscribe(2 + i, queue, 1, 1));
  EXPECT_EQ(peer.hear().size(), Subscriptions::kMax);
  peer.say(subscribe(1000, queue, 1, 1));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::over_limit));
}

TEST(Session, GivesTheShardNoMoreCreditWhileTheOutputIsFull) {
  Limits limits;
  limits.output_bytes_max = 64 << 10;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  for (uint64_t i = 0; i < 4; ++i) {
    peer.say(send(2 + i, queue, std::vector<std::string>(500, std::string(1000, 'm'))));
  }
  peer.hear();
  peer.say(subscribe(100, queue, 100, 100'000));
  // The peer reads nothing: ticks and settles, nothing is taken off the output.
  for (int turns = 0; turns < 100; ++turns) {
    peer.port.tick();
    peer.session.settle();
  }
  EXPECT_LT(peer.port.credit_given, 200u);
  EXPECT_LT(peer.session.output().pending(), 256u << 10);
  // It reads again: everything comes.
  size_t delivered = 0;
  for (const Answer& answer : peer.hear()) {
    if (answer.header.opcode == static_cast<uint8_t>(Opcode::deliver)) {
      delivered += answer.receipts().size();
    }
  }
  EXPECT_EQ(delivered, 2000u);
}

// --- back-pressure ---

TEST(Session, TakesNoMoreThanItsRequestsUnderWay) {
  Limits limits;
  limits.inflight_max = 3;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.port.held = true;
  ByteString stream;
  for (uint64_t i = 2; i < 12; ++i)
    stream = std::move(stream) + send(i, queue, {"m"});
  peer.say(stream);
  EXPECT_FALSE(peer.session.wants_input());
  EXPECT_EQ(peer.session.under_way(), 3u);
  peer.say(send(12, queue, {"after"}));
  std::vector<uint64_t> heard;
  for (int turns = 0; turns < 20 && !peer.port.answers.empty(); ++turns) {
    peer.port.release(0);
    for (const Answer& answer : peer.hear())
      heard.push_back(answer.header.correlation);
    EXPECT_LE(peer.session.under_way(), 3u);
  }
  EXPECT_EQ(heard, (std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_TRUE(peer.session.wants_input());
}

TEST(Session, StillCancelsWhenItIsFullOfWaitingReceives) {
  Limits limits;
  limits.inflight_max = 2;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 60'000) + receive(3, queue, 1, 60'000) +
           frame(Opcode::cancel, 4, bytes_of(wire::CancelBody{3})));
  EXPECT_EQ(peer.hear().size(), 2u);
  EXPECT_EQ(peer.session.under_way(), 1u);
}

TEST(Session, StopsHandlingWhenTheOutputIsFull) {
  Limits limits;
  limits.output_bytes_max = 10'000;
  Peer peer(limits);
  peer.greet();
  const ByteString kilobyte(1000);
  ByteString stream;
  for (uint64_t i = 2; i < 102; ++i)
    stream = std::move(stream) + frame(Opcode::echo, i, kilobyte);
  peer.say(stream);
  EXPECT_FALSE(peer.session.wants_input());
  EXPECT_LT(peer.session.output().pending(), 12'000u);
  EXPECT_EQ(peer.hear().size(), 100u);
  EXPECT_TRUE(peer.session.wants_input());
}

TEST(Session, EndsWaitingReceivesEmptyWhenTheOutputIsFull) {
  Limits limits;
  limits.output_bytes_max = 10'000;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 60'000) + frame(Opcode::echo, 3, ByteString(12'000)));
  peer.session.settle();
  EXPECT_EQ(peer.port.waiting(), 0u);
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[1].is(Opcode::receive));
  EXPECT_EQ(answers[1].as<wire::DeliveryHeader>().count, 0u);
}

// All requests under way may be answered in one tick, before any of it can be sent.
TEST(Session, PastTheHardBoundMessagesAreGivenBackInsteadOfWritten) {
  Limits limits;
  limits.output_bytes_max = 8 << 10;
  limits.output_bytes_hard = 64 << 10;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  for (uint64_t i = 0; i < 4; ++i) {
    peer.say(send(2 + i, queue, std::vector<std::string>(10, std::string(2000, 'm'))));
    peer.hear();
  }
  peer.port.held = true;
  for (uint64_t i = 0; i < 20; ++i)
    peer.say(receive(10 + i, queue, 2));
  peer.say(frame(Opcode::peek, 40, bytes_of(wire::PeekBody{raw(queue), 10, 7, 0})));
  while (!peer.port.answers.empty())
    peer.port.release(0);
  const size_t largest_answer = 2 * 2100;
  EXPECT_LE(peer.session.output().pending(), limits.output_bytes_hard + largest_answer);
  EXPECT_GE(peer.session.output().pending(), limits.output_bytes_hard);
  peer.port.held = false;

  size_t written = 0;
  size_t empty = 0;
  for (const Answer& answer : peer.hear()) {
    if (!answer.is(Opcode::receive)) continue;
    written += answer.receipts().size();
    empty += answer.receipts().empty();
  }
  EXPECT_GT(empty, 0u);
  EXPECT_EQ(written + 2 * empty, 40u);
  EXPECT_EQ(peer.port.given_back, 2 * empty);
}

TEST(Session, PastTheHardBoundNothingIsPushedAndTheCreditStays) {
  Limits limits;
  limits.output_bytes_max = 8 << 10;
  limits.output_bytes_hard = 32 << 10;
  Peer peer(limits);
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(subscribe(2, queue, 10, 60));
  peer.hear();
  peer.say(send(3, queue, std::vector<std::string>(60, std::string(1000, 'm'))));
  for (int turns = 0; turns < 5; ++turns) {
    peer.port.tick();
    peer.session.settle();
  }
  EXPECT_GT(peer.port.given_back, 0u);
  EXPECT_LE(peer.session.output().pending(), limits.output_bytes_hard + 10 * 1100);
  // Those given back count against the credit when they are pushed again, not before: all sixty
  // messages of the credit can still come.
  size_t pushed = 0;
  for (const Answer& answer : peer.hear()) {
    if (answer.header.opcode == static_cast<uint8_t>(Opcode::deliver)) {
      pushed += answer.receipts().size();
    }
  }
  EXPECT_EQ(pushed + peer.port.given_back, 60u);
  peer.say(send(4, queue, std::vector<std::string>(peer.port.given_back, "m")));
  for (const Answer& answer : peer.hear()) {
    if (answer.header.opcode == static_cast<uint8_t>(Opcode::deliver)) {
      pushed += answer.receipts().size();
    }
  }
  EXPECT_EQ(pushed, 60u);
}

TEST(Session, PastTheHardBoundListsAndFiguresAreRefused) {
  Limits limits;
  limits.output_bytes_max = 16 << 10;
  limits.output_bytes_hard = 16 << 10;
  Peer peer(limits);
  peer.port.add_queue("q");
  peer.greet();
  // One piece: the list is asked for while there is still room, and answered when there is none.
  peer.port.held_queues = true;
  peer.say(frame(Opcode::queue_list, 2, bytes_of(wire::ListBody{10, 0, 0})) +
           frame(Opcode::echo, 3, ByteString(20'000)));
  peer.port.release(0);
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[1].is_error(Errc::throttled));
}

TEST(Session, TellsWhatItHoldsOfAFrameUnderWay) {
  Peer peer;
  peer.greet();
  const ByteString echo = frame(Opcode::echo, 2, ByteString(100'000));
  const uint64_t frames = peer.session.frames();
  EXPECT_FALSE(peer.session.mid_frame());
  EXPECT_EQ(peer.session.input_bytes(), 0u);
  peer.say({echo.begin(), echo.begin() + 2});
  EXPECT_TRUE(peer.session.mid_frame());
  EXPECT_EQ(peer.session.input_bytes(), 2u);
  peer.say({echo.begin() + 2, echo.begin() + 50'000});
  EXPECT_EQ(peer.session.input_bytes(), echo.size());
  EXPECT_EQ(peer.session.frames(), frames);
  peer.say({echo.begin() + 50'000, echo.end()});
  EXPECT_FALSE(peer.session.mid_frame());
  EXPECT_EQ(peer.session.input_bytes(), 0u);
  EXPECT_EQ(peer.session.frames(), frames + 1);
}

TEST(Session, ARefusalGivesBackWhatItHeld) {
  Peer peer;
  peer.greet();
  const ByteString echo = frame(Opcode::echo, 2, ByteString(100'000));
  peer.say({echo.begin(), echo.begin() + 50'000});
  peer.session.refuse_connection(Errc::timed_out, "too slow");
  EXPECT_EQ(peer.session.input_bytes(), 0u);
  EXPECT_TRUE(peer.hear_one().is_error(Errc::timed_out));
  EXPECT_TRUE(peer.session.finished());
}

TEST(Session, HoldsNoBuffersWhenIdle) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  const ByteString sending = send(2, queue, {"a message"});
  peer.say({sending.begin(), sending.begin() + 30});
  peer.say({sending.begin() + 30, sending.end()});
  peer.hear();
  (void)peer.session.watch({});
  // All that was borrowed is back: two for output, one for the split frame at most.
  EXPECT_EQ(peer.pool.kept_bytes() % kBufferBytesMin, 0u);
  EXPECT_GT(peer.pool.kept_bytes(), 0u);
  EXPECT_LE(sizeof(Session), 512u);
}

}  // namespace
}  // namespace millrace::net::test
