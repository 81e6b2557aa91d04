#include "net/binary/session.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

TEST(Session, GreetsWithWhatItSpeaksAndItsBounds) {
  Peer peer;
  peer.say(hello());
  const Answer answer = peer.hear_one();
  EXPECT_TRUE(answer.is(Opcode::hello));
  EXPECT_EQ(answer.header.correlation, 1u);
  const auto welcome = answer.as<wire::Welcome>();
  EXPECT_EQ(welcome.magic, wire::kMagic);
  EXPECT_EQ(welcome.version, 1u);
  EXPECT_EQ(welcome.shards, 4u);
  EXPECT_EQ(welcome.shard, 3u);
  EXPECT_EQ(welcome.durability, 2u);
  EXPECT_EQ(welcome.frame_bytes_max, wire::kFrameBytesMax);
  EXPECT_EQ(welcome.batch_messages_max, 1000u);
  EXPECT_EQ(welcome.inflight_max, 1024u);
  EXPECT_TRUE(peer.session.logged_in());
}

TEST(Session, EchoesWhatItIsSent) {
  Peer peer;
  peer.greet();
  const ByteString body = padded("a text of twenty-eight bytes");
  peer.say(frame(Opcode::echo, 2, body) + frame(Opcode::echo, 3));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].is(Opcode::echo));
  EXPECT_EQ(answers[0].body, body);
  EXPECT_EQ(answers[1].header.correlation, 3u);
  EXPECT_TRUE(answers[1].body.empty());
}

TEST(Session, ResolvesANameAndNamesTheOneItDoesNotKnow) {
  Peer peer;
  peer.port.add_queue("first");
  const QueueId orders = peer.port.add_queue("orders-1");
  peer.greet();
  peer.say(frame(Opcode::resolve, 2, padded("orders-1")) +
           frame(Opcode::resolve, 3, padded("orders\x01\xFF")));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].as<wire::QueueRef>().queue_id, raw(orders));
  EXPECT_TRUE(answers[1].is_error(Errc::queue_not_found));
  EXPECT_EQ(answers[1].error_text(), "there is no queue 'orders?\?'");
}

TEST(Session, SendsReceivesAndAcksABatch) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(send(2, queue, {"one", "two", "three"}));
  const Answer sent = peer.hear_one();
  const auto send_answer = sent.as<wire::SendAnswer>();
  EXPECT_EQ(send_answer.count, 3u);
  EXPECT_EQ(send_answer.shard_slot, uint64_t{3} << 48);
  EXPECT_EQ(send_answer.durability, 2u);

  peer.say(receive(3, queue, 10));
  const Answer received = peer.hear_one();
  EXPECT_TRUE(received.is(Opcode::receive));
  const auto head = received.as<wire::DeliveryHeader>();
  ASSERT_EQ(head.count, 3u);
  const size_t run = sizeof head + 3 * sizeof(wire::DeliveryEntry);
  EXPECT_EQ(received.body.size(), run + head.run_bytes);
  const auto third =
      received.as<wire::DeliveryEntry>(sizeof head + 2 * sizeof(wire::DeliveryEntry));
  EXPECT_EQ(third.receive_count, 1u);
  EXPECT_EQ(third.sent_at_ms, 1000);
  EXPECT_EQ(received.as<MessageHeader>(run + third.run_offset).body_bytes, 5u);
  EXPECT_EQ(std::memcmp(received.body.data() + run + third.run_offset + sizeof(MessageHeader),
                        "three", 5),
            0);

  std::vector<Receipt> receipts = received.receipts();
  peer.say(ack(4, receipts));
  const auto all_ok = peer.hear_one().as<wire::ResultsAnswer>();
  EXPECT_EQ(all_ok.count, 3u);
  EXPECT_EQ(all_ok.failed, 0u);
  receipts[1].mac ^= 1;
  peer.say(ack(5, receipts));
  const Answer one_bad = peer.hear_one();
  EXPECT_EQ(one_bad.as<wire::ResultsAnswer>().failed, 1u);
  EXPECT_EQ(one_bad.body.size(), sizeof(wire::ResultsAnswer) + 8);
  EXPECT_EQ(one_bad.as<uint16_t>(sizeof(wire::ResultsAnswer)), 0u);
  EXPECT_EQ(one_bad.as<uint16_t>(sizeof(wire::ResultsAnswer) + 2),
            static_cast<uint16_t>(Errc::receipt_invalid));
}

TEST(Session, ExtendsAndPeeks) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(send(2, queue, {"first", "second"}) + receive(3, queue, 1));
  const Receipt receipt = peer.hear().at(1).receipts().at(0);
  peer.say(frame(Opcode::extend, 4,
                 bytes_of(wire::CountBody{1, 0}) + bytes_of(wire::ExtendItem{receipt, 5000, 0})));
  EXPECT_EQ(peer.hear_one().as<wire::ResultsAnswer>().failed, 0u);
  peer.say(frame(Opcode::peek, 5, bytes_of(wire::PeekBody{raw(queue), 10, 7, 0})));
  const Answer peeked = peer.hear_one();
  ASSERT_EQ(peeked.as<wire::CountBody>().count, 1u);
  const auto item = peeked.as<wire::PeekItem>(sizeof(wire::CountBody));
  EXPECT_EQ(item.shard_slot, uint64_t{3} << 48 | 1);
  EXPECT_EQ(item.state, static_cast<uint8_t>(MessageState::ready));
  EXPECT_EQ(peeked.as<MessageHeader>(sizeof(wire::CountBody) + sizeof item).body_bytes, 6u);
}

TEST(Session, AdministersQueues) {
  Peer peer;
  peer.greet();
  const wire::QueueSpec spec{30'000, 0, 1u << 20, 0, 0, {}, 6};
  peer.say(frame(Opcode::queue_create, 2, bytes_of(spec) + padded("orders")));
  const auto ref = peer.hear_one().as<wire::QueueRef>();
  EXPECT_EQ(ref.queue_id, 1u);

  wire::QueueSpec other = spec;
  other.delay_ms = 5;
  peer.say(frame(Opcode::queue_create, 3, bytes_of(other) + padded("orders")));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::queue_exists));

  other.name_bytes = 0;
  peer.say(frame(Opcode::queue_set, 4, bytes_of(ref) + bytes_of(other)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_set));

  peer.say(send(5, QueueId{1}, {"x", "y"}));
  peer.hear();
  const uint32_t ids[2] = {1, 0};
  peer.say(frame(Opcode::queue_stats, 6, bytes_of(wire::CountBody{1, 0}) + bytes_of(ids)));
  const Answer stats = peer.hear_one();
  ASSERT_EQ(stats.as<wire::CountBody>().count, 1u);
  const auto item = stats.as<wire::QueueItem>(sizeof(wire::CountBody));
  EXPECT_EQ(item.ready, 2u);
  EXPECT_EQ(item.attributes.delay_ms, 5u);
  EXPECT_EQ(item.name_bytes, 6u);
  EXPECT_EQ(stats.body.size(), sizeof(wire::CountBody) + sizeof item + 8);

  peer.say(frame(Opcode::queue_list, 7, bytes_of(wire::ListBody{10, 2, 0}) + padded("or")));
  EXPECT_EQ(peer.hear_one().as<wire::CountBody>().count, 1u);
  peer.say(frame(Opcode::queue_list, 8, bytes_of(wire::ListBody{10, 0, 6}) + padded("orders")));
  EXPECT_EQ(peer.hear_one().as<wire::CountBody>().count, 0u);

  peer.say(frame(Opcode::queue_purge, 9, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_purge));
  EXPECT_EQ(peer.port.ready(QueueId{1}), 0u);
  peer.say(frame(Opcode::queue_delete, 10, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_delete));
  peer.say(frame(Opcode::queue_delete, 11, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::queue_not_found));

  peer.say(frame(Opcode::server_stats, 12));
  const Answer shards = peer.hear_one();
  ASSERT_EQ(shards.as<wire::CountBody>().count, 1u);
  EXPECT_EQ(shards.as<wire::ShardItem>(sizeof(wire::CountBody)).shard, 3u);
}

TEST(Session, AnswersInTheOrderTheShardDoes) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.port.held = true;
  peer.say(send(2, queue, {"a"}) + send(3, queue, {"b"}) + send(4, queue, {"c"}));
  EXPECT_EQ(peer.session.under_way(), 3u);
  peer.port.release(2);
  peer.port.release(0);
  peer.port.release(0);
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].header.correlation, 4u);
  EXPECT_EQ(answers[1].header.correlation, 2u);
  EXPECT_EQ(answers[2].header.correlation, 3u);
}

// --- how the stream is cut ---

ByteString a_conversation(QueueId queue) {
  ByteString bytes = hello();
  uint64_t correlation = 2;
  for (size_t i = 0; i < 30; ++i, correlation += 4) {
    bytes = std::move(bytes) + send(correlation, queue, {std::string(i * 7, 'x'), "y"}) +
            frame(Opcode::echo, correlation + 1, padded(std::string(i, 'e'))) +
            receive(correlation + 2, queue, 2) + ack(correlation + 3, {});
  }
  return bytes;
}

std::vector<ByteString> bodies(const std::vector<Answer>& answers) {
  std::vector<ByteString> all;
  for (const Answer& answer : answers)
    all.push_back(bytes_of(answer.header) + answer.body);
  return all;
}

TEST(Session, AnswersTheSameHoweverTheStreamIsCut) {
  Peer whole;
  const QueueId queue = whole.port.add_queue("q");
  const ByteString stream = a_conversation(queue);
  whole.say(stream);
  const std::vector<ByteString> expected = bodies(whole.hear());
  ASSERT_EQ(expected.size(), 121u);

  for (const size_t piece_bytes : {1u, 7u, 8u, 24u, 100u, 1000u}) {
    Peer peer;
    peer.port.add_queue("q");
    std::vector<Answer> heard;
    for (size_t at = 0; at < stream.size(); at += piece_bytes) {
      const size_t n = std::min(piece_bytes, stream.size() - at);
      peer.say({stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(at + n)});
      for (Answer& answer : peer.hear())
        heard.push_back(std::move(answer));
    }
    EXPECT_EQ(bodies(heard), expected) << "pieces of " << piece_bytes;
  }
  base::Prng prng(20240704);
  for (int round = 0; round < 50; ++round) {
    Peer peer;
    peer.port.add_queue("q");
    std::vector<Answer> heard;
    for (size_t at = 0; at < stream.size();) {
      const size_t n = std::min<size_t>(1 + prng.below(300), stream.size() - at);
      peer.say({stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(at + n)});
      at += n;
      if (prng.chance(1, 2)) {
        for (Answer& answer : peer.hear())
          heard.push_back(std::move(answer));
      }
    }
    for (Answer& answer : peer.hear())
      heard.push_back(std::move(answer));
    EXPECT_EQ(bodies(heard), expected) << "round " << round;
  }
}

TEST(Session, TakesPiecesAtAnyAddress) {
  for (size_t offset = 0; offset < 8; ++offset) {
    Peer peer;
    const QueueId queue = peer.port.add_queue("q");
    const ByteString stream = a_conversation(queue);
    std::vector<uint64_t> aligned(stream.size() / 8 + 2);
    auto* at = reinterpret_cast<std::byte*>(aligned.data()) + offset;
    std::memcpy(at, stream.data(), stream.size());
    peer.session.feed({at, 10});
    peer.session.feed({at + 10, stream.size() - 10});
    EXPECT_EQ(peer.hear().size(), 121u);
  }
}

// --- bad input: promises b5, cases 84 to 90 ---

struct BadCase {
  const char* name;
  ByteString bytes;
  Errc code;
  bool closes;
};

template <class T>
ByteString patched(ByteString bytes, size_t offset, T value, bool sealed = true) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  if (sealed) reseal(bytes);
  return bytes;
}

TEST(Session, RefusesABadGreeting) {
  const ByteString good = hello();
  const BadCase cases[] = {
      {"84: a length of 4 GiB", patched(good, 0, 0xFFFFFFFFu, false), Errc::frame_too_large, true},
      {"84: a byte over the bound", patched(good, 0, 4097u, false), Errc::frame_too_large, true},
      {"HTTP", padded("GET / HTTP/1.1\r\n\r\n"), Errc::frame_too_large, true},
      {"shorter than a header", patched(good, 0, 16u, false), Errc::malformed, true},
      {"length 0", patched(good, 0, 0u, false), Errc::malformed, true},
      {"86: a later version", patched(patched(good, 32, uint16_t{9}), 34, uint16_t{9}),
       Errc::version_mismatch, true},
      {"86: no version", patched(patched(good, 32, uint16_t{0}), 34, uint16_t{0}),
       Errc::version_mismatch, true},
      {"another magic", patched(good, 24, uint64_t{1}), Errc::malformed, true},
      {"not HELLO", frame(Opcode::echo, 1), Errc::protocol_violation, true},
      {"correlation 0", hello(0), Errc::protocol_violation, true},
      {"90: checksum", patched(good, 16, uint64_t{0}, false), Errc::corrupt, true},
      {"a longer HELLO", frame(Opcode::hello, 1, ByteString(24)), Errc::malformed, true},
  };
  for (const BadCase& row : cases) {
    Peer peer;
    peer.say(row.bytes);
    EXPECT_TRUE(peer.session.finished()) << row.name;
    const Answer answer = peer.hear_one();
    EXPECT_TRUE(answer.is_error(row.code)) << row.name << ": " << answer.error_text();
    EXPECT_EQ(answer.header.correlation, 0u) << row.name;
    EXPECT_FALSE(peer.session.logged_in()) << row.name;
    peer.say(hello(9));
    EXPECT_TRUE(peer.hear().empty()) << row.name;
  }
}

TEST(Session, HoldsOnlyWhatCameOfAnAnnouncedFrame) {
  Peer peer;
  peer.greet();
  const ByteString announced = patched(frame(Opcode::echo, 2), 0, wire::kFrameBytesMax, false);
  peer.say({announced.begin(), announced.begin() + 20});
  // The buffer that WELCOME was in, and nothing else; with the end of input it is back.
  EXPECT_EQ(peer.pool.kept_bytes(), 0u);
  peer.session.end_of_input();
  EXPECT_EQ(peer.pool.kept_bytes(), kBufferBytesMin);
}

TEST(Session, RefusesBadFrames) {
  Peer helper;
  const QueueId queue = helper.port.add_queue("q");
  const ByteString sending = send(2, queue, {"hello"});
  const size_t message_at = 24 + sizeof(wire::SendBody);
  const auto spec = [](uint32_t name_bytes, uint8_t durability) {
    return bytes_of(wire::QueueSpec{1000, 0, 2000, 0, durability, {}, name_bytes});
  };
  const BadCase cases[] = {
      {"85: unknown opcode", frame(uint8_t{99}, 2, {}), Errc::unsupported, false},
      {"85: opcode 0", frame(uint8_t{0}, 2, {}), Errc::unsupported, false},
      {"an answer", frame(uint8_t{0x84}, 2, {}), Errc::unsupported, false},
      {"a pushed frame", frame(uint8_t{0x60}, 2, {}), Errc::unsupported, false},
      {"a flag", patched(frame(Opcode::echo, 2), 5, uint8_t{1}), Errc::unsupported, false},
      {"a status", patched(frame(Opcode::echo, 2), 6, uint16_t{1}), Errc::malformed, true},
      {"HELLO again", hello(2), Errc::protocol_violation, true},
      {"89: a correlation id again", hello(1), Errc::protocol_violation, true},
      {"90: checksum", patched(sending, 30, uint8_t{7}, false), Errc::corrupt, true},
      {"length no multiple of 8", patched(sending, 0, 25u, false), Errc::malformed, true},
      {"length over the bound", patched(sending, 0, wire::kFrameBytesMax + 8, false),
       Errc::frame_too_large, true},
      {"87: a body past the frame", patched(sending, message_at, 500u), Errc::malformed, true},
      {"87: a body of 4 GiB", patched(sending, message_at, 0xFFFFFFFFu), Errc::malformed, true},
      {"87: properties past the frame", patched(sending, message_at + 4, 0xFFFFFFF0u),
       Errc::malformed, true},
      {"bytes after the last message", patched(sending, message_at, 0u), Errc::malformed, true},
      {"88: 2^31 messages", patched(sending, 28, uint32_t{1} << 31), Errc::malformed, true},
      {"no message", frame(Opcode::send, 2, bytes_of(wire::SendBody{raw(queue), 0})),
       Errc::batch_empty, false},
      {"1001 messages", send(2, queue, std::vector<std::string>(1001)), Errc::batch_too_large,
       false},
      {"a message of 1 MiB + 1", send(2, queue, {"", std::string((1u << 20) + 1, 'x')}),
       Errc::message_too_large, false},
      {"SEND to no queue", send(2, QueueId{77}, {"x"}), Errc::queue_not_found, false},
      {"RECEIVE from no queue", receive(2, QueueId{77}, 1), Errc::queue_not_found, false},
      {"RECEIVE of 0", receive(2, queue, 0), Errc::invalid_argument, false},
      {"RECEIVE of 1001", receive(2, queue, 1001), Errc::invalid_argument, false},
      {"RECEIVE waits too long", receive(2, queue, 1, kReceiveWaitMsMax + 1),
       Errc::invalid_argument, false},
      {"RECEIVE leases too long",
       frame(Opcode::receive, 2,
             bytes_of(wire::ReceiveBody{raw(queue), 1, 0, kVisibilityMsMax + 1, 0, 0})),
       Errc::invalid_argument, false},
      {"RECEIVE of too many bytes",
       frame(Opcode::receive, 2,
             bytes_of(wire::ReceiveBody{raw(queue), 1, kBatchBytesMax + 1, 0, 0, 0})),
       Errc::invalid_argument, false},
      {"RECEIVE cut", frame(Opcode::receive, 2, ByteString(16)), Errc::malformed, true},
      {"88: 2^31 receipts", frame(Opcode::ack, 2, bytes_of(wire::CountBody{1u << 31, 0})),
       Errc::malformed, true},
      {"a receipt less than said",
       frame(Opcode::ack, 2, bytes_of(wire::CountBody{2, 0}) + ByteString(24)), Errc::malformed,
       true},
      {"no receipt", ack(2, {}), Errc::batch_empty, false},
      {"1001 receipts", ack(2, std::vector<Receipt>(1001)), Errc::batch_too_large, false},
      {"88: 2^31 extends", frame(Opcode::extend, 2, bytes_of(wire::CountBody{1u << 31, 0})),
       Errc::malformed, true},
      {"EXTEND too long",
       frame(Opcode::extend, 2,
             bytes_of(wire::CountBody{1, 0}) +
                 bytes_of(wire::ExtendItem{{}, kVisibilityMsMax + 1, 0})),
       Errc::invalid_argument, false},
      {"PEEK of nothing", frame(Opcode::peek, 2, bytes_of(wire::PeekBody{raw(queue), 1, 0, 0})),
       Errc::invalid_argument, false},
      {"PEEK of 0", frame(Opcode::peek, 2, bytes_of(wire::PeekBody{raw(queue), 0, 7, 0})),
       Errc::invalid_argument, false},
      {"SUBSCRIBE to no queue", subscribe(2, QueueId{77}, 10, 10), Errc::queue_not_found, false},
      {"SUBSCRIBE without credit", subscribe(2, queue, 10, 0), Errc::invalid_argument, false},
      {"SUBSCRIBE with 2^33", subscribe(2, queue, 10, uint64_t{1} << 33), Errc::invalid_argument,
       false},
      {"CREDIT for no subscription", frame(Opcode::credit, 2, bytes_of(wire::CreditBody{55, 1})),
       Errc::subscription_not_found, false},
      {"CREDIT for subscription 0", frame(Opcode::credit, 2, bytes_of(wire::CreditBody{0, 1})),
       Errc::subscription_not_found, false},
      {"UNSUBSCRIBE from none", frame(Opcode::unsubscribe, 2, bytes_of(wire::SubscriptionRef{55})),
       Errc::subscription_not_found, false},
      {"87: a name past the frame",
       frame(Opcode::queue_create, 2, spec(0xFFFFFFF8u, 0) + padded("orders")), Errc::malformed,
       true},
      {"a name of 81", frame(Opcode::queue_create, 2, spec(81, 0) + padded(std::string(81, 'n'))),
       Errc::invalid_queue_name, false},
      {"durability 3", frame(Opcode::queue_create, 2, spec(1, 3) + padded("n")),
       Errc::invalid_argument, false},
      {"LIST of 0", frame(Opcode::queue_list, 2, bytes_of(wire::ListBody{0, 0, 0})),
       Errc::invalid_argument, false},
      {"87: a prefix past the frame",
       frame(Opcode::queue_list, 2, bytes_of(wire::ListBody{1, 60000, 60000})), Errc::malformed,
       true},
      {"88: figures of 2^31 queues",
       frame(Opcode::queue_stats, 2, bytes_of(wire::CountBody{1u << 31, 0})), Errc::malformed,
       true},
      {"RESOLVE of nothing", frame(Opcode::resolve, 2), Errc::queue_not_found, false},
  };
  for (const BadCase& row : cases) {
    Peer peer;
    peer.port.add_queue("q");
    peer.greet();
    peer.say(row.bytes);
    const std::vector<Answer> answers = peer.hear();
    ASSERT_EQ(answers.size(), 1u) << row.name;
    EXPECT_TRUE(answers[0].is_error(row.code))
        << row.name << ": " << errc_name(answers[0].status());
    EXPECT_FALSE(answers[0].error_text().empty()) << row.name;
    EXPECT_EQ(answers[0].as<wire::ErrorBody>().code, static_cast<uint16_t>(row.code)) << row.name;
    EXPECT_EQ(answers[0].header.correlation, row.closes ? 0u : 2u) << row.name;
    EXPECT_EQ(peer.session.finished(), row.closes) << row.name;
    EXPECT_EQ(peer.port.messages_sent(), 0u) << row.name;
    peer.say(frame(Opcode::echo, 5));
    EXPECT_EQ(peer.hear().size(), row.closes ? 0u : 1u) << row.name;
  }
}

TEST(Session, SaysWhichMessageOfABatchIsRefusedAndWhatIsAllowed) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("orders");
  peer.greet();
  peer.say(send(2, queue, {"ok", std::string((1u << 20) + 1, 'x')}));
  const Answer answer = peer.hear_one();
  EXPECT_EQ(answer.as<wire::ErrorBody>().entry_index, 1u);
  EXPECT_NE(answer.error_text().find("entry 1; queue 'orders' takes at most 1048576 bytes"),
            std::string::npos)
      << answer.error_text();
}

TEST(Session, RefusedFramesLeaveTheOthersOfThePipelineAlone) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(send(2, queue, {"a"}) + frame(uint8_t{99}, 3, {}) + receive(4, queue, 0) +
           send(5, queue, {"b"}));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_TRUE(answers[0].is(Opcode::send));
  EXPECT_TRUE(answers[3].is(Opcode::send));
  EXPECT_EQ(peer.port.ready(queue), 2u);
}

TEST(Session, AFatalErrorEndsWhatIsUnderWay) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.say(receive(2, queue, 1, 1000) + subscribe(3, queue, 1, 1));
  EXPECT_EQ(peer.port.waiting(), 1u);
  peer.say(hello(1));
  EXPECT_EQ(peer.port.waiting(), 0u);
  EXPECT_EQ(peer.port.subscriptions(), 0u);
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].is(Opcode::subscribe));
  EXPECT_TRUE(answers[1].is_error(Errc::protocol_violation));
}

TEST(Session, TellsItsHostOfAFence) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.port.send_error = Errc::shard_fenced;
  peer.say(send(2, queue, {"a"}));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::shard_fenced));
  EXPECT_EQ(peer.fences, 1);
  EXPECT_FALSE(peer.session.finished());
}

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
  struct Host final : SessionHost {
    void session_dirty(Session&) override {}
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

TEST(Session, HoldsNoBuffersWhenIdle) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  const ByteString sending = send(2, queue, {"a message"});
  peer.say({sending.begin(), sending.begin() + 30});
  peer.say({sending.begin() + 30, sending.end()});
  peer.hear();
  peer.session.trim();
  // All that was borrowed is back: two for output, one for the split frame at most.
  EXPECT_EQ(peer.pool.kept_bytes() % kBufferBytesMin, 0u);
  EXPECT_GT(peer.pool.kept_bytes(), 0u);
  EXPECT_LE(sizeof(Session), 512u);
}

}  // namespace
}  // namespace millrace::net::test
