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

}  // namespace
}  // namespace millrace::net::test
