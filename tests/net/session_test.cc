#include "net/binary/session.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "millrace/properties.h"
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

// Attributes and tags of the first queue of a QUEUE_STATS.
std::vector<NamedText> texts_of(const Answer& stats) {
  const auto item = stats.as<wire::QueueItem>(sizeof(wire::CountBody));
  size_t at = sizeof(wire::CountBody) + sizeof item + item.name_bytes;
  const std::string_view body = as_text(stats.body);
  std::vector<NamedText> texts;
  for (int i = 0; i < item.attributes + item.tags; ++i) {
    const auto head = stats.as<wire::TextItem>(at);
    at += sizeof head;
    texts.push_back({std::string(body.substr(at, head.name_bytes)),
                     std::string(body.substr(at + head.name_bytes, head.value_bytes))});
    at += size_t{head.name_bytes} + head.value_bytes;
  }
  EXPECT_EQ(at, sizeof(wire::CountBody) + sizeof item + item.text_bytes);
  EXPECT_EQ(stats.body.size(), sizeof(wire::CountBody) + sizeof item + padded8(item.text_bytes));
  return texts;
}

TEST(Session, AdministersQueues) {
  Peer peer;
  peer.greet();
  const QueueSettings settings{.attributes = {{"DelaySeconds", "2.5"}},
                               .tags = {{"team", "a"}, {"cost", "1"}}};
  peer.say(queue_create(2, "orders", settings));
  const auto ref = peer.hear_one().as<wire::QueueRef>();
  EXPECT_EQ(ref.queue_id, 1u);

  peer.say(queue_create(3, "orders", {.attributes = {{"DelaySeconds", "3"}}}));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::queue_exists));

  peer.say(queue_set(4, QueueId{1},
                     {.attributes = {{"DelaySeconds", "0"}, {"InFlightMax", "7"}},
                      .tags = {{"team", "b"}},
                      .untagged = {"cost"}}));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_set));

  peer.say(send(5, QueueId{1}, {"x", "y"}));
  peer.hear();
  peer.say(queue_stats(6, QueueId{1}, 1));
  const Answer stats = peer.hear_one();
  ASSERT_EQ(stats.as<wire::CountBody>().count, 1u);
  const auto item = stats.as<wire::QueueItem>(sizeof(wire::CountBody));
  EXPECT_EQ(item.ready, 2u);
  EXPECT_EQ(item.name_bytes, 6u);
  EXPECT_EQ(texts_of(stats), (std::vector<NamedText>{{"VisibilityTimeout", "30"},
                                                     {"DelaySeconds", "0"},
                                                     {"MaximumMessageSize", "1048576"},
                                                     {"MessageRetentionPeriod", "345600"},
                                                     {"ReceiveMessageWaitTimeSeconds", "0"},
                                                     {"Durability", "none"},
                                                     {"InFlightMax", "7"},
                                                     {"SqsManagedSseEnabled", "true"},
                                                     {"team", "b"}}));
  peer.say(queue_stats(106, QueueId{1}, 0));
  const Answer bare = peer.hear_one();
  EXPECT_TRUE(texts_of(bare).empty());
  EXPECT_EQ(bare.as<wire::QueueItem>(sizeof(wire::CountBody)).ready, 2u);

  peer.say(frame(Opcode::queue_list, 107, bytes_of(wire::ListBody{10, 2, 0}) + padded("or")));
  EXPECT_EQ(peer.hear_one().as<wire::CountBody>().count, 1u);
  peer.say(frame(Opcode::queue_list, 108, bytes_of(wire::ListBody{10, 0, 6}) + padded("orders")));
  EXPECT_EQ(peer.hear_one().as<wire::CountBody>().count, 0u);

  peer.say(frame(Opcode::queue_purge, 109, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_purge));
  EXPECT_EQ(peer.port.ready(QueueId{1}), 0u);
  peer.say(frame(Opcode::queue_delete, 110, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::queue_delete));
  peer.say(frame(Opcode::queue_delete, 111, bytes_of(ref)));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::queue_not_found));

  peer.say(frame(Opcode::server_stats, 112));
  const Answer shards = peer.hear_one();
  ASSERT_EQ(shards.as<wire::CountBody>().count, 1u);
  EXPECT_EQ(shards.as<wire::ShardItem>(sizeof(wire::CountBody)).shard, 3u);
}

TEST(Session, StartsCancelsAndListsMoveTasks) {
  Peer peer;
  const QueueId dead = peer.port.add_queue("dead");
  peer.greet();
  peer.say(frame(Opcode::move_start, 2, bytes_of(wire::MoveStartBody{raw(dead), 2, 25, 0})));
  const Answer started = peer.hear_one();
  ASSERT_TRUE(started.is(Opcode::move_start));
  EXPECT_EQ(started.as<wire::CountBody>().count, 1u);
  const auto task = started.as<wire::MoveTaskItem>(sizeof(wire::CountBody));
  EXPECT_EQ(task.task, 1u);
  EXPECT_EQ(task.source, raw(dead));
  EXPECT_EQ(task.destination, 2u);
  EXPECT_EQ(task.rate, 25u);
  EXPECT_EQ(task.to_move, 3u);
  EXPECT_EQ(task.name_bytes, 5u);
  const Bytes name = Bytes(started.body).subspan(sizeof(wire::CountBody) + sizeof task);
  EXPECT_EQ(as_text(name), std::string_view("there\0\0\0", 8));

  peer.say(frame(Opcode::move_cancel, 3, bytes_of(wire::MoveCancelBody{raw(dead), 0, 1})));
  const Answer cancelled = peer.hear_one();
  ASSERT_TRUE(cancelled.is(Opcode::move_cancel));
  EXPECT_EQ(cancelled.as<wire::MoveTaskItem>(sizeof(wire::CountBody)).state,
            static_cast<uint8_t>(MoveState::cancelled));

  peer.port.moves.back().state = MoveState::failed;
  peer.port.moves.back().failure = "why";
  peer.say(frame(Opcode::move_list, 4, bytes_of(wire::MoveListBody{raw(dead), 10})));
  const Answer listed = peer.hear_one();
  ASSERT_TRUE(listed.is(Opcode::move_list));
  EXPECT_EQ(listed.as<wire::MoveTaskItem>(sizeof(wire::CountBody)).failure_bytes, 3u);
  EXPECT_EQ(as_text(Bytes(listed.body).subspan(sizeof(wire::CountBody) + sizeof task)), "therewhy");

  peer.say(frame(Opcode::move_cancel, 5, bytes_of(wire::MoveCancelBody{raw(dead), 0, 2})));
  const Answer none = peer.hear_one();
  EXPECT_TRUE(none.is_error(Errc::move_task_not_found));
  EXPECT_NE(none.error_text().find("none runs"), std::string::npos);
}

TEST(Session, TellsWhatIsWrongWithAnAttribute) {
  Peer peer;
  peer.greet();
  uint64_t correlation = 2;
  const std::pair<NamedText, const char*> cases[] = {
      {{"VisibilityTimeout", "43201"}, "VisibilityTimeout is '43201'; it may be 0 to 43200"},
      {{"MaximumMessageSize", "1023"}, "MaximumMessageSize is '1023'; it may be 1024 to 1048576"},
      {{"Durability", "most"}, "Durability is 'most'; it may be none or interval or commit"},
      {{"Partitions", "2"}, "Partitions is '2'; it is for FIFO queues"},
      {{"Colour", "red"}, "a queue has no attribute 'Colour'"}};
  for (const auto& [attribute, why] : cases) {
    peer.say(queue_create(correlation++, "orders", {.attributes = {attribute}}));
    const Answer answer = peer.hear_one();
    ASSERT_TRUE(answer.is_error(Errc::invalid_argument)) << attribute.name;
    EXPECT_NE(answer.error_text().find(why), std::string::npos) << answer.error_text();
  }
  EXPECT_EQ(peer.port.find_queue("orders"), nullptr);
}

TEST(Session, TellsEachMessagesPlaceWhenTheyAreNotConsecutive) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  peer.port.scattered = {uint64_t{3} << 48 | 9, uint64_t{3} << 48 | 4, uint64_t{3} << 48 | 9};
  peer.say(send(2, queue, {"a", "b", "a"}));
  const Answer answer = peer.hear_one();
  const auto sent = answer.as<wire::SendAnswer>();
  EXPECT_EQ(sent.scattered, 1);
  EXPECT_EQ(sent.count, 3u);
  EXPECT_EQ(sent.shard_slot, peer.port.scattered.front());
  ASSERT_EQ(answer.body.size(), sizeof sent + 3 * sizeof(uint64_t));
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(answer.as<uint64_t>(sizeof sent + i * 8), peer.port.scattered[i]);
}

TEST(Session, HandsPropertiesOnAsTheyAre) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.greet();
  std::string properties;
  append_property(properties, PropertyTag::group, as_bytes("customer-7"));
  append_property(properties, PropertyTag::attribute, "color", "String", as_bytes("blue"));
  peer.say(send_with(2, queue, properties, {"body"}) + receive(3, queue, 1));
  const Answer got = peer.hear().at(1);
  const size_t run = sizeof(wire::DeliveryHeader) + sizeof(wire::DeliveryEntry);
  const auto header = got.as<MessageHeader>(run);
  ASSERT_EQ(header.properties_bytes, properties.size());
  EXPECT_EQ(as_text(got.body).substr(run + sizeof header, properties.size()), properties);
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
