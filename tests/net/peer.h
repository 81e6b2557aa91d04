// What a client says and hears, for tests: requests as bytes, and a session with its output read
// back as frames.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "millrace/wire.h"
#include "net/binary/session.h"
#include "tests/net/fake_desk.h"
#include "tests/net/fake_port.h"
#include "tests/net/fake_topics.h"

namespace millrace::net::test {

using ByteString = std::vector<std::byte>;

inline uint64_t checksum_of(Bytes frame) {
  ByteString hashed(frame.begin(), frame.begin() + 16);
  hashed.insert(hashed.end(), frame.begin() + 24, frame.end());
  return base::hash64(hashed, wire::kMagic);
}

inline ByteString frame(uint8_t opcode, uint64_t correlation, Bytes body) {
  const wire::FrameHeader header{
      static_cast<uint32_t>(sizeof header + body.size()), opcode, 0, 0, correlation, 0};
  ByteString bytes(sizeof header + body.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!body.empty()) std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
  const uint64_t checksum = checksum_of(bytes);
  std::memcpy(bytes.data() + 16, &checksum, sizeof checksum);
  return bytes;
}
inline ByteString frame(wire::Opcode opcode, uint64_t correlation, Bytes body = {}) {
  return frame(static_cast<uint8_t>(opcode), correlation, body);
}
// The checksum again, after the test has changed something else.
inline void reseal(ByteString& frame) {
  const uint64_t checksum = checksum_of(frame);
  std::memcpy(frame.data() + 16, &checksum, sizeof checksum);
}

inline ByteString operator+(ByteString a, const ByteString& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
template <class T>
ByteString bytes_of(const T& value) {
  const Bytes bytes = std::as_bytes(std::span<const T>(&value, 1));
  return {bytes.begin(), bytes.end()};
}
inline ByteString padded(std::string_view text) {
  ByteString bytes(padded8(text.size()));
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}
inline ByteString message(std::string_view body) {
  return bytes_of(MessageHeader{static_cast<uint32_t>(body.size()), 0, kDelayQueueDefault, 0}) +
         padded(body);
}

inline ByteString hello(uint64_t correlation = 1, std::string_view name = {}) {
  return frame(wire::Opcode::hello, correlation,
               bytes_of(wire::Hello{wire::kMagic, wire::kVersion, wire::kVersion,
                                    static_cast<uint16_t>(name.size()), 0}) +
                   padded(name));
}
inline ByteString send(uint64_t correlation, QueueId queue,
                       const std::vector<std::string>& bodies) {
  ByteString body = bytes_of(wire::SendBody{raw(queue), static_cast<uint32_t>(bodies.size())});
  for (const std::string& text : bodies)
    body = std::move(body) + message(text);
  return frame(wire::Opcode::send, correlation, body);
}
inline ByteString receive(uint64_t correlation, QueueId queue, uint32_t max, uint32_t wait_ms = 0) {
  return frame(wire::Opcode::receive, correlation,
               bytes_of(wire::ReceiveBody{raw(queue), max, 0, kDelayQueueDefault, wait_ms, 0}));
}
inline ByteString subscribe(uint64_t correlation, QueueId queue, uint32_t max, uint64_t credit) {
  return frame(wire::Opcode::subscribe, correlation,
               bytes_of(wire::SubscribeBody{raw(queue), max, 0, kDelayQueueDefault, credit}));
}
inline ByteString ack(uint64_t correlation, const std::vector<Receipt>& receipts) {
  ByteString body = bytes_of(wire::CountBody{static_cast<uint32_t>(receipts.size()), 0});
  for (const Receipt& receipt : receipts)
    body = std::move(body) + bytes_of(receipt);
  return frame(wire::Opcode::ack, correlation, body);
}

inline void add_texts(std::string& to, const std::vector<NamedText>& texts) {
  for (const NamedText& text : texts) {
    const wire::TextItem item{static_cast<uint32_t>(text.value.size()),
                              static_cast<uint16_t>(text.name.size()), 0};
    to.append(reinterpret_cast<const char*>(&item), sizeof item).append(text.name);
    to.append(text.value);
  }
}
// SettingsBody, name and TextItems.
inline ByteString settings_bytes(std::string_view name, const QueueSettings& settings) {
  const wire::SettingsBody head{
      static_cast<uint16_t>(name.size()), static_cast<uint16_t>(settings.attributes.size()),
      static_cast<uint16_t>(settings.tags.size()), static_cast<uint16_t>(settings.untagged.size())};
  std::string texts(name);
  add_texts(texts, settings.attributes);
  add_texts(texts, settings.tags);
  for (const std::string& tag : settings.untagged)
    add_texts(texts, {{tag, {}}});
  return bytes_of(head) + padded(texts);
}
inline ByteString queue_create(uint64_t correlation, std::string_view name,
                               const QueueSettings& settings = {}) {
  return frame(wire::Opcode::queue_create, correlation, settings_bytes(name, settings));
}
inline ByteString queue_set(uint64_t correlation, QueueId queue, const QueueSettings& settings) {
  return frame(wire::Opcode::queue_set, correlation,
               bytes_of(wire::QueueRef{raw(queue), 0}) + settings_bytes({}, settings));
}
inline ByteString queue_stats(uint64_t correlation, QueueId queue, uint32_t texts) {
  const uint32_t ids[2] = {raw(queue), 0};
  return frame(wire::Opcode::queue_stats, correlation,
               bytes_of(wire::StatsBody{1, texts}) + bytes_of(ids));
}
// Properties that go with every message of a SEND.
inline ByteString send_with(uint64_t correlation, QueueId queue, std::string_view properties,
                            const std::vector<std::string>& bodies) {
  ByteString body = bytes_of(wire::SendBody{raw(queue), static_cast<uint32_t>(bodies.size())});
  for (const std::string& text : bodies)
    body =
        std::move(body) +
        bytes_of(MessageHeader{static_cast<uint32_t>(text.size()),
                               static_cast<uint32_t>(properties.size()), kDelayQueueDefault, 0}) +
        padded(std::string(properties) + text);
  return frame(wire::Opcode::send, correlation, body);
}

inline ByteString topic_frame(wire::Opcode opcode, uint64_t correlation, std::string_view name,
                              const TopicSettings& settings) {
  return frame(opcode, correlation, settings_bytes(name, settings));
}
inline ByteString topic_subscribe(uint64_t correlation, std::string_view topic,
                                  std::string_view protocol, std::string_view endpoint,
                                  const std::vector<NamedText>& attributes = {}) {
  const wire::TopicSubscribeBody head{
      static_cast<uint16_t>(topic.size()), static_cast<uint16_t>(protocol.size()),
      static_cast<uint16_t>(endpoint.size()), static_cast<uint16_t>(attributes.size())};
  std::string texts = std::string(topic).append(protocol).append(endpoint);
  add_texts(texts, attributes);
  return frame(wire::Opcode::topic_subscribe, correlation, bytes_of(head) + padded(texts));
}
struct Published {
  std::string message;
  std::string subject{};
  std::string properties{};
  bool structured = false;
};
inline ByteString publish(uint64_t correlation, std::string_view topic,
                          const std::vector<Published>& messages) {
  ByteString body = bytes_of(wire::PublishBody{static_cast<uint32_t>(messages.size()),
                                               static_cast<uint16_t>(topic.size()), 0}) +
                    padded(topic);
  for (const Published& one : messages) {
    wire::PublishItem item{};
    item.message_bytes = static_cast<uint32_t>(one.message.size());
    item.properties_bytes = static_cast<uint32_t>(one.properties.size());
    item.subject_bytes = static_cast<uint16_t>(one.subject.size());
    item.structured = one.structured ? 1 : 0;
    body = std::move(body) + bytes_of(item) + padded(one.properties + one.subject + one.message);
  }
  return frame(wire::Opcode::publish, correlation, body);
}

struct Answer {
  wire::FrameHeader header{};
  ByteString body;

  Errc status() const { return static_cast<Errc>(header.status); }
  bool is(wire::Opcode opcode) const {
    return header.opcode == (static_cast<uint8_t>(opcode) | wire::kReplyBit);
  }
  bool is_error(Errc code) const {
    return header.opcode == static_cast<uint8_t>(wire::Opcode::error) && status() == code;
  }
  // What lies behind so many bytes, as text.
  std::string_view text_at(size_t offset) const {
    return as_text(body).substr(std::min(offset, body.size()));
  }
  template <class T>
  T as(size_t offset = 0) const {
    T value;
    MR_ASSERT(offset + sizeof value <= body.size());
    std::memcpy(&value, body.data() + offset, sizeof value);
    return value;
  }
  std::string error_text() const {
    const auto head = as<wire::ErrorBody>();
    return {reinterpret_cast<const char*>(body.data()) + sizeof head, head.text_bytes};
  }
  std::vector<Receipt> receipts() const {
    std::vector<Receipt> found;
    for (uint32_t i = 0; i < as<wire::DeliveryHeader>().count; ++i) {
      found.push_back(
          as<wire::DeliveryEntry>(sizeof(wire::DeliveryHeader) + i * sizeof(wire::DeliveryEntry))
              .receipt);
    }
    return found;
  }
};

// The frames at the start of `bytes`, which must be whole and have the right checksum.
inline std::vector<Answer> parse(Bytes bytes) {
  std::vector<Answer> answers;
  while (!bytes.empty()) {
    Answer answer;
    MR_ASSERT(bytes.size() >= sizeof answer.header);
    std::memcpy(&answer.header, bytes.data(), sizeof answer.header);
    MR_ASSERT(answer.header.length <= bytes.size() && answer.header.length % 8 == 0);
    const Bytes whole = bytes.first(answer.header.length);
    MR_ASSERT(checksum_of(whole) == answer.header.checksum);
    answer.body.assign(whole.begin() + sizeof answer.header, whole.end());
    answers.push_back(std::move(answer));
    bytes = bytes.subspan(whole.size());
  }
  return answers;
}

// A session on a FakePort. hear() is what a socket would carry to the client.
class Peer : public ConversationHost {
 public:
  // What a session of a server with credentials has besides.
  struct Guard {
    Gatekeeper* gatekeeper = nullptr;
    AuditLog* audit = nullptr;
    bool secure = false;
    TopicDesk* desk = nullptr;  // null: its own
  };
  explicit Peer(const Limits& limits = {}) : Peer(limits, Guard{}) {}
  Peer(const Limits& limits, const Guard& guard)
      : setting_{.port = &port,
                 .pool = &pool,
                 .host = this,
                 .gatekeeper = guard.gatekeeper,
                 .topics = guard.desk != nullptr ? guard.desk : &desk,
                 .audit = guard.audit,
                 .secure = guard.secure,
                 .limits = limits,
                 .shards = 4,
                 .durability = Durability::commit},
        session(setting_, 7) {
    port.topic_port = &topics;
  }

  // One piece, as a socket brings it: 8-byte aligned.
  void say(const ByteString& bytes) {
    piece_ = bytes;
    session.feed(piece_);
  }
  // Greets and forgets the answer.
  void greet() {
    say(hello());
    hear();
  }
  std::vector<Answer> hear() {
    std::vector<Answer> answers;
    for (int turns = 0; turns < 1000; ++turns) {
      port.tick();
      dirty = false;
      const bool more = session.settle();
      if (session.output().pending() == 0 && more) continue;
      if (session.output().pending() == 0) break;
      const Bytes stretch = session.output().start_sending();
      for (Answer& answer : parse(stretch))
        answers.push_back(std::move(answer));
      session.output().sent(stretch.size());
    }
    return answers;
  }
  Answer hear_one() {
    std::vector<Answer> answers = hear();
    MR_ASSERT(answers.size() == 1);
    return answers.front();
  }

  void conversation_dirty(Conversation&) override { dirty = true; }
  void shard_fenced() override { ++fences; }

  FakeTopics topics;
  FakeDesk desk;
  FakePort port;
  BufferPool pool;
  bool dirty = false;
  int fences = 0;

 private:
  SessionSetting setting_;
  ByteString piece_;

 public:
  Session session;
};

}  // namespace millrace::net::test
