#include "engine/queue_attributes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "base/printable.h"
#include "engine/limits.h"
#include "engine/names.h"
#include "engine/redrive_policy.h"
#include "engine/tags.h"
#include "millrace/message.h"

namespace millrace::engine {
namespace {

constexpr size_t kPolicyBytesMax = 20'480;
constexpr size_t kKmsKeyBytesMax = 2'048;

// --- numbers ---

// Plain decimal digits.
std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1.5" is 1500; nothing if it is no number or finer than a millisecond.
std::optional<uint64_t> milliseconds(std::string_view text) {
  const size_t point = text.find('.');
  const auto seconds = whole_number(text.substr(0, point));
  if (!seconds || *seconds > UINT32_MAX) return std::nullopt;
  if (point == std::string_view::npos) return *seconds * 1'000;
  std::string fraction(text.substr(point + 1));
  if (fraction.empty() || fraction.size() > 3) return std::nullopt;
  fraction.resize(3, '0');
  const auto rest = whole_number(fraction);
  if (!rest) return std::nullopt;
  return *seconds * 1'000 + *rest;
}

std::string seconds_text(uint64_t ms) {
  std::string text = std::to_string(ms / 1'000);
  if (ms % 1'000 == 0) return text;
  text += fmt::format(".{:03}", ms % 1'000);
  while (text.back() == '0')
    text.pop_back();
  return text;
}

template <auto kMember, uint32_t kLow, uint32_t kHigh>
struct Seconds {  // kept in milliseconds
  static std::string read(std::string_view text, QueueAttributes* attributes) {
    const auto ms = milliseconds(text);
    if (!ms || *ms < kLow || *ms > kHigh)
      return fmt::format("it may be {} to {}", seconds_text(kLow), seconds_text(kHigh));
    attributes->*kMember = static_cast<uint32_t>(*ms);
    return {};
  }
  static std::optional<std::string> write(const QueueAttributes& attributes) {
    return seconds_text(attributes.*kMember);
  }
};

template <auto kMember, uint32_t kLow, uint32_t kHigh>
struct Number {
  static std::string read(std::string_view text, QueueAttributes* attributes) {
    const auto value = whole_number(text);
    if (!value || *value < kLow || *value > kHigh)
      return fmt::format("it may be {} to {}", kLow, kHigh);
    attributes->*kMember = static_cast<std::remove_cvref_t<decltype(attributes->*kMember)>>(*value);
    return {};
  }
  static std::optional<std::string> write(const QueueAttributes& attributes) {
    return std::to_string(attributes.*kMember);
  }
};

// --- words ---

template <auto kMember>
struct YesNo {
  static std::string read(std::string_view text, QueueAttributes* attributes) {
    const bool yes = equal_but_case(text, "true");
    if (!yes && !equal_but_case(text, "false")) return "it may be true or false";
    attributes->*kMember = yes;
    return {};
  }
  static std::optional<std::string> write(const QueueAttributes& attributes) {
    return attributes.*kMember ? "true" : "false";
  }
};

constexpr std::array<std::string_view, 3> kDurabilities{"none", "interval", "commit"};
constexpr std::array<std::string_view, 2> kScopes{"queue", "messageGroup"};
constexpr std::array<std::string_view, 2> kLimits{"perQueue", "perMessageGroupId"};

template <auto kMember, const auto& kWords>
struct Choice {
  static std::string read(std::string_view text, QueueAttributes* attributes) {
    const auto word = std::find(kWords.begin(), kWords.end(), text);
    if (word == kWords.end()) return fmt::format("it may be {}", fmt::join(kWords, " or "));
    using Value = std::remove_cvref_t<decltype(attributes->*kMember)>;
    attributes->*kMember = static_cast<Value>(word - kWords.begin());
    return {};
  }
  static std::optional<std::string> write(const QueueAttributes& attributes) {
    const auto index = static_cast<size_t>(attributes.*kMember);
    // A value that has no word is refused when it is read again.
    return std::string(index < kWords.size() ? kWords[index] : "?");
  }
};

std::string read_fifo(std::string_view text, QueueAttributes* attributes) {
  if (!equal_but_case(text, "true")) return "it may be true";
  attributes->fifo = true;
  return {};
}
std::optional<std::string> write_fifo(const QueueAttributes& attributes) {
  if (!attributes.fifo) return std::nullopt;
  return "true";
}

std::optional<std::string> write_partitions(const QueueAttributes& attributes) {
  if (attributes.partitions == 0) return std::nullopt;
  return std::to_string(attributes.partitions);
}

// --- what is kept for SQS clients ---

std::string read_policy(std::string_view text, QueueAttributes* attributes) {
  if (text.size() > kPolicyBytesMax)
    return fmt::format("it may have up to {} bytes", kPolicyBytesMax);
  if (!text.empty() && !is_json(text)) return "it is not JSON";
  attributes->policy = text;
  return {};
}
std::optional<std::string> write_policy(const QueueAttributes& attributes) {
  if (attributes.policy.empty()) return std::nullopt;
  return attributes.policy;
}

std::string read_kms_key(std::string_view text, QueueAttributes* attributes) {
  if (text.size() > kKmsKeyBytesMax ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; }))
    return fmt::format("it may be up to {} printable characters", kKmsKeyBytesMax);
  attributes->kms_key = text;
  if (!text.empty()) attributes->managed_encryption = false;
  return {};
}
std::optional<std::string> write_kms_key(const QueueAttributes& attributes) {
  if (attributes.kms_key.empty()) return std::nullopt;
  return attributes.kms_key;
}

using KmsReuse = Number<&QueueAttributes::kms_reuse_s, 60, 86'400>;
std::optional<std::string> write_kms_reuse(const QueueAttributes& attributes) {
  if (attributes.kms_key.empty() && attributes.kms_reuse_s == QueueAttributes{}.kms_reuse_s)
    return std::nullopt;
  return KmsReuse::write(attributes);
}

std::string read_managed(std::string_view text, QueueAttributes* attributes) {
  std::string wrong = YesNo<&QueueAttributes::managed_encryption>::read(text, attributes);
  if (wrong.empty() && attributes->managed_encryption) {
    const QueueAttributes fresh;
    attributes->kms_key = fresh.kms_key;
    attributes->kms_reuse_s = fresh.kms_reuse_s;
  }
  return wrong;
}

using A = QueueAttributes;
using Visibility = Seconds<&A::visibility_timeout_ms, 0, kVisibilityMsMax>;
using Delay = Seconds<&A::delay_ms, 0, kDelayMsMax>;
using MessageSize = Number<&A::message_bytes_max, 1'024, kMessageBytesMax>;
using Retention = Seconds<&A::retention_ms, kRetentionMsMin, kRetentionMsMax>;
using Wait = Seconds<&A::receive_wait_ms, 0, 20'000>;
using InFlight = Number<&A::in_flight_max, 1, kInFlightMax>;
using Partitions = Number<&A::partitions, 1, kShardsMax>;
using Level = Choice<&A::durability, kDurabilities>;
using ByContent = YesNo<&A::content_deduplication>;
using Scope = Choice<&A::deduplication_scope, kScopes>;
using Limit = Choice<&A::throughput_limit, kLimits>;
using Managed = YesNo<&A::managed_encryption>;

// Applied in this order: the type first, and SqsManagedSseEnabled before the key it would remove.
constexpr AttributeRow kTable[] = {
    {.name = "FifoQueue",
     .at_creation = true,
     .in_definition = true,
     .read = read_fifo,
     .write = write_fifo,
     .form = "true: the name ends in .fifo"},
    {.name = "VisibilityTimeout",
     .in_definition = true,
     .read = Visibility::read,
     .write = Visibility::write,
     .form = "0 to 43200 seconds"},
    {.name = "DelaySeconds",
     .in_definition = true,
     .read = Delay::read,
     .write = Delay::write,
     .form = "0 to 900 seconds"},
    {.name = "MaximumMessageSize",
     .in_definition = true,
     .read = MessageSize::read,
     .write = MessageSize::write,
     .form = "1024 to 1048576 bytes"},
    {.name = "MessageRetentionPeriod",
     .read = Retention::read,
     .write = Retention::write,
     .form = "60 to 1209600 seconds"},
    {.name = "ReceiveMessageWaitTimeSeconds",
     .in_definition = true,
     .read = Wait::read,
     .write = Wait::write,
     .form = "0 to 20 seconds"},
    {.name = "RedrivePolicy",
     .removable = true,
     .read = read_redrive_policy,
     .write = write_redrive_policy,
     .form = R"({"deadLetterTargetArn":"NAME","maxReceiveCount":1 to 1000})"},
    {.name = "RedriveAllowPolicy",
     .removable = true,
     .read = read_redrive_allow_policy,
     .write = write_redrive_allow_policy,
     .form = R"({"redrivePermission":"allowAll, denyAll or byQueue","sourceQueueArns":["NAME"]})"},
    {.name = "Durability",
     .in_definition = true,
     .read = Level::read,
     .write = Level::write,
     .form = "none, interval or commit"},
    {.name = "InFlightMax",
     .read = InFlight::read,
     .write = InFlight::write,
     .form = "1 to 1000000000 messages"},
    {.name = "ContentBasedDeduplication",
     .fifo_only = true,
     .in_definition = true,
     .read = ByContent::read,
     .write = ByContent::write,
     .form = "true or false"},
    {.name = "DeduplicationScope",
     .fifo_only = true,
     .in_definition = true,
     .read = Scope::read,
     .write = Scope::write,
     .form = "queue or messageGroup"},
    {.name = "FifoThroughputLimit",
     .fifo_only = true,
     .in_definition = true,
     .read = Limit::read,
     .write = Limit::write,
     .form = "perQueue or perMessageGroupId"},
    {.name = "Partitions",
     .fifo_only = true,
     .at_creation = true,
     .in_definition = true,
     .read = Partitions::read,
     .write = write_partitions,
     .form = "1 to 64 shards"},
    {.name = "Policy",
     .removable = true,
     .read = read_policy,
     .write = write_policy,
     .form = "JSON"},
    {.name = "SqsManagedSseEnabled",
     .read = read_managed,
     .write = Managed::write,
     .form = "true or false"},
    {.name = "KmsMasterKeyId",
     .removable = true,
     .read = read_kms_key,
     .write = write_kms_key,
     .form = "a key's name"},
    {.name = "KmsDataKeyReusePeriodSeconds",
     .read = KmsReuse::read,
     .write = write_kms_reuse,
     .form = "60 to 86400 seconds"},
};

Status refuse(std::string* detail, std::string text) {
  *detail = std::move(text);
  return fail(Errc::invalid_argument);
}

std::string quoted(std::string_view text) {
  return "'" + base::printable(text) + "'";
}

// Those of the row's name, the last one wins.
const NamedText* given(const QueueSettings& settings, std::string_view name) {
  const auto found = std::find_if(settings.attributes.rbegin(), settings.attributes.rend(),
                                  [&](const NamedText& text) { return text.name == name; });
  return found == settings.attributes.rend() ? nullptr : &*found;
}

Status apply_one(const AttributeRow& row, const std::string& value, bool creates,
                 QueueAttributes* attributes, std::string* detail) {
  if (row.fifo_only && !attributes->fifo)
    return refuse(detail, fmt::format("{} is {}; it is for FIFO queues", row.name, quoted(value)));
  const auto before = row.write(*attributes);
  const std::string wrong = row.read(value, attributes);
  if (!wrong.empty())
    return refuse(detail, fmt::format("{} is {}; {}", row.name, quoted(value), wrong));
  if (!creates && row.at_creation && row.write(*attributes) != before)
    return refuse(detail, fmt::format("{} is {}; it is {} since the queue was created", row.name,
                                      quoted(value), before ? *before : "not there"));
  return {};
}

Status check_whole(const QueueSettings& settings, const QueueAttributes& attributes,
                   std::string* detail) {
  if (attributes.throughput_limit == ThroughputLimit::group &&
      attributes.deduplication_scope != DeduplicationScope::group)
    return refuse(detail,
                  "FifoThroughputLimit is 'perMessageGroupId'; it may be that only when "
                  "DeduplicationScope is messageGroup");
  const NamedText* managed = given(settings, "SqsManagedSseEnabled");
  if (!attributes.kms_key.empty() && managed != nullptr && equal_but_case(managed->value, "true"))
    return refuse(detail, "SqsManagedSseEnabled is 'true'; it may not be with a KmsMasterKeyId");
  return {};
}

}  // namespace

std::span<const AttributeRow> attribute_table() {
  return kTable;
}

const AttributeRow* find_attribute(std::string_view name) {
  const auto found = std::find_if(std::begin(kTable), std::end(kTable),
                                  [&](const AttributeRow& row) { return row.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

Status apply_settings(const QueueSettings& settings, bool creates, QueueAttributes* attributes,
                      std::string* detail) {
  for (const NamedText& text : settings.attributes)
    if (find_attribute(text.name) == nullptr)
      return refuse(detail, fmt::format("a queue has no attribute {}", quoted(text.name)));
  QueueAttributes wanted = *attributes;
  for (const AttributeRow& row : kTable) {
    const NamedText* text = given(settings, row.name);
    if (text == nullptr) continue;
    if (const auto applied = apply_one(row, text->value, creates, &wanted, detail); !applied)
      return applied;
  }
  if (const auto whole = check_whole(settings, wanted, detail); !whole) return whole;
  if (!creates && wanted.partitions > 1 && wanted.deduplication_scope == DeduplicationScope::queue)
    return refuse(detail,
                  fmt::format("DeduplicationScope is 'queue'; the queue lives on {} shards by its "
                              "groups since it was created, and ids are known within them only",
                              wanted.partitions));
  if (const auto tagged = apply_tags(settings, &wanted.tags, detail); !tagged) return tagged;
  *attributes = std::move(wanted);
  return {};
}

std::vector<NamedText> attribute_texts(const QueueAttributes& attributes) {
  std::vector<NamedText> texts;
  for (const AttributeRow& row : kTable) {
    if (row.fifo_only && !attributes.fifo) continue;
    if (auto value = row.write(attributes))
      texts.push_back({std::string(row.name), std::move(*value)});
  }
  return texts;
}

QueueSettings settings_of(const QueueAttributes& attributes) {
  QueueSettings settings;
  const QueueAttributes fresh;
  for (const AttributeRow& row : kTable) {
    auto value = row.write(attributes);
    // What is for FIFO queues is left out of a standard queue's only as long as it is the default,
    // so that the rest is refused.
    if (row.fifo_only && !attributes.fifo && value == row.write(fresh)) continue;
    if (!value && row.removable) value = "";
    if (value) settings.attributes.push_back({std::string(row.name), std::move(*value)});
  }
  settings.tags = attributes.tags;
  return settings;
}

std::string_view first_difference(const QueueAttributes& a, const QueueAttributes& b) {
  for (const AttributeRow& row : kTable)
    if (row.write(a) != row.write(b)) return row.name;
  return {};
}

Status check_queue_name(std::string_view name, bool fifo) {
  if (!is_name(name, kQueueNameBytesMax, fifo)) return fail(Errc::invalid_queue_name);
  return {};
}

}  // namespace millrace::engine
