// Records whose checksum is right and that nobody can have written: a start says so in one line.
#include "engine/record_check.h"

#include "engine/data_directory.h"
#include "storage/log.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

using Body = std::vector<std::byte>;

template <class Head>
Body body_of(const Head& head, const Body& rest = {}) {
  const Bytes bytes = bytes_of(head);
  Body body(bytes.begin(), bytes.end());
  body.insert(body.end(), rest.begin(), rest.end());
  return body;
}

Body message(uint32_t record_offset, uint32_t body_bytes = 4, size_t there = 8) {
  Body body = body_of(MessageHeader{body_bytes, 0, 0, record_offset});
  body.resize(body.size() + there);
  return body;
}

// A SharedHead at `at`, and its message.
Body shared(uint32_t at, uint32_t references, uint32_t stamp_at = 0) {
  return body_of(SharedHead{references, stamp_at}, message((at + 8) | kSharedMessage));
}

constexpr uint64_t kFar = uint64_t{1} << 48;

struct RecordCase {
  const char* name;
  RecordKind kind;
  Body body;
  bool right = false;
};

const std::vector<RecordCase>& record_cases() {
  static const std::vector<RecordCase> cases = {
      {"Enqueue", RecordKind::enqueue, body_of(EnqueueHead{1, 1, 0, 5, 0}, message(32)), true},
      {"EnqueueCutShort", RecordKind::enqueue, Body(8)},
      {"EnqueuePastItsEnd", RecordKind::enqueue,
       body_of(EnqueueHead{1, 1, 0, 5, 0}, message(32, 1'000))},
      {"EnqueueOfMoreThanThereIs", RecordKind::enqueue,
       body_of(EnqueueHead{1, 0xFFFFFFFF, 0, 5, 0}, message(32))},
      {"EnqueueOfLess", RecordKind::enqueue, body_of(EnqueueHead{1, 0, 0, 5, 0}, message(32))},
      {"EnqueueThatLiesElsewhere", RecordKind::enqueue,
       body_of(EnqueueHead{1, 1, 0, 5, 0}, message(40))},
      {"EnqueuePastAllSlots", RecordKind::enqueue,
       body_of(EnqueueHead{1, 1, kFar, 5, 0}, message(32))},
      {"EnqueueBeforeTime", RecordKind::enqueue,
       body_of(EnqueueHead{1, 1, 0, INT64_MIN, 0}, message(32))},
      {"Ack", RecordKind::ack, body_of(AckHead{1, 1}, body_of(SlotRun{3, 0xFFFFFFFF, 0})), true},
      {"AckOfMoreRuns", RecordKind::ack, body_of(AckHead{1, 2}, body_of(SlotRun{3, 1, 0}))},
      {"AckOfNothing", RecordKind::ack, body_of(AckHead{1, 1}, body_of(SlotRun{3, 0, 0}))},
      {"LeasePastAllSlots", RecordKind::lease,
       body_of(LeaseHead{1, 1, 5, 1, 0}, body_of(SlotRun{kFar - 1, 2, 0}))},
      {"LeaseAtNoTime", RecordKind::lease,
       body_of(LeaseHead{1, 1, INT64_MAX, 1, 0}, body_of(SlotRun{3, 1, 0}))},
      {"ExtendCutShort", RecordKind::extend, body_of(ExtendHead{1, 1, 5}, Body(8))},
      {"CarryInNoState", RecordKind::carry,
       body_of(CarryHead{1, 0, 0, 5, 0, 9, {}, 0}, message(40))},
      {"PurgePastAllSlots", RecordKind::purge, body_of(SlotEnd{1, 0, UINT64_MAX})},
      {"SlotEndPastAllSlots", RecordKind::slot_end, body_of(SlotEnd{1, 0, kFar - 1})},
      {"DedupAtNoTime", RecordKind::dedup,
       body_of(DedupHead{1, 1}, body_of(DedupMark{1, 1, 1, INT64_MAX}))},
      {"MoveOfOtherSlots", RecordKind::move,
       body_of(MoveHead{1, 1, 0, 5, 2, 1}, body_of(SlotRun{3, 2, 0}))},
      {"MoveInPastItsEnd", RecordKind::move_in, body_of(MoveInHead{1, 9, 0, 5, 2, 1, 0})},
      {"MoveIdsCutShort", RecordKind::move_ids, body_of(MoveIdsHead{1, 0, 0, 0}, Body(4))},
      {"Publish", RecordKind::publish,
       body_of(PublishHead{1, 1, 1, 0, 5, 0},
               body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}, shared(80, 1))),
       true},
      {"PublishOfFewerThanItSays", RecordKind::publish,
       body_of(PublishHead{1, 1, 2, 0, 5, 0},
               body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}, shared(80, 1)))},
      {"PublishOfNone", RecordKind::publish, body_of(PublishHead{1, 0, 0, 0, 5, 0})},
      {"PublishOfTooMany", RecordKind::publish,
       body_of(PublishHead{1, 1, 65, 0, 5, 0}, body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}))},
      {"PublishOfMoreQueuesThanThereIs", RecordKind::publish,
       body_of(PublishHead{1, 0xFFFFFFFF, 1, 0, 5, 0}, shared(32, 1))},
      {"PublishWithoutThatMessage", RecordKind::publish,
       body_of(PublishHead{1, 1, 1, 0, 5, 0},
               body_of(PublishTarget{1, 0, 0, 2, 2, 0, {}}, shared(80, 1)))},
      {"PublishToMoreThanItCounts", RecordKind::publish,
       body_of(PublishHead{1, 1, 1, 0, 5, 0},
               body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}, shared(80, 2)))},
      {"PublishWithALongDelay", RecordKind::publish,
       body_of(PublishHead{1, 1, 1, 0, 5, 0},
               body_of(PublishTarget{1, 0xFFFFFFF0, 0, 1, 2, 0, {}}, shared(80, 1)))},
      {"PublishOfAStampPastTheBody", RecordKind::publish,
       body_of(PublishHead{1, 1, 1, 0, 5, 0},
               body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}, shared(80, 1, 8)))},
      {"PublishOutOfOrder", RecordKind::publish,
       body_of(PublishHead{1, 2, 1, 0, 5, 0},
               body_of(PublishTarget{2, 0, 0, 1, 2, 0, {}},
                       body_of(PublishTarget{1, 0, 0, 1, 2, 0, {}}, shared(128, 2))))},
      {"CarryShared", RecordKind::carry_shared,
       body_of(CarrySharedHead{1, 0, 0, 5, 0},
               body_of(SharedReference{1, 0, 3, 0, 1, {}, 0, {}}, shared(80, 1))),
       true},
      {"CarrySharedOfNoMessage", RecordKind::carry_shared,
       body_of(CarrySharedHead{1, 0, 0, 5, 0}, body_of(SharedReference{1, 0, 3, 0, 1, {}, 0, {}}))},
      {"CarrySharedInNoState", RecordKind::carry_shared,
       body_of(CarrySharedHead{1, 0, 0, 5, 0},
               body_of(SharedReference{1, 0, 3, 0, 7, {}, 0, {}}, shared(80, 1)))},
      {"CarrySharedTwiceTheSame", RecordKind::carry_shared,
       body_of(CarrySharedHead{2, 0, 0, 5, 0},
               body_of(SharedReference{1, 0, 3, 0, 1, {}, 0, {}},
                       body_of(SharedReference{1, 0, 3, 0, 1, {}, 0, {}}, shared(128, 2))))},
      {"DeadLetterWithoutAMessage", RecordKind::dead_letter,
       body_of(DeadLetterHead{1, 1, 0, 5, 0, 2, 0, 0})},
      {"NotAShards", RecordKind::queue_put, Body(64)},
      {"NobodysKind", static_cast<RecordKind>(200), Body(64)},
  };
  return cases;
}

class RecordCheck : public SimEngineTest, public testing::WithParamInterface<size_t> {
 protected:
  // As if a node had written it.
  void write(const std::string& directory, uint16_t log_id, uint64_t segment_bytes, RecordKind kind,
             const Body& body) {
    struct : storage::ReplaySink {
      void on_record(const storage::Record&) override {}
    } nobody;
    storage::LogOptions options;
    options.directory = directory;
    options.log_id = log_id;
    options.segment_bytes = segment_bytes;
    options.entropy = 77;
    sim::SimDisk disk(image_);
    auto log = storage::Log::open(disk, options, nullptr);
    ASSERT_TRUE(log && (*log)->recover((*log)->head(), nobody, TimeMs{1}));
    const Bytes parts[] = {Bytes(body)};
    ASSERT_TRUE((*log)->append(raw(kind), parts, storage::Space::cleans));
    ASSERT_TRUE((*log)->write_batch(TimeMs{1}));
  }
  std::string refusal() {
    std::string message;
    const auto broker = Broker::open(options_, environment_, &message);
    environment_.forget_disks();
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return broker ? "" : message;
  }
};

TEST_P(RecordCheck, AStartRefusesWhatNobodyCanHaveWritten) {
  const RecordCase& row = record_cases()[GetParam()];
  open();
  create("q");
  kill();
  write("shard-0", 0, options_.segment_bytes, row.kind, row.body);
  const std::string said = refusal();
  if (row.right) {
    EXPECT_EQ(said, "");
    return;
  }
  EXPECT_TRUE(said.starts_with("shard-0 could not be recovered: the record at position ")) << said;
}

INSTANTIATE_TEST_SUITE_P(All, RecordCheck, testing::Range<size_t>(0, record_cases().size()),
                         [](const auto& of) { return record_cases()[of.param].name; });

TEST_F(RecordCheck, ACatalogThatNobodyCanHaveWrittenIsRefused) {
  const auto queue = [](uint32_t id, uint8_t flags, uint16_t partitions, uint16_t first) {
    return body_of(QueueDefinition{id, 0, 5, 1, 1, 1'024, 0, 0, flags, partitions, first, 0});
  };
  const std::vector<std::pair<RecordKind, Body>> cases = {
      {RecordKind::queue_put, queue(0, 0, 0, 0)},
      {RecordKind::queue_put, queue(UINT32_MAX, 0, 0, 0)},
      {RecordKind::queue_put, queue(1, kQueueFifo, 0, 0)},
      {RecordKind::queue_put, queue(1, kQueueFifo, 60, 60)},
      {RecordKind::queue_delete, body_of(QueueGone{UINT32_MAX, 0})},
      {RecordKind::meta, body_of(CatalogMeta{1, 65, 0, {}})},
      {RecordKind::meta, Body(4)},
      {RecordKind::move_task, Body(10)},
      {RecordKind::topic_put, Body(8)},
      {RecordKind::topic_put, body_of(TopicDefinition{0, 0, 1, 1'024, 0, 0, 0, 0, 0, 0})},
      {RecordKind::topic_put, body_of(TopicDefinition{1, 9, 1, 1'024, 0, 0, 0, 0, 0, 0})},
      {RecordKind::topic_put, body_of(TopicDefinition{1, 0, -1, 1'024, 0, 0, 0, 0, 0, 0})},
      {RecordKind::topic_put, body_of(TopicDefinition{1, 0, 1, 1'024, kTopicFifo, 0, 64, 0, 0, 0})},
      {RecordKind::topic_delete, Body(4)},
      {RecordKind::subscription_put,
       body_of(SubscriptionDefinition{1, 0, {}, 1, 0, 0, 0, 0, 0, 0, 0, 0})},
      {RecordKind::subscription_put,
       body_of(SubscriptionDefinition{2, 1, {}, 1, 9, 0, 0, 0, 0, 0, 0, 0})},
      {RecordKind::subscription_delete, Body(4)},
      {RecordKind::enqueue, Body(64)},
  };
  for (const auto& [kind, body] : cases) {
    open();
    kill();
    write(std::string(kCatalogDirectory), kCatalogLogId, kCatalogSegmentBytes, kind, body);
    EXPECT_TRUE(refusal().starts_with("the catalog")) << raw(kind);
    image_.kill();
    image_.settle();
    for (const std::string& path : image_.paths())
      image_.erase(path);
  }
}

}  // namespace
}  // namespace millrace::engine
