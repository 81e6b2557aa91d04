// Fuzzes a start on records that nobody wrote: what the engine makes of a catalog and two shards'
// logs whose checksums are all right, whatever the records say.
//
// The first byte of the input says how; then records, as tests/fuzz/fuzz_node.h has them: u8 log,
// u16 kind, u16 bytes, body. They are written by storage itself, so every sum over them is right.
// Bits of the first byte: 1, the lengths and offsets in bodies are put right, too, so that more of
// them are applied; 2, the logs were closed cleanly. Checked: no crash; the node starts, or says in
// one line why not; whatever it holds then can be received, moved, acknowledged, purged, aged;
// unless that ended in a fence, a clean stop and another start give the same state, and so does a
// kill one that starts. The trace of any message can be told from any records.
#include <algorithm>
#include <cstring>

#include "engine/message_trace.h"
#include "millrace/message_id.h"
#include "tests/fuzz/fuzz_node.h"

// libFuzzer's; not there in a build without it.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max)
    __attribute__((weak));

namespace {

using namespace millrace;
using namespace millrace::fuzz;
using engine::RecordKind;

constexpr uint8_t kMendBodies = 1;
constexpr uint8_t kClosed = 2;

template <class T>
void mend_head(std::vector<std::byte>& body, void (*mend)(T&, uint64_t rest)) {
  if (body.size() < sizeof(T)) body.resize(sizeof(T));
  T head;
  std::memcpy(&head, body.data(), sizeof head);
  mend(head, body.size() - sizeof head);
  std::memcpy(body.data(), &head, sizeof head);
}

// Messages from `at` on: lengths that fit, offsets as they are. Returns how many.
uint32_t mend_messages(std::vector<std::byte>& body, size_t at, uint32_t max) {
  uint32_t count = 0;
  body.resize(padded8(body.size()));
  while (count < max && body.size() >= at + sizeof(MessageHeader)) {
    MessageHeader header;
    std::memcpy(&header, body.data() + at, sizeof header);
    const auto rest = static_cast<uint32_t>(body.size() - at - sizeof header);
    header.properties_bytes = std::min(header.properties_bytes, rest);
    header.body_bytes = std::min(header.body_bytes, rest - header.properties_bytes);
    header.record_offset = static_cast<uint32_t>(at);
    std::memcpy(body.data() + at, &header, sizeof header);
    at += message_stride(header);
    ++count;
  }
  body.resize(at);
  return count;
}

void mend_slots(std::vector<std::byte>& body, size_t at, size_t stride) {
  for (; at + sizeof(uint64_t) <= body.size(); at += stride) {
    uint64_t slot = 0;
    std::memcpy(&slot, body.data() + at, sizeof slot);
    slot &= 0x7FFF;
    std::memcpy(body.data() + at, &slot, sizeof slot);
  }
}

void mend(NodeRecord& record) {
  std::vector<std::byte>& body = record.body;
  constexpr int64_t kTimeMask = (int64_t{1} << 41) - 1;
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::enqueue: {
      const uint32_t count = mend_messages(body, sizeof(engine::EnqueueHead), 100);
      mend_head<engine::EnqueueHead>(body, [](auto& head, uint64_t) {
        head.first_slot &= 0xFFFFF;
        head.sent_at_ms &= kTimeMask;
      });
      std::memcpy(body.data() + 4, &count, sizeof count);
      break;
    }
    case RecordKind::carry:
      mend_messages(body, sizeof(engine::CarryHead), 100);
      mend_head<engine::CarryHead>(body, [](auto& head, uint64_t) {
        head.slot &= 0xFFFFF;
        head.sent_at_ms &= kTimeMask;
        head.due_ms &= kTimeMask;
        head.state %= 3;
      });
      break;
    case RecordKind::dead_letter:
      mend_messages(body, sizeof(engine::DeadLetterHead), 1);
      mend_head<engine::DeadLetterHead>(body, [](auto& head, uint64_t) {
        head.slot &= 0xFFFFF;
        head.source_slot &= 0xFFFFF;
        head.sent_at_ms &= kTimeMask;
        head.first_received_at_ms &= kTimeMask;
      });
      break;
    case RecordKind::lease:
      body.resize(sizeof(engine::LeaseHead) +
                  body.size() / sizeof(engine::SlotRun) * sizeof(engine::SlotRun));
      mend_slots(body, sizeof(engine::LeaseHead), sizeof(engine::SlotRun));
      mend_head<engine::LeaseHead>(body, [](auto& head, uint64_t rest) {
        head.run_count = static_cast<uint32_t>(rest / sizeof(engine::SlotRun));
        head.leased_at_ms &= kTimeMask;
      });
      break;
    case RecordKind::ack:
    case RecordKind::expire:
      body.resize(sizeof(engine::AckHead) +
                  body.size() / sizeof(engine::SlotRun) * sizeof(engine::SlotRun));
      mend_slots(body, sizeof(engine::AckHead), sizeof(engine::SlotRun));
      mend_head<engine::AckHead>(body, [](auto& head, uint64_t rest) {
        head.run_count = static_cast<uint32_t>(rest / sizeof(engine::SlotRun));
      });
      break;
    case RecordKind::extend:
      body.resize(sizeof(engine::ExtendHead) +
                  body.size() / sizeof(engine::ExtendMark) * sizeof(engine::ExtendMark));
      mend_slots(body, sizeof(engine::ExtendHead), sizeof(engine::ExtendMark));
      mend_head<engine::ExtendHead>(body, [](auto& head, uint64_t rest) {
        head.count = static_cast<uint32_t>(rest / sizeof(engine::ExtendMark));
        head.at_ms &= kTimeMask;
      });
      break;
    default:
      break;
  }
}

void trace(std::span<const NodeRecord> records) {
  engine::MessageTrace trace({.queue_id = 1, .shard_slot = 3});
  uint64_t position = storage::kSegmentBytesMin;
  for (const NodeRecord& record : records) {
    trace.on_record({Position{position}, record.kind, Bytes(record.body)});
    position += padded8(record.body.size() + sizeof(storage::RecordHeader));
  }
  storage::CommitMark mark{};
  mark.server_time_ms = 1;
  trace.on_mark(mark);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<NodeRecord> records = unpack_records({data + 1, size - 1});
  if ((data[0] & kMendBodies) != 0)
    for (NodeRecord& record : records)
      mend(record);
  trace(records);

  FuzzNode node;
  node.write(records, (data[0] & kClosed) != 0);
  if (!node.open()) return 0;
  node.ask_everything();
  if (node.fenced()) return 0;
  const auto before = node.digests();
  if ((data[0] & kClosed) != 0) {
    if (!node.stop()) return 0;
    MR_ASSERT(node.open());
    MR_ASSERT(node.digests() == before);
  } else {
    node.kill();
    MR_ASSERT(node.open());
  }
  node.turns(4);
  return 0;
}

// Mutates one record, or which there are: a byte more in the middle would make nonsense of all
// behind it.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max,
                                          unsigned int seed) {
  base::Prng prng(seed);
  if (size == 0 || prng.chance(1, 10)) return LLVMFuzzerMutate(data, size, size_max);
  std::vector<NodeRecord> records = unpack_records({data + 1, size - 1});
  if (records.empty()) return LLVMFuzzerMutate(data, size, size_max);
  const auto any = [&] { return static_cast<std::ptrdiff_t>(prng.below(records.size())); };
  NodeRecord& one = records[static_cast<size_t>(any())];
  switch (prng.below(8)) {
    case 0:
      records.insert(records.begin() + any(), NodeRecord(one));
      break;
    case 1:
      records.erase(records.begin() + any());
      break;
    case 2:
      std::swap(one, records[static_cast<size_t>(any())]);
      break;
    case 3:
      one.log = static_cast<uint8_t>(prng.below(kNodeShards + 1));
      one.kind = static_cast<uint16_t>(prng.below(20));
      break;
    default: {
      const size_t room = std::min<size_t>(one.body.size() + 64, 8'192);
      std::vector<std::byte> body = one.body;
      body.resize(room);
      body.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(body.data()),
                                   std::min(one.body.size(), room), room));
      one.body = std::move(body);
    }
  }
  const std::vector<uint8_t> packed = pack_records(records);
  if (prng.chance(1, 20)) data[0] = static_cast<uint8_t>(prng.next());
  const size_t bytes = std::min(packed.size(), size_max - 1);
  if (bytes > 0) std::memcpy(data + 1, packed.data(), bytes);
  return bytes + 1;
}
