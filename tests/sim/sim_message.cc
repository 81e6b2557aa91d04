#include "tests/sim/sim_message.h"

#include <cstring>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/prng.h"
#include "base/uuid.h"

namespace millrace::sim {
namespace {

// The body of a key: the key, then bytes that follow from it. 8 to ~300 bytes, now and then 4 KiB.
std::vector<std::byte> body_of(Key key) {
  base::Prng prng(key * 2654435761u + 17);
  const uint64_t extra = prng.chance(1, 40) ? prng.below(4096) : prng.below(300);
  std::vector<std::byte> body(sizeof(Key) + extra);
  std::memcpy(body.data(), &key, sizeof key);
  for (size_t i = sizeof key; i < body.size(); ++i)
    body[i] = static_cast<std::byte>(prng.next() & 0xFF);
  return body;
}

std::string group_name(uint64_t group) {
  return fmt::format("group-{}", group);
}

constexpr std::string_view kPublished = "published";

std::vector<std::byte> published_body(Key root) {
  std::vector<std::byte> body = body_of(root);
  const std::string place(kUuidTextBytes, '-');
  const Bytes bytes = as_bytes(place);
  body.insert(body.begin() + kPublishedStampAt, bytes.begin(), bytes.end());
  return body;
}

// The key that a stamp's text is of; 0: it is of none.
Key key_in(Bytes text) {
  const auto uuid = base::parse_uuid(as_text(text));
  Key key = 0;
  if (uuid) std::memcpy(&key, uuid->data(), sizeof key);
  return uuid && *uuid == stamp_of(key) ? key : 0;
}

uint64_t hash_of(Bytes body, std::string_view group) {
  const uint64_t hash = base::hash64(body, 0);
  return group.empty() ? hash : base::hash64(as_bytes(group), hash);
}

}  // namespace

uint64_t content_hash(const SimMessage& message) {
  return hash_of(body_of(message.root), message.group == 0 ? "" : group_name(message.group));
}

void append_message(std::vector<std::byte>& run, const SimMessage& message) {
  const std::vector<std::byte> body = body_of(message.root);
  std::string properties;
  if (message.group != 0)
    append_property(properties, PropertyTag::group, as_bytes(group_name(message.group)));
  if (message.with_id)
    append_property(properties, PropertyTag::deduplication_id,
                    as_bytes(fmt::format("id-{}", message.root)));
  if (!message.plain)
    append_property(properties, PropertyTag::attribute, "key", "Binary",
                    std::as_bytes(std::span(&message.key, 1)));
  const MessageHeader header{static_cast<uint32_t>(body.size()),
                             static_cast<uint32_t>(properties.size()), message.delay_ms, 0};
  const size_t at = run.size();
  run.resize(at + message_stride(header));
  std::memcpy(run.data() + at, &header, sizeof header);
  std::memcpy(run.data() + at + sizeof header, properties.data(), properties.size());
  std::memcpy(run.data() + at + sizeof header + properties.size(), body.data(), body.size());
}

// The key, twice.
Uuid stamp_of(Key key) {
  Uuid uuid;
  std::memcpy(uuid.data(), &key, sizeof key);
  std::memcpy(uuid.data() + sizeof key, &key, sizeof key);
  return uuid;
}

uint64_t published_hash(Key root, Key key) {
  std::vector<std::byte> body = published_body(root);
  const std::string text = base::uuid_text(stamp_of(key));
  std::memcpy(body.data() + kPublishedStampAt, text.data(), text.size());
  return hash_of(body, "");
}

void append_published(std::vector<std::byte>& run, Key root) {
  const std::vector<std::byte> body = published_body(root);
  std::string properties;
  append_property(properties, PropertyTag::attribute, kPublished, "String",
                  as_bytes(std::string_view("1")));
  const MessageHeader header{static_cast<uint32_t>(body.size()),
                             static_cast<uint32_t>(properties.size()), 0, 0};
  const size_t at = run.size();
  run.resize(at + message_stride(header));
  std::memcpy(run.data() + at, &header, sizeof header);
  std::memcpy(run.data() + at + sizeof header, properties.data(), properties.size());
  std::memcpy(run.data() + at + sizeof header + properties.size(), body.data(), body.size());
}

std::optional<SimContent> read_delivered(const Delivery& delivery) {
  if (delivery.stamp.uuid == nullptr) return read_message(delivery.message);
  std::vector<std::byte> copy(delivery.message.begin(), delivery.message.end());
  put_stamp(delivery.stamp, copy.data());
  return read_message(copy);
}

std::optional<SimContent> read_message(Bytes message) {
  MessageHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  const Bytes properties = message.subspan(sizeof header, header.properties_bytes);
  const Bytes body = message.subspan(sizeof header + header.properties_bytes, header.body_bytes);
  SimContent content;
  if (body.size() < sizeof content.key) return std::nullopt;
  std::memcpy(&content.key, body.data(), sizeof content.key);
  std::string_view group;
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    if (property->tag == PropertyTag::group) group = as_text(property->value);
    if (property->tag == PropertyTag::attribute && property->value.size() == sizeof content.key)
      std::memcpy(&content.key, property->value.data(), sizeof content.key);
    if (property->tag == PropertyTag::attribute && property->name == kPublished) {
      if (body.size() < kPublishedStampAt + kUuidTextBytes) return std::nullopt;
      content.key = key_in(body.subspan(kPublishedStampAt, kUuidTextBytes));
    }
    if (property->tag == PropertyTag::moved && property->value.size() == sizeof(MovedFrom))
      std::memcpy(&content.moved.emplace(), property->value.data(), sizeof(MovedFrom));
  }
  if (!reader.whole()) return std::nullopt;
  content.hash = hash_of(body, group);
  return content;
}

}  // namespace millrace::sim
