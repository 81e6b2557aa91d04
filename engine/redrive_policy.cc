#include "engine/redrive_policy.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "engine/queue_attributes.h"

namespace millrace::engine {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kReceivesMaxMax = 1'000;
constexpr size_t kSourcesMax = 10;
constexpr std::array<std::string_view, 4> kPermissions{"", "allowAll", "denyAll", "byQueue"};
constexpr const char* kTarget = "deadLetterTargetArn";
constexpr const char* kReceives = "maxReceiveCount";
constexpr const char* kPermission = "redrivePermission";
constexpr const char* kSources = "sourceQueueArns";

// A queue's name from its ARN or from itself; empty if it is no queue's.
std::string queue_name(const Json& value) {
  if (!value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  std::string name = text.substr(text.rfind(':') + 1);
  return check_queue_name(name, name.ends_with(".fifo")) ? name : std::string();
}

// 0: no such number.
uint32_t receives_max(const Json& value) {
  if (value.is_number_unsigned())
    return static_cast<uint32_t>(std::min<uint64_t>(value.get<uint64_t>(), UINT32_MAX));
  if (!value.is_string()) return 0;
  const auto& text = value.get_ref<const std::string&>();
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

bool has_other_keys(const Json& object, std::string_view one, std::string_view two) {
  for (const auto& item : object.items())
    if (item.key() != one && item.key() != two) return true;
  return false;
}

}  // namespace

bool is_json(std::string_view text) {
  return !base::nests_too_deep(text) && Json::accept(text);
}

std::string read_redrive_policy(std::string_view text, QueueAttributes* attributes) {
  if (text.empty()) {
    attributes->dead_letter_queue.clear();
    attributes->receives_max = 0;
    return {};
  }
  const Json policy = base::parse_bounded_json<Json>(text);
  if (!policy.is_object()) return "it is not a JSON object";
  if (has_other_keys(policy, kTarget, kReceives))
    return fmt::format("it may have {} and {}", kTarget, kReceives);
  for (const char* key : {kTarget, kReceives})
    if (!policy.contains(key)) return fmt::format("it has no {}", key);
  std::string name = queue_name(policy[kTarget]);
  if (name.empty()) return fmt::format("{} is not the ARN or name of a queue", kTarget);
  const uint32_t receives = receives_max(policy[kReceives]);
  if (receives == 0 || receives > kReceivesMaxMax)
    return fmt::format("{} may be 1 to {}", kReceives, kReceivesMaxMax);
  attributes->dead_letter_queue = std::move(name);
  attributes->receives_max = receives;
  return {};
}

std::optional<std::string> write_redrive_policy(const QueueAttributes& attributes) {
  if (attributes.dead_letter_queue.empty()) return std::nullopt;
  return fmt::format("{{\"{}\":\"{}\",\"{}\":{}}}", kTarget, attributes.dead_letter_queue,
                     kReceives, attributes.receives_max);
}

std::string read_redrive_allow_policy(std::string_view text, QueueAttributes* attributes) {
  RedrivePermission permission = RedrivePermission::unset;
  std::vector<std::string> names;
  if (!text.empty()) {
    const Json policy = base::parse_bounded_json<Json>(text);
    if (!policy.is_object()) return "it is not a JSON object";
    if (has_other_keys(policy, kPermission, kSources))
      return fmt::format("it may have {} and {}", kPermission, kSources);
    const Json& given = policy.value(kPermission, Json());
    const auto known = std::find(kPermissions.begin() + 1, kPermissions.end(),
                                 given.is_string() ? given.get<std::string>() : std::string());
    if (known == kPermissions.end())
      return fmt::format("{} may be allowAll, denyAll or byQueue", kPermission);
    permission = static_cast<RedrivePermission>(known - kPermissions.begin());
    const bool by_queue = permission == RedrivePermission::by_queue;
    if (!by_queue && policy.contains(kSources))
      return fmt::format("{} need the {} byQueue", kSources, kPermission);
    if (by_queue) {
      const Json& sources = policy.value(kSources, Json());
      if (!sources.is_array() || sources.empty() || sources.size() > kSourcesMax)
        return fmt::format("{} may be 1 to {}", kSources, kSourcesMax);
      for (const Json& source : sources) {
        names.push_back(queue_name(source));
        if (names.back().empty())
          return fmt::format("one of {} is not the ARN or name of a queue", kSources);
      }
    }
  }
  attributes->redrive_permission = permission;
  attributes->redrive_sources = std::move(names);
  return {};
}

std::optional<std::string> write_redrive_allow_policy(const QueueAttributes& attributes) {
  if (attributes.redrive_permission == RedrivePermission::unset) return std::nullopt;
  std::string text = fmt::format("{{\"{}\":\"{}\"", kPermission,
                                 kPermissions[static_cast<size_t>(attributes.redrive_permission)]);
  if (attributes.redrive_permission == RedrivePermission::by_queue)
    text +=
        fmt::format(",\"{}\":[\"{}\"]", kSources, fmt::join(attributes.redrive_sources, "\",\""));
  return text + "}";
}

bool allows_dead_letters(const QueueAttributes& target, std::string_view source) {
  switch (target.redrive_permission) {
    case RedrivePermission::deny_all:
      return false;
    case RedrivePermission::by_queue:
      return std::find(target.redrive_sources.begin(), target.redrive_sources.end(), source) !=
             target.redrive_sources.end();
    default:
      return true;
  }
}

}  // namespace millrace::engine
