#include "tools/bench/run_layout.h"

#include <cstring>
#include <string>

#include "clients/cpp/message_batch.h"
#include "millrace/properties.h"

namespace millrace::tools {
namespace {

constexpr int kGroupDigits = 8;
constexpr int kRunDigits = 8;
constexpr int kLaneDigits = 4;
constexpr int kSequenceDigits = 12;

void put_hex(std::byte* to, uint64_t value, int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (; digits > 0; value >>= 4)
    to[--digits] = static_cast<std::byte>(kDigits[value & 15]);
}

}  // namespace

RunLayout::RunLayout(const BenchOptions& options)
    : groups_per_lane_(options.groups / options.connections),
      with_ids_(options.fifo && !options.by_content) {
  std::string properties;
  const auto add = [&](PropertyTag tag, size_t value_bytes) {
    append_property(properties, tag, as_bytes(std::string(value_bytes, '0')));
    return static_cast<uint32_t>(sizeof(MessageHeader) + properties.size() - value_bytes);
  };
  if (groups_per_lane_ > 0) group_at_ = add(PropertyTag::group, kGroupDigits);
  if (with_ids_)
    id_at_ = add(PropertyTag::deduplication_id, kRunDigits + kLaneDigits + kSequenceDigits);
  static_assert(2 * kPropertyHeadBytes + kGroupDigits + kRunDigits + kLaneDigits +
                    kSequenceDigits <=
                kBenchPropertiesMax);
  body_at_ = static_cast<uint32_t>(sizeof(MessageHeader) + properties.size());
  const std::string body(options.size, 'm');
  client::MessageBatch batch;
  for (uint32_t i = 0; i < options.batch; ++i)
    (void)batch.add(as_bytes(body), kDelayQueueDefault, as_bytes(properties));  // checked: it fits
  run_.assign(batch.run().begin(), batch.run().end());
  stride_ = static_cast<uint32_t>(run_.size() / options.batch);
}

Bytes RunLayout::fill(Stamp stamp, uint32_t count, double step_ns) {
  const int64_t first_ns = stamp.intended_ns;
  std::byte* message = run_.data();
  for (uint32_t i = 0; i < count; ++i, message += stride_) {
    stamp.intended_ns = first_ns + static_cast<int64_t>(step_ns * i);
    std::memcpy(message + body_at_, &stamp, sizeof stamp);
    if (groups_per_lane_ > 0)
      put_hex(message + group_at_,
              uint64_t{stamp.producer} * groups_per_lane_ + stamp.sequence % groups_per_lane_,
              kGroupDigits);
    if (with_ids_) {
      put_hex(message + id_at_, stamp.run, kRunDigits);
      put_hex(message + id_at_ + kRunDigits, stamp.producer, kLaneDigits);
      put_hex(message + id_at_ + kRunDigits + kLaneDigits, stamp.sequence, kSequenceDigits);
    }
    ++stamp.sequence;
  }
  return Bytes(run_).first(size_t{stride_} * count);
}

}  // namespace millrace::tools
