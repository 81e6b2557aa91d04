// The body of a queue_put record: everything a queue was told comes back, what was written before
// there were texts is read as ever, and what is not understood is refused by name.
#include <gtest/gtest.h>

#include "engine/catalog.h"

namespace millrace::engine {
namespace {

QueueInfo full_queue() {
  QueueInfo queue;
  queue.id = QueueId{7};
  queue.name = "orders.fifo";
  queue.created_at_ms = 1'000;
  queue.modified_at_ms = 2'000;
  queue.first_shard = ShardId{1};
  queue.attributes = {.visibility_timeout_ms = 1,
                      .delay_ms = 2,
                      .message_bytes_max = 2'000,
                      .receive_wait_ms = 3,
                      .durability = Durability::interval,
                      .retention_ms = 61'500,
                      .in_flight_max = 5,
                      .fifo = true,
                      .partitions = 2,
                      .content_deduplication = true,
                      .deduplication_scope = DeduplicationScope::group,
                      .throughput_limit = ThroughputLimit::group,
                      .dead_letter_queue = "failed.fifo",
                      .receives_max = 4,
                      .redrive_permission = RedrivePermission::by_queue,
                      .redrive_sources = {"a.fifo", "b.fifo"},
                      .policy = R"({"Statement":[]})",
                      .managed_encryption = false,
                      .kms_key = "alias/k",
                      .kms_reuse_s = 60,
                      .tags = {{"cost", "1"}, {"team", ""}}};
  return queue;
}

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

std::string refusal(Bytes body) {
  std::string why;
  EXPECT_FALSE(decode_queue(body, &why).has_value());
  return why;
}

TEST(QueueDefinition, EverythingComesBack) {
  const QueueInfo queue = full_queue();
  std::string why;
  const auto read = decode_queue(encode_queue(queue), &why);
  ASSERT_TRUE(read.has_value()) << why;
  EXPECT_EQ(read->id, queue.id);
  EXPECT_EQ(read->name, queue.name);
  EXPECT_EQ(read->created_at_ms, queue.created_at_ms);
  EXPECT_EQ(read->modified_at_ms, queue.modified_at_ms);
  EXPECT_EQ(read->first_shard, queue.first_shard);
  EXPECT_EQ(read->attributes, queue.attributes);
}

// Bytes of the first builds of version 1, which knew no texts.
TEST(QueueDefinition, WhatHasNoTextsHasTheDefaults) {
  const auto body = from_hex(
      "07000000"  // id
      "06000000"  // bytes of the name
      "00acb80be8030000"
      "30750000"  // visibility
      "05000000"  // delay
      "00001000"  // message bytes
      "00000000"  // wait
      "02"        // durability
      "00"        // flags
      "0000"      // partitions
      "0000"      // first shard
      "0000"      // texts
      "6f7264657273");
  std::string why;
  const auto read = decode_queue(body, &why);
  ASSERT_TRUE(read.has_value()) << why;
  EXPECT_EQ(read->name, "orders");
  EXPECT_EQ(read->attributes, (QueueAttributes{.delay_ms = 5, .durability = Durability::commit}));
  EXPECT_EQ(read->modified_at_ms, read->created_at_ms);
  EXPECT_EQ(encode_queue(*read), body);
}

TEST(QueueDefinition, WhatThisVersionDoesNotKnowIsRefusedByName) {
  const auto with_text = [](uint8_t kind, std::string_view name, std::string_view value) {
    QueueInfo queue;
    queue.id = QueueId{7};
    queue.name = "orders";
    auto body = encode_queue(queue);
    body[offsetof(QueueDefinition, texts)] = std::byte{1};
    const DefinitionText head{kind, 0, static_cast<uint16_t>(name.size()),
                              static_cast<uint32_t>(value.size())};
    for (const Bytes part : {bytes_of(head), as_bytes(name), as_bytes(value)})
      body.insert(body.end(), part.begin(), part.end());
    return body;
  };
  std::string why;
  EXPECT_TRUE(decode_queue(with_text(1, "InFlightMax", "9"), &why).has_value());
  EXPECT_EQ(refusal(with_text(1, "Colour", "red")),
            "the queue 'orders' has an attribute 'Colour', which this version does not know");
  EXPECT_EQ(refusal(with_text(1, "InFlightMax", "many")),
            "the queue 'orders' has 'many' for its InFlightMax; to this version it may be 1 to "
            "1000000000");
  EXPECT_EQ(refusal(with_text(9, "", "")),
            "the queue 'orders' is defined by a text of kind 9, which this version does not know");
}

TEST(QueueDefinition, AnyCutIsRefused) {
  const auto body = encode_queue(full_queue());
  for (size_t size = 0; size < body.size(); ++size)
    EXPECT_NE(refusal(Bytes(body).first(size)), "") << size;
}

}  // namespace
}  // namespace millrace::engine
