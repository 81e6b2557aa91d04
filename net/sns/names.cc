#include "net/sns/names.h"

#include <algorithm>

#include <fmt/format.h>

#include "net/aws/arn.h"
#include "net/sns/errors.h"
#include "base/uuid.h"

namespace millrace::net::sns {
namespace {

constexpr size_t kArnElements = 6;

// Nothing of a resource yet.
AwsError read_arn(std::string_view parameter, std::string_view text, const Place& place,
                  std::optional<Arn>* arn) {
  if (text.empty())
    return invalid_parameter(fmt::format("{} Reason: no value for required parameter", parameter));
  const auto elements = static_cast<size_t>(std::count(text.begin(), text.end(), ':')) + 1;
  if (elements < kArnElements)
    return invalid_parameter(fmt::format("{} Reason: An ARN must have at least {} elements, not {}",
                                         parameter, kArnElements, elements));
  *arn = parse_arn(text);
  if (!*arn || (*arn)->service != "sns" ||
      (!place.region.empty() && (*arn)->region != place.region))
    return invalid_parameter(parameter);
  return {};
}

}  // namespace

AwsError read_topic_arn(std::string_view parameter, std::string_view arn, const Place& place,
                        std::string_view* name) {
  std::optional<Arn> parts;
  if (auto error = read_arn(parameter, arn, place, &parts)) return error;
  if (parts->resource.find(':') != std::string_view::npos) return invalid_parameter(parameter);
  *name = parts->account == place.account ? parts->resource : std::string_view();
  return {};
}

AwsError read_subscription_arn(std::string_view arn, const Place& place, SubscriptionName* name) {
  std::optional<Arn> parts;
  if (auto error = read_arn("SubscriptionArn", arn, place, &parts)) return error;
  const size_t colon = parts->resource.find(':');
  if (colon == std::string_view::npos) return invalid_parameter("SubscriptionId");
  const auto uuid = base::parse_uuid(parts->resource.substr(colon + 1));
  if (!uuid) return invalid_parameter("SubscriptionId");
  name->topic =
      parts->account == place.account ? parts->resource.substr(0, colon) : std::string_view();
  name->uuid = *uuid;
  return {};
}

}  // namespace millrace::net::sns
