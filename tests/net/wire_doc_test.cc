// docs/wire-protocol.md against the structs it documents, and its worked bytes against a session.
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

struct Field {
  std::string name;
  size_t offset;
  size_t size;
  friend bool operator==(const Field&, const Field&) = default;
};
void PrintTo(const Field& field, std::ostream* out) {
  *out << field.name << " at " << field.offset << ", " << field.size << " bytes";
}
struct Layout {
  std::vector<Field> fields;
  size_t size = 0;
};

#define FIELD(type, member)                               \
  Field {                                                 \
#member, offsetof(type, member), sizeof(type::member) \
  }

std::map<std::string, Layout> layouts() {
  using namespace wire;
  std::map<std::string, Layout> all;
#define STRUCT(type, ...) all[#type] = Layout{{__VA_ARGS__}, sizeof(type)}
#define F(member) FIELD(S, member)
  {
    using S = FrameHeader;
    STRUCT(FrameHeader, F(length), F(opcode), F(flags), F(status), F(correlation), F(checksum));
  }
  {
    using S = Hello;
    STRUCT(Hello, F(magic), F(version_min), F(version_max), F(name_bytes), F(reserved));
  }
  {
    using S = Welcome;
    STRUCT(Welcome, F(magic), F(version), F(shards), F(shard), F(durability), F(login),
           F(frame_bytes_max), F(batch_messages_max), F(message_bytes_max), F(inflight_max));
  }
  {
    using S = Login;
    STRUCT(Login, F(nonce), F(key_bytes), F(binding), F(reserved));
  }
  {
    using S = LoginChallenge;
    STRUCT(LoginChallenge, F(nonce), F(salt), F(iterations), F(reserved));
  }
  {
    using S = LoginProof;
    STRUCT(LoginProof, F(proof));
  }
  {
    using S = LoginAnswer;
    STRUCT(LoginAnswer, F(signature));
  }
  {
    using S = QueueRef;
    STRUCT(QueueRef, F(queue_id), F(reserved));
  }
  {
    using S = SendBody;
    STRUCT(SendBody, F(queue_id), F(count));
  }
  {
    using S = SendAnswer;
    STRUCT(SendAnswer, F(position), F(shard_slot), F(count), F(durability), F(scattered),
           F(reserved));
  }
  {
    using S = ReceiveBody;
    STRUCT(ReceiveBody, F(queue_id), F(messages_max), F(bytes_max), F(visibility_ms), F(wait_ms),
           F(attempt_bytes));
  }
  {
    using S = DeliveryHeader;
    STRUCT(DeliveryHeader, F(count), F(run_bytes));
  }
  {
    using S = DeliveryEntry;
    STRUCT(DeliveryEntry, F(receipt), F(sent_at_ms), F(receive_count), F(run_offset));
  }
  {
    using S = CountBody;
    STRUCT(CountBody, F(count), F(reserved));
  }
  {
    using S = ExtendItem;
    STRUCT(ExtendItem, F(receipt), F(visibility_ms), F(lease_ms_max));
  }
  {
    using S = ResultsAnswer;
    STRUCT(ResultsAnswer, F(count), F(failed));
  }
  {
    using S = SubscribeBody;
    STRUCT(SubscribeBody, F(queue_id), F(messages_max), F(bytes_max), F(visibility_ms), F(credit));
  }
  {
    using S = SubscriptionRef;
    STRUCT(SubscriptionRef, F(subscription));
  }
  {
    using S = CreditBody;
    STRUCT(CreditBody, F(subscription), F(messages));
  }
  {
    using S = CancelBody;
    STRUCT(CancelBody, F(correlation));
  }
  {
    using S = PeekBody;
    STRUCT(PeekBody, F(queue_id), F(messages_max), F(states), F(reserved));
  }
  {
    using S = PeekItem;
    STRUCT(PeekItem, F(shard_slot), F(sent_at_ms), F(due_ms), F(receive_count), F(state),
           F(reserved), F(holder_bytes), F(run_offset), F(holder_offset), F(first_received_at_ms),
           F(last_received_at_ms));
  }
  {
    using S = SettingsBody;
    STRUCT(SettingsBody, F(name_bytes), F(attributes), F(tags), F(untagged));
  }
  {
    using S = TextItem;
    STRUCT(TextItem, F(value_bytes), F(name_bytes), F(reserved));
  }
  {
    using S = StatsBody;
    STRUCT(StatsBody, F(count), F(details));
  }
  {
    using S = ListBody;
    STRUCT(ListBody, F(max), F(prefix_bytes), F(after_bytes));
  }
  {
    using S = QueueItem;
    STRUCT(QueueItem, F(queue_id), F(text_bytes), F(name_bytes), F(attributes), F(tags),
           F(first_shard), F(created_at_ms), F(modified_at_ms), F(ready), F(leased), F(delayed),
           F(bytes), F(sent), F(received), F(acked), F(expired), F(empty_receives),
           F(oldest_sent_at_ms), F(redelivered), F(dead_lettered), F(aged_out), F(times),
           F(reserved));
  }
  {
    using S = TimesItem;
    STRUCT(TimesItem, F(sum_ms), F(counts));
  }
  {
    using S = QueueTimesItem;
    STRUCT(QueueTimesItem, F(wait), F(lease));
  }
  {
    using S = ShardItem;
    STRUCT(ShardItem, F(shard), F(fenced), F(disk_full), F(reserved), F(head), F(end), F(durable),
           F(live_bytes), F(disk_bytes), F(bytes_written), F(syncs), F(index_bytes), F(ticks),
           F(busy_ticks));
  }
  {
    using S = MoveStartBody;
    STRUCT(MoveStartBody, F(source), F(destination), F(rate), F(reserved));
  }
  {
    using S = MoveCancelBody;
    STRUCT(MoveCancelBody, F(source), F(reserved), F(task));
  }
  {
    using S = MoveListBody;
    STRUCT(MoveListBody, F(source), F(max));
  }
  {
    using S = MoveTaskItem;
    STRUCT(MoveTaskItem, F(task), F(source), F(destination), F(rate), F(state), F(reserved),
           F(name_bytes), F(failure_bytes), F(reserved2), F(reserved3), F(moved), F(to_move),
           F(started_at_ms), F(ended_at_ms));
  }
  {
    using S = TopicItem;
    STRUCT(TopicItem, F(topic_id), F(text_bytes), F(name_bytes), F(arn_bytes), F(attributes),
           F(tags), F(created_at_ms), F(confirmed), F(pending), F(published), F(delivered),
           F(filtered), F(failed));
  }
  {
    using S = TopicSubscribeBody;
    STRUCT(TopicSubscribeBody, F(topic_bytes), F(protocol_bytes), F(endpoint_bytes), F(attributes));
  }
  {
    using S = TopicSubscriptionRef;
    STRUCT(TopicSubscriptionRef, F(uuid));
  }
  {
    using S = TopicSubscriptionListBody;
    STRUCT(TopicSubscriptionListBody, F(max), F(after), F(topic_bytes), F(details), F(reserved));
  }
  {
    using S = TopicSubscriptionItem;
    STRUCT(TopicSubscriptionItem, F(uuid), F(subscription_id), F(text_bytes), F(created_at_ms),
           F(topic_bytes), F(protocol_bytes), F(endpoint_bytes), F(queue_bytes), F(attributes),
           F(pending), F(reserved));
  }
  {
    using S = PublishBody;
    STRUCT(PublishBody, F(count), F(topic_bytes), F(reserved));
  }
  {
    using S = PublishItem;
    STRUCT(PublishItem, F(message_bytes), F(properties_bytes), F(subject_bytes), F(structured),
           F(reserved));
  }
  {
    using S = PublishResult;
    STRUCT(PublishResult, F(message_id), F(sequence), F(code), F(text_bytes), F(reserved));
  }
  {
    using S = BackupAnswer;
    STRUCT(BackupAnswer, F(backup), F(server_time_ms), F(logs), F(reserved));
  }
  {
    using S = BackupLogItem;
    STRUCT(BackupLogItem, F(head), F(end), F(segment_bytes), F(log_id), F(reserved), F(files));
  }
  {
    using S = BackupFileItem;
    STRUCT(BackupFileItem, F(sequence), F(bytes));
  }
  {
    using S = BackupReadBody;
    STRUCT(BackupReadBody, F(backup), F(sequence), F(offset), F(bytes), F(log_id), F(reserved));
  }
  {
    using S = BackupBytes;
    STRUCT(BackupBytes, F(bytes), F(reserved));
  }
  {
    using S = BackupEndBody;
    STRUCT(BackupEndBody, F(backup));
  }
  {
    using S = ErrorBody;
    STRUCT(ErrorBody, F(code), F(text_bytes), F(entry_index));
  }
  {
    using S = MessageHeader;
    STRUCT(MessageHeader, F(body_bytes), F(properties_bytes), F(delay_ms), F(record_offset));
  }
  {
    using S = Receipt;
    STRUCT(Receipt, F(shard_slot), F(queue_id), F(generation), F(mac));
  }
#undef F
#undef STRUCT
  return all;
}

std::vector<std::string> page() {
  std::ifstream in(MILLRACE_SOURCE_DIR "/docs/wire-protocol.md");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> found;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    const size_t from = cell.find_first_not_of(" `*");
    const size_t to = cell.find_last_not_of(" `*");
    found.push_back(from == std::string::npos ? "" : cell.substr(from, to - from + 1));
  }
  return found;
}

std::map<std::string, Layout> documented() {
  std::map<std::string, Layout> all;
  Layout* current = nullptr;
  for (const std::string& line : page()) {
    if (line.empty() || line[0] != '|') {
      current = nullptr;
      continue;
    }
    const std::vector<std::string> row = cells(line);
    if (row.size() >= 4 && row[0] == "offset") {
      current = &all[row[3]];
    } else if (current != nullptr && row.size() >= 4 && row[0].find('-') == std::string::npos) {
      if (row[3] == "total") {
        current->size = std::stoul(row[0]);
      } else {
        current->fields.push_back({row[3], std::stoul(row[0]), std::stoul(row[1])});
      }
    }
  }
  return all;
}

TEST(WireDocument, TablesAreTheStructs) {
  const std::map<std::string, Layout> expected = layouts();
  const std::map<std::string, Layout> found = documented();
  for (const auto& [name, layout] : expected) {
    const auto table = found.find(name);
    ASSERT_NE(table, found.end()) << "no table of " << name;
    EXPECT_EQ(table->second.fields, layout.fields) << name;
    EXPECT_EQ(table->second.size, layout.size) << name;
  }
  EXPECT_EQ(found.size(), expected.size());
}

TEST(WireDocument, LimitsAreTheOnesInForce) {
  std::map<std::string, uint64_t> bounds;
  for (const std::string& line : page()) {
    if (line.empty() || line[0] != '|') continue;
    const std::vector<std::string> row = cells(line);
    if (row.size() == 3 && !row[1].empty() && isdigit(static_cast<unsigned char>(row[1][0])) != 0) {
      bounds[row[0]] = std::stoull(row[1]);
    }
  }
  const Limits limits;
  const std::pair<const char*, uint64_t> expected[] = {
      {"frame before WELCOME, and before the log-in if one is wanted",
       wire::kPreLoginFrameBytesMax},
      {"frame", limits.frame_bytes_max},
      {"messages of a SEND or RECEIVE, entries of an ACK or EXTEND", kBatchMessagesMax},
      {"bytes of a SEND's run", kBatchBytesMax},
      {"a TOPIC_CREATE, TOPIC_SET, TOPIC_SUBSCRIBE or SUBSCRIPTION_SET",
       wire::kTopicSettingsBytesMax},
      {"messages of a PUBLISH", wire::kPublishMessagesMax},
      {"bytes of a PUBLISH's messages and their attributes", wire::kPublishBytesMax},
      {"properties and body of a message", kMessageBytesMax},
      {"requests under way on a connection", limits.inflight_max},
      {"output waiting on a connection", limits.output_bytes_max},
      {"subscriptions of a connection", Subscriptions::kMax},
      {"connections", limits.connections_max},
      {"connections of an address that have not said HELLO, or not logged in if that is wanted",
       limits.prelogin_per_address_max},
      {"time to HELLO, and to the log-in if one is wanted", limits.login_ms},
      {"output waiting and nothing of it read", limits.stalled_output_ms},
      {"a frame, from its first byte to its last", limits.frame_ms},
      {"held of frames under way, over 65536 bytes each: all of a shard", limits.input_bytes_max},
      {"the next 65536 bytes of such a frame, while others wait for room", limits.stalled_input_ms},
  };
  for (const auto& [what, bound] : expected)
    EXPECT_EQ(bounds[what], bound) << what;
}

// The example's frames, in order: '>' and bytes, or '<' and bytes.
std::vector<std::pair<char, ByteString>> worked_bytes() {
  std::vector<std::pair<char, ByteString>> frames;
  bool inside = false;
  for (const std::string& line : page()) {
    if (line.rfind("## ", 0) == 0) inside = line == "## Worked bytes";
    if (!inside || line.empty()) continue;
    if (line[0] == '>' || line[0] == '<') {
      frames.push_back({line[0], {}});
    } else if (line[0] != ' ' || frames.empty()) {
      continue;
    }
    std::istringstream in(line.substr(1));
    for (std::string word; in >> word;) {
      if (word == "#") break;
      frames.back().second.push_back(static_cast<std::byte>(std::stoi(word, nullptr, 16)));
    }
  }
  return frames;
}

std::string hex_lines(char direction, const ByteString& bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 24 == 0) text += i == 0 ? std::string(1, direction) : "\n ";
    constexpr char kDigits[] = "0123456789abcdef";
    const auto value = std::to_integer<unsigned>(bytes[i]);
    text += {' ', kDigits[value >> 4], kDigits[value & 15]};
  }
  return text + "\n";
}

TEST(WireDocument, WorkedBytesAreWhatASessionSays) {
  Peer peer;
  const QueueId queue = peer.port.add_queue("q");
  peer.port.add_queue("other");
  const auto written = worked_bytes();
  std::string expected;
  size_t next = 0;
  const auto play = [&](const ByteString& request) {
    expected += hex_lines('>', request);
    peer.say(request);
    std::vector<Receipt> receipts;
    for (const Answer& answer : peer.hear()) {
      const ByteString bytes = bytes_of(answer.header) + answer.body;
      expected += hex_lines('<', bytes);
      if (answer.is(wire::Opcode::receive)) receipts = answer.receipts();
      if (next + 1 < written.size()) {
        EXPECT_EQ(written[next].second, request);
        EXPECT_EQ(written[next + 1].second, bytes);
      }
      next += 2;
    }
    return receipts;
  };
  play(hello());
  play(send(2, queue, {"hello", "world!"}));
  const std::vector<Receipt> receipts = play(receive(3, queue, 10));
  play(ack(4, receipts));
  play(frame(wire::Opcode::resolve, 5, padded("nobody")));
  play(frame(wire::Opcode::move_start, 6, bytes_of(wire::MoveStartBody{raw(queue), 2, 25, 0})));
  EXPECT_EQ(written.size(), next) << "the page should say:\n" << expected;
}

}  // namespace
}  // namespace millrace::net::test
