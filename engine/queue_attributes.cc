#include "engine/queue_attributes.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "millrace/message.h"

namespace millrace::engine {
namespace {

constexpr bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

struct Bound {
  const char* name;
  uint32_t QueueAttributes::*value;
  uint32_t min;
  uint32_t max;
};
constexpr Bound kBounds[] = {
    {"visibility_timeout_ms", &QueueAttributes::visibility_timeout_ms, 0, kVisibilityMsMax},
    {"delay_ms", &QueueAttributes::delay_ms, 0, kDelayMsMax},
    {"message_bytes_max", &QueueAttributes::message_bytes_max, 1024, kMessageBytesMax},
    {"receive_wait_ms", &QueueAttributes::receive_wait_ms, 0, 20'000},
};

}  // namespace

Status check_queue_name(std::string_view name, bool fifo) {
  constexpr std::string_view kSuffix = ".fifo";
  if (name.size() > kQueueNameBytesMax || name.ends_with(kSuffix) != fifo)
    return fail(Errc::invalid_queue_name);
  if (fifo) name.remove_suffix(kSuffix.size());
  if (name.empty() || name.size() > kQueueNameBytesMax ||
      !std::all_of(name.begin(), name.end(), name_character))
    return fail(Errc::invalid_queue_name);
  return {};
}

Status check_queue_attributes(const QueueAttributes& attributes, std::string* detail) {
  for (const Bound& bound : kBounds) {
    const uint32_t value = attributes.*bound.value;
    if (value >= bound.min && value <= bound.max) continue;
    *detail = fmt::format("{} is {}; it may be {} to {}", bound.name, value, bound.min, bound.max);
    return fail(Errc::invalid_argument);
  }
  const QueueAttributes standard;
  if (!attributes.fifo &&
      (attributes.content_deduplication != standard.content_deduplication ||
       attributes.deduplication_scope != standard.deduplication_scope ||
       attributes.throughput_limit != standard.throughput_limit || attributes.partitions != 0)) {
    *detail = "deduplication, throughput limit and partitions are for FIFO queues";
    return fail(Errc::invalid_argument);
  }
  if (attributes.throughput_limit == ThroughputLimit::group &&
      attributes.deduplication_scope != DeduplicationScope::group) {
    *detail = "a throughput limit per group needs a deduplication scope per group";
    return fail(Errc::invalid_argument);
  }
  if (attributes.durability > Durability::commit) {
    *detail = "durability is none of none, interval, commit";
    return fail(Errc::invalid_argument);
  }
  return {};
}

}  // namespace millrace::engine
