// Frames that no client of ours sends: promises b5, cases 84 to 90.
#include <gtest/gtest.h>

#include "net/binary/session.h"
#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

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
      {"a name that is not there", patched(good, 36, uint16_t{5}), Errc::malformed, true},
      {"a name past its frame", patched(hello(1, "worker"), 36, uint16_t{9}), Errc::malformed,
       true},
      {"a name that is too long", hello(1, std::string(65, 'n')), Errc::malformed, true},
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
  // A QUEUE_CREATE of "orders" with one attribute, to be bent.
  const ByteString creating = queue_create(2, "orders", {.attributes = {{"DelaySeconds", "1"}}});
  const size_t item_at = 24 + sizeof(wire::SettingsBody) + 6;
  const ByteString subscribing =
      topic_subscribe(2, "orders", "sqs", "jobs", {{"RawMessageDelivery", "true"}});
  const ByteString publishing = publish(2, "orders", {{"hello", "a subject"}});
  const size_t item = 24 + sizeof(wire::PublishBody) + 8;
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
             bytes_of(wire::ReceiveBody{raw(queue), 1, 0, kLeaseMsMax + 1, 0, 0})),
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
             bytes_of(wire::CountBody{1, 0}) + bytes_of(wire::ExtendItem{{}, kLeaseMsMax + 1, 0})),
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
      {"88: a name of 65535 bytes", patched(creating, 24, uint16_t{0xFFFF}), Errc::malformed, true},
      {"88: 65535 attributes", patched(creating, 26, uint16_t{0xFFFF}), Errc::malformed, true},
      {"88: 65535 tags", patched(creating, 28, uint16_t{0xFFFF}), Errc::malformed, true},
      {"88: 65535 tags to take away", patched(creating, 30, uint16_t{0xFFFF}), Errc::malformed,
       true},
      {"88: a value of 4 GiB", patched(creating, item_at, 0xFFFFFFFFu), Errc::malformed, true},
      {"88: an attribute's name of 65535 bytes", patched(creating, item_at + 4, uint16_t{0xFFFF}),
       Errc::malformed, true},
      {"a tag to take away with a value",
       patched(patched(creating, 26, uint16_t{0}), 30, uint16_t{1}), Errc::malformed, true},
      {"texts that nothing counts", patched(creating, 26, uint16_t{0}), Errc::malformed, true},
      {"settings of 64 KiB",
       queue_create(2, "orders", {.attributes = {{"Policy", std::string(64u << 10, ' ')}}}),
       Errc::malformed, true},
      {"a QUEUE_SET with a name",
       frame(Opcode::queue_set, 2,
             bytes_of(wire::QueueRef{raw(queue), 0}) + settings_bytes("orders", {})),
       Errc::malformed, true},
      {"a name of 81", queue_create(2, std::string(81, 'n')), Errc::invalid_queue_name, false},
      {"durability 3", queue_create(2, "n", {.attributes = {{"Durability", "3"}}}),
       Errc::invalid_argument, false},
      {"an attribute that is none", queue_create(2, "n", {.attributes = {{"", ""}}}),
       Errc::invalid_argument, false},
      {"QUEUE_SET of no queue", queue_set(2, QueueId{77}, {}), Errc::queue_not_found, false},
      {"RECEIVE with an attempt id of a standard queue",
       frame(Opcode::receive, 2,
             bytes_of(wire::ReceiveBody{raw(queue), 1, 0, 0, 0, 2}) + padded("id")),
       Errc::invalid_argument, false},
      {"RECEIVE with a blank in its attempt id",
       frame(Opcode::receive, 2,
             bytes_of(wire::ReceiveBody{raw(queue), 1, 0, 0, 0, 3}) + padded("a b")),
       Errc::invalid_argument, false},
      {"RECEIVE whose attempt id is longer than it is",
       frame(Opcode::receive, 2,
             bytes_of(wire::ReceiveBody{raw(queue), 1, 0, 0, 0, 9}) + padded("id")),
       Errc::malformed, true},
      {"QUEUE_STATS with details 2", queue_stats(2, queue, 2), Errc::invalid_argument, false},
      {"LIST of 0", frame(Opcode::queue_list, 2, bytes_of(wire::ListBody{0, 0, 0})),
       Errc::invalid_argument, false},
      {"LIST with a prefix of 200",
       frame(Opcode::queue_list, 2,
             bytes_of(wire::ListBody{10, 200, 0}) + padded(std::string(200, 'p'))),
       Errc::invalid_argument, false},
      {"LIST after a name of 60000",
       frame(Opcode::queue_list, 2,
             bytes_of(wire::ListBody{10, 1, 60'000}) + padded(std::string(60'001, 'p'))),
       Errc::invalid_argument, false},
      {"87: a prefix past the frame",
       frame(Opcode::queue_list, 2, bytes_of(wire::ListBody{1, 60000, 60000})), Errc::malformed,
       true},
      {"88: figures of 2^31 queues",
       frame(Opcode::queue_stats, 2, bytes_of(wire::CountBody{1u << 31, 0})), Errc::malformed,
       true},
      {"MOVE_START cut", frame(Opcode::move_start, 2, ByteString(8)), Errc::malformed, true},
      {"MOVE_START with more", frame(Opcode::move_start, 2, ByteString(24)), Errc::malformed, true},
      {"MOVE_START of 501 a second",
       frame(Opcode::move_start, 2, bytes_of(wire::MoveStartBody{raw(queue), 0, 501, 0})),
       Errc::invalid_argument, false},
      {"MOVE_CANCEL cut", frame(Opcode::move_cancel, 2, ByteString(8)), Errc::malformed, true},
      {"MOVE_CANCEL of no task",
       frame(Opcode::move_cancel, 2, bytes_of(wire::MoveCancelBody{raw(queue), 0, 7})),
       Errc::move_task_not_found, false},
      {"MOVE_LIST cut", frame(Opcode::move_list, 2), Errc::malformed, true},
      {"88: a topic's name of 65535 bytes", patched(subscribing, 24, uint16_t{0xFFFF}),
       Errc::malformed, true},
      {"88: an endpoint of 65535 bytes", patched(subscribing, 28, uint16_t{0xFFFF}),
       Errc::malformed, true},
      {"88: 65535 attributes of a subscription", patched(subscribing, 30, uint16_t{0xFFFF}),
       Errc::malformed, true},
      {"texts of a subscription that nothing counts", patched(subscribing, 30, uint16_t{0}),
       Errc::malformed, true},
      {"88: 2^31 messages of a PUBLISH", patched(publishing, 24, uint32_t{1} << 31),
       Errc::batch_too_large, false},
      {"a PUBLISH of nothing", publish(2, "orders", {}), Errc::batch_empty, false},
      {"a PUBLISH of 65", publish(2, "orders", std::vector<Published>(65, Published{"x"})),
       Errc::batch_too_large, false},
      {"a message less than said", patched(publishing, 24, 2u), Errc::malformed, true},
      {"88: a topic's name past the frame", patched(publishing, 28, uint16_t{0xFFFF}),
       Errc::malformed, true},
      {"a reserved byte of a PUBLISH", patched(publishing, 30, uint16_t{1}), Errc::malformed, true},
      {"87: a message of 4 GiB", patched(publishing, item, 0xFFFFFFFFu), Errc::malformed, true},
      {"87: properties of 4 GiB", patched(publishing, item + 4, 0xFFFFFFFFu), Errc::malformed,
       true},
      {"a subject past the frame", patched(publishing, item + 8, uint16_t{999}), Errc::malformed,
       true},
      {"structured 2", patched(publishing, item + 10, uint8_t{2}), Errc::malformed, true},
      {"a reserved byte of a message", patched(publishing, item + 11, uint8_t{1}), Errc::malformed,
       true},
      {"properties that are none", publish(2, "orders", {{"x", "", "nine bytes"}}), Errc::malformed,
       true},
      {"PUBLISH to no topic", publish(2, "nobody", {{"x"}}), Errc::topic_not_found, false},
      {"TOPIC_SHOW of none", frame(Opcode::topic_show, 2, padded("nobody")), Errc::topic_not_found,
       false},
      {"TOPIC_DELETE of 5000 bytes", frame(Opcode::topic_delete, 2, ByteString(5000)),
       Errc::malformed, true},
      {"TOPIC_SET of none", topic_frame(Opcode::topic_set, 2, "nobody", {}), Errc::topic_not_found,
       false},
      {"TOPIC_CREATE with an attribute of queues",
       topic_frame(Opcode::topic_create, 2, "t", {.attributes = {{"DelaySeconds", "1"}}}),
       Errc::invalid_argument, false},
      {"TOPIC_SET of what is fixed",
       topic_frame(Opcode::topic_set, 2, "orders", {.attributes = {{"FifoTopic", "true"}}}),
       Errc::invalid_argument, false},
      {"TOPIC_CREATE cut", frame(Opcode::topic_create, 2), Errc::malformed, true},
      {"TOPIC_LIST of 1001", frame(Opcode::topic_list, 2, bytes_of(wire::ListBody{1001, 0, 0})),
       Errc::invalid_argument, false},
      {"87: TOPIC_LIST with a prefix past the frame",
       frame(Opcode::topic_list, 2, bytes_of(wire::ListBody{1, 9, 0})), Errc::malformed, true},
      {"TOPIC_LIST with a prefix of 257",
       frame(Opcode::topic_list, 2,
             bytes_of(wire::ListBody{1, 257, 0}) + padded(std::string(257, 'p'))),
       Errc::invalid_argument, false},
      {"TOPIC_SUBSCRIBE to no topic", topic_subscribe(2, "nobody", "sqs", "q"),
       Errc::topic_not_found, false},
      {"TOPIC_SUBSCRIBE by smoke", topic_subscribe(2, "orders", "smoke", "q"),
       Errc::invalid_argument, false},
      {"TOPIC_SUBSCRIBE with an attribute of topics",
       topic_subscribe(2, "orders", "sqs", "q", {{"FifoTopic", "true"}}), Errc::invalid_argument,
       false},
      {"SUBSCRIPTION_SET of none",
       frame(Opcode::subscription_set, 2, ByteString(16, std::byte{1}) + settings_bytes({}, {})),
       Errc::subscription_not_found, false},
      {"SUBSCRIPTION_SET with a tag",
       frame(Opcode::subscription_set, 2,
             ByteString(16) + settings_bytes({}, {.tags = {{"a", "b"}}})),
       Errc::malformed, true},
      {"TOPIC_UNSUBSCRIBE of none",
       frame(Opcode::topic_unsubscribe, 2, ByteString(16, std::byte{1})),
       Errc::subscription_not_found, false},
      {"TOPIC_UNSUBSCRIBE cut", frame(Opcode::topic_unsubscribe, 2, ByteString(8)), Errc::malformed,
       true},
      {"SUBSCRIPTION_LIST of 0",
       frame(Opcode::subscription_list, 2, bytes_of(wire::TopicSubscriptionListBody{})),
       Errc::invalid_argument, false},
      {"SUBSCRIPTION_LIST with details 2",
       frame(Opcode::subscription_list, 2,
             bytes_of(wire::TopicSubscriptionListBody{1, 0, 0, 2, 0})),
       Errc::invalid_argument, false},
      {"87: SUBSCRIPTION_LIST with a name past the frame",
       frame(Opcode::subscription_list, 2,
             bytes_of(wire::TopicSubscriptionListBody{1, 0, 9, 0, 0})),
       Errc::malformed, true},
      {"SUBSCRIPTION_LIST of no topic",
       frame(Opcode::subscription_list, 2,
             bytes_of(wire::TopicSubscriptionListBody{1, 0, 6, 0, 0}) + padded("nobody")),
       Errc::topic_not_found, false},
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
    EXPECT_TRUE(peer.desk.published.empty()) << row.name;
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

TEST(Session, SaysHowLongAPrefixMayBe) {
  Peer peer;
  peer.greet();
  peer.say(frame(Opcode::queue_list, 2,
                 bytes_of(wire::ListBody{10, 161, 0}) + padded(std::string(161, 'p'))));
  EXPECT_EQ(peer.hear_one().error_text(),
            "a prefix of 161 and a name of 0 bytes; allowed are up to 80 of each");
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

}  // namespace
}  // namespace millrace::net::test
