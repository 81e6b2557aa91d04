#include "net/sns/delivery_policy.h"

#include <nlohmann/json.hpp>

#include "base/bounded_json.h"

namespace millrace::net::sns {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kDefault =
    R"({"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,)"
    R"("numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,)"
    R"("backoffFunction":"linear"},"disableSubscriptionOverrides":false,)"
    R"("defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}})";

}  // namespace

std::string effective_delivery_policy(std::string_view topics) {
  std::string effective(kDefault);
  const auto own = base::parse_bounded_json<OrderedJson>(topics);
  if (!own.is_object()) return effective;
  auto merged = base::parse_bounded_json<OrderedJson>(effective);
  merged.merge_patch(own);
  return merged.dump();
}

}  // namespace millrace::net::sns
