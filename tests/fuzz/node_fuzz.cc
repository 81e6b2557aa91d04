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

template <class T, class Mend>
void mend_at(std::vector<std::byte>& body, size_t at, Mend&& mend) {
  T value;
  std::memcpy(&value, body.data() + at, sizeof value);
  mend(value);
  std::memcpy(body.data() + at, &value, sizeof value);
}

// As many entries behind a head as its second or first number says, as there is room for, `max` at
// most and one at least.
template <class Entry>
size_t entries_that_fit(std::vector<std::byte>& body, size_t head_bytes, size_t max) {
  body.resize(std::max(body.size(), head_bytes + sizeof(Entry)));
  uint32_t asked[2];
  std::memcpy(asked, body.data(), sizeof asked);
  const size_t wanted = std::is_same_v<Entry, engine::PublishTarget> ? asked[1] : asked[0];
  return std::clamp<size_t>(std::min(wanted, (body.size() - head_bytes) / sizeof(Entry)), 1, max);
}

// Up to `max` shared messages from `at` on, one at least; returns how many.
size_t mend_shared(std::vector<std::byte>& body, size_t at, size_t max) {
  size_t count = 0;
  body.resize(std::max<size_t>(padded8(body.size()),
                               at + sizeof(engine::SharedHead) + sizeof(MessageHeader)));
  while (count < max && body.size() >= at + sizeof(engine::SharedHead) + sizeof(MessageHeader)) {
    const size_t header_at = at + sizeof(engine::SharedHead);
    uint32_t body_bytes = 0;
    mend_at<MessageHeader>(body, header_at, [&](MessageHeader& header) {
      const auto rest = static_cast<uint32_t>(body.size() - header_at - sizeof header);
      header.properties_bytes = std::min(header.properties_bytes, rest);
      header.body_bytes = std::min(header.body_bytes, rest - header.properties_bytes);
      header.record_offset = static_cast<uint32_t>(header_at) | engine::kSharedMessage;
      header.delay_ms = 0;
      body_bytes = header.body_bytes;
      at = header_at + message_stride(header);
    });
    mend_at<engine::SharedHead>(body, header_at - sizeof(engine::SharedHead),
                                [&](engine::SharedHead& shared) {
                                  if (shared.stamp_at + uint64_t{kUuidTextBytes} > body_bytes)
                                    shared.stamp_at = 0;
                                });
    ++count;
  }
  body.resize(at);
  return count;
}

void tell_references(std::vector<std::byte>& body, size_t at,
                     const std::vector<uint32_t>& references, size_t messages) {
  for (size_t i = 0; i < messages; ++i) {
    mend_at<engine::SharedHead>(
        body, at, [&](engine::SharedHead& shared) { shared.references = references[i]; });
    mend_at<MessageHeader>(body, at + sizeof(engine::SharedHead), [&](MessageHeader& header) {
      at += sizeof(engine::SharedHead) + message_stride(header);
    });
  }
}

constexpr int64_t kTimeMask = (int64_t{1} << 41) - 1;

void mend(NodeRecord& record) {
  std::vector<std::byte>& body = record.body;
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
    case RecordKind::publish: {
      const auto targets =
          entries_that_fit<engine::PublishTarget>(body, sizeof(engine::PublishHead), 16);
      const size_t at = sizeof(engine::PublishHead) + targets * sizeof(engine::PublishTarget);
      std::vector<uint32_t> references(4);
      const auto messages = mend_shared(body, at, references.size());
      for (size_t i = 0; i < targets; ++i)
        mend_at<engine::PublishTarget>(
            body, sizeof(engine::PublishHead) + i * sizeof(engine::PublishTarget),
            [&](engine::PublishTarget& target) {
              target.queue_id = static_cast<uint32_t>(i / 2);
              target.first_slot = (target.first_slot & 0xFFFF) | (i & 1) << 16;
              target.messages = std::max<uint64_t>(target.messages & ((1u << messages) - 1), 1);
              target.delay_ms %= kDelayMsMax;
              for (size_t m = 0; m < messages; ++m)
                references[m] += target.messages >> m & 1;
            });
      tell_references(body, at, references, messages);
      mend_head<engine::PublishHead>(body,
                                     [](auto& head, uint64_t) { head.sent_at_ms &= kTimeMask; });
      mend_at<engine::PublishHead>(body, 0, [&](auto& head) {
        head.target_count = static_cast<uint32_t>(targets);
        head.message_count = static_cast<uint32_t>(messages);
      });
      break;
    }
    case RecordKind::carry_shared: {
      const auto references =
          entries_that_fit<engine::SharedReference>(body, sizeof(engine::CarrySharedHead), 16);
      const size_t at =
          sizeof(engine::CarrySharedHead) + references * sizeof(engine::SharedReference);
      (void)mend_shared(body, at, 1);
      for (size_t i = 0; i < references; ++i)
        mend_at<engine::SharedReference>(
            body, sizeof(engine::CarrySharedHead) + i * sizeof(engine::SharedReference),
            [&](engine::SharedReference& reference) {
              reference.queue_id = static_cast<uint32_t>(i / 2);
              reference.slot = (reference.slot & 0xFFFF) | (i & 1) << 16;
              reference.due_ms &= kTimeMask;
              reference.state %= 3;
            });
      tell_references(body, at, {static_cast<uint32_t>(references)}, 1);
      mend_at<engine::CarrySharedHead>(body, 0, [&](auto& head) {
        head.reference_count = static_cast<uint32_t>(references);
        head.sent_at_ms &= kTimeMask;
      });
      break;
    }
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
