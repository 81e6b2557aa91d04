#include "net/sqs/redrive_check.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "engine/queue_attributes.h"
#include "engine/redrive_policy.h"
#include "net/aws/arn.h"
#include "net/sqs/errors.h"

namespace millrace::net::sqs {
namespace {

using Json = nlohmann::ordered_json;  // as in permissions.cc

constexpr const char* kTarget = "deadLetterTargetArn";
constexpr const char* kReceives = "maxReceiveCount";
constexpr const char* kPermission = "redrivePermission";
constexpr const char* kSources = "sourceQueueArns";
constexpr size_t kSourcesMax = 10;

bool has_only(const Json& object, std::string_view one, std::string_view two) {
  const auto items = object.items();
  return std::all_of(items.begin(), items.end(),
                     [&](const auto& item) { return item.key() == one || item.key() == two; });
}

// A number, or a text of one; nothing if it is neither.
bool is_receive_count(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    return number >= 1 && number <= 1'000;
  }
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 1'000;
}

std::string text_of_json(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

AwsError check_redrive_policy(std::string_view text, const SettingsContext& context) {
  if (text.empty()) return {};
  const auto refuse = [&](std::string_view reason) {
    return invalid_value("RedrivePolicy", text, reason);
  };
  const Json policy = base::parse_bounded_json<Json>(text);
  if (!policy.is_object())
    return invalid_attribute_value("RedrivePolicy", "Redrive policy is not a valid JSON map.");
  for (const char* key : {kReceives, kTarget})
    if (!policy.contains(key))
      return refuse(fmt::format("Redrive policy does not contain mandatory attribute: {}.", key));
  if (!has_only(policy, kTarget, kReceives))
    return refuse(
        "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn].");
  if (!is_receive_count(policy[kReceives]))
    return refuse(fmt::format(
        "Invalid value for maxReceiveCount: {}, valid values are from 1 to 1000 both inclusive.",
        text_of_json(policy[kReceives])));
  const std::string target = text_of_json(policy[kTarget]);
  const auto arn = parse_arn(target);
  if (!arn) return refuse("Dead-letter target ARN should be fully qualified ARN.");
  if (arn->service != "sqs")
    return refuse("Only SQS queues are valid resources for deadLetterTargetArn.");
  if (arn->account != context.settings.account)
    return refuse("Dead-letter target owner should be same as the source.");
  // A queue may name itself, also one that is being created.
  if (arn->resource == context.name) return {};
  const QueueInfo* queue = context.port.find_queue(arn->resource);
  if (queue == nullptr) return refuse("Dead letter target does not exist.");
  if (queue->attributes.fifo != context.fifo)
    return refuse("Dead-letter queue must be same type of queue as the source..");
  if (!engine::allows_dead_letters(queue->attributes, context.name))
    return refuse(
        "The dead-letter queue's redrive allow policy doesn't allow this queue as a source.");
  return {};
}

AwsError check_redrive_allow_policy(std::string_view text) {
  if (text.empty()) return {};
  const auto refuse = [&](std::string_view reason) {
    return invalid_value(
        "RedriveAllowPolicy", text,
        fmt::format("Amazon SQS can't create the redrive allow policy. {}", reason));
  };
  const auto wrong_shape = [] {
    return invalid_attribute_value(
        "RedriveAllowPolicy",
        "Amazon SQS can't create the redrive allow policy, as it’s in an "
        "unsupported format.");
  };
  const Json policy = base::parse_bounded_json<Json>(text);
  if (!policy.is_object() || !has_only(policy, kPermission, kSources) ||
      !policy.contains(kPermission) || !policy[kPermission].is_string())
    return wrong_shape();
  const auto& permission = policy[kPermission].get_ref<const std::string&>();
  const bool by_queue = permission == "byQueue";
  if (!by_queue && permission != "allowAll" && permission != "denyAll") return wrong_shape();
  const bool has_sources = policy.contains(kSources);
  if (!by_queue) {
    if (!has_sources) return {};
    return refuse(
        "To specify one or more source queue ARNs, you must set redrivePermission to "
        "byQueue.");
  }
  if (has_sources && !policy[kSources].is_array()) return wrong_shape();
  if (!has_sources || policy[kSources].empty())
    return refuse(
        "When you specify the byQueue permission type, you must also specify one or more "
        "sourceQueueArns values.");
  if (policy[kSources].size() > kSourcesMax)
    return refuse("The maximum number of source queue ARNs you can specify is 10.");
  QueueAttributes scratch;
  for (const Json& source : policy[kSources])
    if (!source.is_string() || !parse_arn(source.get_ref<const std::string&>()))
      return wrong_shape();
  return engine::read_redrive_allow_policy(text, &scratch).empty() ? AwsError{} : wrong_shape();
}

std::string redrive_policy_text(const QueueAttributes& attributes, std::string_view region,
                                std::string_view account) {
  return fmt::format(R"({{"{}":"{}","{}":{}}})", kTarget,
                     make_arn("sqs", region, account, attributes.dead_letter_queue), kReceives,
                     attributes.receives_max);
}

std::string redrive_allow_policy_text(const QueueAttributes& attributes, std::string_view region,
                                      std::string_view account) {
  // The engine's text, with each name made an ARN.
  QueueAttributes named;
  named.redrive_permission = attributes.redrive_permission;
  for (const std::string& source : attributes.redrive_sources)
    named.redrive_sources.push_back(make_arn("sqs", region, account, source));
  return engine::write_redrive_allow_policy(named).value_or("");
}

}  // namespace millrace::net::sqs
