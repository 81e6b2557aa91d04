// The page that documents the engine's records, against the structs.
#include "engine/records.h"

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

struct Layout {
  std::string heading;
  std::vector<std::string> rows;
};

#define ROW(type, field)                                                              \
  std::to_string(offsetof(type, field)) + " " + std::to_string(sizeof(type::field)) + \
      " `" #field "`"
#define LAYOUT(type, ...)                                          \
  Layout {                                                         \
    "### " #type ", " + std::to_string(sizeof(type)) + " bytes", { \
      __VA_ARGS__                                                  \
    }                                                              \
  }

std::vector<Layout> layouts() {
  return {
      LAYOUT(EnqueueHead, ROW(EnqueueHead, queue_id), ROW(EnqueueHead, count),
             ROW(EnqueueHead, first_slot), ROW(EnqueueHead, sent_at_ms),
             ROW(EnqueueHead, reserved)),
      LAYOUT(CarryHead, ROW(CarryHead, queue_id), ROW(CarryHead, receive_count),
             ROW(CarryHead, slot), ROW(CarryHead, sent_at_ms), ROW(CarryHead, due_ms),
             ROW(CarryHead, state), ROW(CarryHead, last_received_s),
             ROW(CarryHead, first_received_ms)),
      LAYOUT(DeadLetterHead, ROW(DeadLetterHead, queue_id), ROW(DeadLetterHead, receive_count),
             ROW(DeadLetterHead, slot), ROW(DeadLetterHead, sent_at_ms),
             ROW(DeadLetterHead, source_slot), ROW(DeadLetterHead, source_queue_id),
             ROW(DeadLetterHead, last_received_ms), ROW(DeadLetterHead, first_received_at_ms)),
      LAYOUT(MoveHead, ROW(MoveHead, queue_id), ROW(MoveHead, count), ROW(MoveHead, first_slot),
             ROW(MoveHead, sent_at_ms), ROW(MoveHead, source_queue_id), ROW(MoveHead, run_count)),
      LAYOUT(MoveInHead, ROW(MoveInHead, queue_id), ROW(MoveInHead, count),
             ROW(MoveInHead, first_slot), ROW(MoveInHead, sent_at_ms),
             ROW(MoveInHead, source_queue_id), ROW(MoveInHead, source_shard),
             ROW(MoveInHead, reserved)),
      LAYOUT(MoveIdsHead, ROW(MoveIdsHead, queue_id), ROW(MoveIdsHead, source_shard),
             ROW(MoveIdsHead, over), ROW(MoveIdsHead, reserved)),
      LAYOUT(MoveTaskHead, ROW(MoveTaskHead, task_id), ROW(MoveTaskHead, source_queue_id),
             ROW(MoveTaskHead, destination_queue_id), ROW(MoveTaskHead, rate),
             ROW(MoveTaskHead, state), ROW(MoveTaskHead, reserved), ROW(MoveTaskHead, name_bytes),
             ROW(MoveTaskHead, failure_bytes), ROW(MoveTaskHead, reserved2),
             ROW(MoveTaskHead, reserved3), ROW(MoveTaskHead, moved), ROW(MoveTaskHead, to_move),
             ROW(MoveTaskHead, started_at_ms), ROW(MoveTaskHead, ended_at_ms)),
      LAYOUT(SharedHead, ROW(SharedHead, references), ROW(SharedHead, stamp_at)),
      LAYOUT(PublishHead, ROW(PublishHead, topic_id), ROW(PublishHead, target_count),
             ROW(PublishHead, message_count), ROW(PublishHead, reserved),
             ROW(PublishHead, sent_at_ms), ROW(PublishHead, reserved2)),
      LAYOUT(PublishTarget, ROW(PublishTarget, queue_id), ROW(PublishTarget, delay_ms),
             ROW(PublishTarget, first_slot), ROW(PublishTarget, messages),
             ROW(PublishTarget, subscription_id), ROW(PublishTarget, reserved),
             ROW(PublishTarget, stamp)),
      LAYOUT(CarrySharedHead, ROW(CarrySharedHead, reference_count), ROW(CarrySharedHead, reserved),
             ROW(CarrySharedHead, reserved2), ROW(CarrySharedHead, sent_at_ms),
             ROW(CarrySharedHead, reserved3)),
      LAYOUT(SharedReference, ROW(SharedReference, queue_id), ROW(SharedReference, receive_count),
             ROW(SharedReference, slot), ROW(SharedReference, due_ms), ROW(SharedReference, state),
             ROW(SharedReference, last_received_s), ROW(SharedReference, first_received_ms),
             ROW(SharedReference, stamp)),
      LAYOUT(SlotRun, ROW(SlotRun, first_slot), ROW(SlotRun, count), ROW(SlotRun, reserved)),
      LAYOUT(LeaseHead, ROW(LeaseHead, queue_id), ROW(LeaseHead, run_count),
             ROW(LeaseHead, leased_at_ms), ROW(LeaseHead, visibility_ms), ROW(LeaseHead, reserved)),
      LAYOUT(ExtendHead, ROW(ExtendHead, queue_id), ROW(ExtendHead, count), ROW(ExtendHead, at_ms)),
      LAYOUT(ExtendMark, ROW(ExtendMark, slot), ROW(ExtendMark, generation),
             ROW(ExtendMark, visibility_ms)),
      LAYOUT(AckHead, ROW(AckHead, queue_id), ROW(AckHead, run_count)),
      LAYOUT(SlotEnd, ROW(SlotEnd, queue_id), ROW(SlotEnd, reserved), ROW(SlotEnd, slot_end)),
      LAYOUT(QueueDefinition, ROW(QueueDefinition, queue_id), ROW(QueueDefinition, name_bytes),
             ROW(QueueDefinition, created_at_ms), ROW(QueueDefinition, visibility_timeout_ms),
             ROW(QueueDefinition, delay_ms), ROW(QueueDefinition, message_bytes_max),
             ROW(QueueDefinition, receive_wait_ms), ROW(QueueDefinition, durability),
             ROW(QueueDefinition, flags), ROW(QueueDefinition, partitions),
             ROW(QueueDefinition, first_shard), ROW(QueueDefinition, texts)),
      LAYOUT(DefinitionText, ROW(DefinitionText, kind), ROW(DefinitionText, reserved),
             ROW(DefinitionText, name_bytes), ROW(DefinitionText, value_bytes)),
      LAYOUT(DedupHead, ROW(DedupHead, queue_id), ROW(DedupHead, count)),
      LAYOUT(DedupMark, ROW(DedupMark, id_low), ROW(DedupMark, id_high), ROW(DedupMark, slot),
             ROW(DedupMark, at_ms)),
      LAYOUT(QueueGone, ROW(QueueGone, queue_id), ROW(QueueGone, reserved)),
      LAYOUT(TopicDefinition, ROW(TopicDefinition, topic_id), ROW(TopicDefinition, name_bytes),
             ROW(TopicDefinition, created_at_ms), ROW(TopicDefinition, message_bytes_max),
             ROW(TopicDefinition, flags), ROW(TopicDefinition, reserved),
             ROW(TopicDefinition, home), ROW(TopicDefinition, texts),
             ROW(TopicDefinition, reserved2), ROW(TopicDefinition, reserved3)),
      LAYOUT(TopicGone, ROW(TopicGone, topic_id), ROW(TopicGone, reserved)),
      LAYOUT(SubscriptionDefinition, ROW(SubscriptionDefinition, subscription_id),
             ROW(SubscriptionDefinition, topic_id), ROW(SubscriptionDefinition, uuid),
             ROW(SubscriptionDefinition, created_at_ms),
             ROW(SubscriptionDefinition, protocol_bytes),
             ROW(SubscriptionDefinition, endpoint_bytes), ROW(SubscriptionDefinition, queue_bytes),
             ROW(SubscriptionDefinition, token_bytes), ROW(SubscriptionDefinition, texts),
             ROW(SubscriptionDefinition, flags), ROW(SubscriptionDefinition, reserved),
             ROW(SubscriptionDefinition, reserved2)),
      LAYOUT(SubscriptionGone, ROW(SubscriptionGone, subscription_id),
             ROW(SubscriptionGone, reserved)),
      LAYOUT(CatalogMeta, ROW(CatalogMeta, next_queue_id), ROW(CatalogMeta, shard_count),
             ROW(CatalogMeta, flags), ROW(CatalogMeta, receipt_key)),
  };
}

TEST(Records, ThePageHasTheTablesOfTheStructs) {
  std::ifstream page(std::string(MILLRACE_SOURCE_DIR) + "/docs/storage-format.md");
  ASSERT_TRUE(page.is_open());
  std::map<std::string, std::vector<std::string>> tables;
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("#")) heading = line;
    if (!line.starts_with("| ") || line.find("| `") == std::string::npos) continue;
    std::istringstream row(line);
    std::string bar, offset, bytes, field;
    row >> bar >> offset >> bar >> bytes >> bar >> field;
    tables[heading].push_back(offset + " " + bytes + " " + field);
  }
  for (const Layout& layout : layouts())
    EXPECT_EQ(tables[layout.heading], layout.rows);
}

TEST(Records, ThePageHasTheNumbersOfTheKinds) {
  std::ifstream page(std::string(MILLRACE_SOURCE_DIR) + "/docs/storage-format.md");
  std::stringstream text;
  text << page.rdbuf();
  const std::pair<const char*, RecordKind> kinds[] = {
      {"enqueue", RecordKind::enqueue},
      {"lease", RecordKind::lease},
      {"extend", RecordKind::extend},
      {"ack", RecordKind::ack},
      {"dead_letter", RecordKind::dead_letter},
      {"carry", RecordKind::carry},
      {"purge", RecordKind::purge},
      {"slot_end", RecordKind::slot_end},
      {"dedup", RecordKind::dedup},
      {"expire", RecordKind::expire},
      {"move", RecordKind::move},
      {"move_in", RecordKind::move_in},
      {"move_ids", RecordKind::move_ids},
      {"publish", RecordKind::publish},
      {"carry_shared", RecordKind::carry_shared},
      {"move_task", RecordKind::move_task},
      {"queue_put", RecordKind::queue_put},
      {"queue_delete", RecordKind::queue_delete},
      {"meta", RecordKind::meta},
      {"topic_put", RecordKind::topic_put},
      {"topic_delete", RecordKind::topic_delete},
      {"subscription_put", RecordKind::subscription_put},
      {"subscription_delete", RecordKind::subscription_delete}};
  for (const auto& [name, kind] : kinds)
    EXPECT_NE(text.str().find("| " + std::string(name) + " | " + std::to_string(raw(kind)) + " |"),
              std::string::npos)
        << name;
}

TEST(Records, ItemsThatDoNotFitTheirBodyAreNotRead) {
  std::vector<std::byte> body(sizeof(AckHead) + 2 * sizeof(SlotRun));
  EXPECT_EQ((items_after<SlotRun, AckHead>(body, 2).size()), 2u);
  EXPECT_TRUE((items_after<SlotRun, AckHead>(body, 3).empty()));
  EXPECT_TRUE((items_after<SlotRun, AckHead>(body, UINT32_MAX).empty()));
}

}  // namespace
}  // namespace millrace::engine
