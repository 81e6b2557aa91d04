#include "net/topics/delivery_policy.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "base/printable.h"

namespace millrace::net::topics {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kDefault =
    R"({"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,)"
    R"("numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,)"
    R"("backoffFunction":"linear"},"disableSubscriptionOverrides":false,)"
    R"("defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}})";

constexpr uint32_t kDelaySMax = 3'600;
constexpr uint32_t kRetriesMax = 100;
constexpr uint32_t kPerSecondMax = 100'000;
constexpr std::array<std::string_view, 4> kBackoffs{"linear", "arithmetic", "geometric",
                                                    "exponential"};
constexpr size_t kContentTypeBytesMax = 256;

// A topic's names and a subscription's.
struct Names {
  std::string_view retry, throttle, request;
};
constexpr Names kOfTopic{"defaultHealthyRetryPolicy", "defaultThrottlePolicy",
                         "defaultRequestPolicy"};
constexpr Names kOfSubscription{"healthyRetryPolicy", "throttlePolicy", "requestPolicy"};

struct NumberRow {
  std::string_view name;
  uint32_t DeliveryPolicy::*member;
  uint32_t least, greatest;
};
constexpr NumberRow kRetryRows[] = {
    {"minDelayTarget", &DeliveryPolicy::min_delay_s, 1, kDelaySMax},
    {"maxDelayTarget", &DeliveryPolicy::max_delay_s, 1, kDelaySMax},
    {"numRetries", &DeliveryPolicy::retries, 0, kRetriesMax},
    {"numNoDelayRetries", &DeliveryPolicy::no_delay_retries, 0, kRetriesMax},
    {"numMinDelayRetries", &DeliveryPolicy::min_delay_retries, 0, kRetriesMax},
    {"numMaxDelayRetries", &DeliveryPolicy::max_delay_retries, 0, kRetriesMax},
};
constexpr NumberRow kThrottleRows[] = {
    {"maxReceivesPerSecond", &DeliveryPolicy::per_second_max, 1, kPerSecondMax},
};

const OrderedJson* member_of(const OrderedJson& json, std::string_view name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(std::string(name));
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

template <size_t kCount>
std::string read_numbers(const OrderedJson& json, const NumberRow (&rows)[kCount],
                         DeliveryPolicy* policy) {
  for (const NumberRow& row : rows) {
    const OrderedJson* value = member_of(json, row.name);
    if (value == nullptr) continue;
    const bool whole = value->is_number_integer() && *value >= row.least && *value <= row.greatest;
    if (!whole)
      return fmt::format("{} is {}; it may be {} to {}", row.name,
                         base::printable(value->dump().substr(0, 64)), row.least, row.greatest);
    policy->*row.member = value->get<uint32_t>();
  }
  return {};
}

uint64_t total_s(const DeliveryPolicy& policy) {
  uint64_t total_ms = 0;
  for (uint32_t retry = 1; retry <= policy.retries; ++retry)
    total_ms += *policy.delay_ms(retry);
  return total_ms / 1'000;
}

std::string read_retries(const OrderedJson& json, DeliveryPolicy* policy) {
  if (auto wrong = read_numbers(json, kRetryRows, policy); !wrong.empty()) return wrong;
  if (const OrderedJson* name = member_of(json, "backoffFunction")) {
    const std::string text = name->is_string() ? name->get<std::string>() : name->dump();
    const auto* found = std::find(kBackoffs.begin(), kBackoffs.end(), text);
    if (found == kBackoffs.end())
      return fmt::format("backoffFunction is '{}'; it may be {}",
                         base::printable(std::string_view(text).substr(0, 64)),
                         fmt::join(kBackoffs, ", "));
    policy->backoff = static_cast<Backoff>(found - kBackoffs.begin());
  }
  if (policy->min_delay_s > policy->max_delay_s)
    return fmt::format("minDelayTarget is {}, more than maxDelayTarget, which is {}",
                       policy->min_delay_s, policy->max_delay_s);
  if (uint64_t{policy->no_delay_retries} + policy->min_delay_retries + policy->max_delay_retries >
      policy->retries)
    return fmt::format(
        "numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries are more than numRetries, "
        "which is {}",
        policy->retries);
  if (const uint64_t total = total_s(*policy); total > kDelaySMax)
    return fmt::format("all retries together take {} seconds; they may take {}", total, kDelaySMax);
  return {};
}

bool is_content_type(std::string_view text) {
  return !text.empty() && text.size() <= kContentTypeBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// The parts of `json`, each of which is left out if it can't be used. The first reason why.
std::string read_parts(const OrderedJson& json, const Names& names, DeliveryPolicy* policy) {
  std::string first;
  const auto read_part = [&](std::string_view name, auto&& read) {
    const OrderedJson* part = member_of(json, name);
    if (part == nullptr) return;
    DeliveryPolicy changed = *policy;
    std::string wrong = part->is_object() ? read(*part, &changed) : "it is no object";
    if (wrong.empty())
      *policy = changed;
    else if (first.empty())
      first = fmt::format("{}: {}", name, wrong);
  };
  read_part(names.retry, read_retries);
  read_part(names.throttle, [](const OrderedJson& part, DeliveryPolicy* changed) {
    return read_numbers(part, kThrottleRows, changed);
  });
  read_part(names.request, [](const OrderedJson& part, DeliveryPolicy* changed) -> std::string {
    const OrderedJson* type = member_of(part, "headerContentType");
    if (type == nullptr) return {};
    if (!type->is_string() || !is_content_type(type->get_ref<const std::string&>()))
      return "headerContentType is no content type";
    changed->content_type = type->get<std::string>();
    return {};
  });
  return first;
}

struct Sources {
  OrderedJson of_topic;  // what "http" is; an object
  OrderedJson own;       // discarded if it is not in force
};
Sources sources_of(std::string_view of_topic, std::string_view own) {
  Sources sources{OrderedJson::object(), OrderedJson(OrderedJson::value_t::discarded)};
  const auto topic = base::parse_bounded_json<OrderedJson>(of_topic);
  if (const OrderedJson* http = member_of(topic, "http"); http != nullptr && http->is_object())
    sources.of_topic = *http;
  const OrderedJson* fixed = member_of(sources.of_topic, "disableSubscriptionOverrides");
  if (fixed == nullptr || !fixed->is_boolean() || !fixed->get<bool>())
    sources.own = base::parse_bounded_json<OrderedJson>(own);
  return sources;
}

}  // namespace

std::optional<uint32_t> DeliveryPolicy::delay_ms(uint32_t retry) const {
  if (retry == 0 || retry > retries) return std::nullopt;
  if (retry <= no_delay_retries) return 0;
  retry -= no_delay_retries;
  if (retry <= min_delay_retries) return min_delay_s * 1'000;
  retry -= min_delay_retries;
  const uint32_t rising = retries - no_delay_retries - min_delay_retries - max_delay_retries;
  if (retry > rising) return max_delay_s * 1'000;
  // From the least at the first to the greatest at the last.
  const double low = min_delay_s;
  const double high = max_delay_s;
  const double steps = rising > 1 ? rising - 1 : 1;
  const double step = rising > 1 ? retry - 1 : 0;
  double delay_s = low;
  switch (backoff) {
    case Backoff::linear:
      delay_s = low + (high - low) * step / steps;
      break;
    case Backoff::arithmetic:  // by differences that rise evenly
      delay_s = low + (high - low) * step * (step + 1) / (steps * (steps + 1));
      break;
    case Backoff::geometric:
      delay_s = low * std::pow(high / low, step / steps);
      break;
    case Backoff::exponential:
      delay_s = low + (high - low) * (std::exp2(step) - 1) / (std::exp2(steps) - 1);
      break;
  }
  return static_cast<uint32_t>(std::lround(delay_s * 1'000));
}

std::string effective_delivery_policy(std::string_view of_topic) {
  std::string effective(kDefault);
  const auto own = base::parse_bounded_json<OrderedJson>(of_topic);
  if (!own.is_object()) return effective;
  auto merged = base::parse_bounded_json<OrderedJson>(effective);
  merged.merge_patch(own);
  return merged.dump();
}

std::string effective_delivery_policy(std::string_view of_topic, std::string_view own) {
  const DeliveryPolicy policy = delivery_policy_of(of_topic, own);
  OrderedJson retry;
  for (const NumberRow& row : kRetryRows)
    retry[std::string(row.name)] = policy.*row.member;
  retry["backoffFunction"] = kBackoffs[static_cast<size_t>(policy.backoff)];
  OrderedJson effective;
  effective["healthyRetryPolicy"] = retry;
  effective["sicklyRetryPolicy"] = nullptr;
  effective["throttlePolicy"] = nullptr;
  if (policy.per_second_max != 0)
    effective["throttlePolicy"] = {{"maxReceivesPerSecond", policy.per_second_max}};
  effective["requestPolicy"] = {{"headerContentType", policy.content_type}};
  effective["guaranteed"] = false;
  return effective.dump();
}

DeliveryPolicy delivery_policy_of(std::string_view of_topic, std::string_view own) {
  DeliveryPolicy policy;
  const Sources sources = sources_of(of_topic, own);
  read_parts(sources.of_topic, kOfTopic, &policy);
  if (!sources.own.is_discarded()) read_parts(sources.own, kOfSubscription, &policy);
  return policy;
}

std::string delivery_policy_fault(std::string_view text, bool of_topic) {
  if (text.empty()) return {};
  const auto json = base::parse_bounded_json<OrderedJson>(text);
  if (!json.is_object()) return "failed to parse JSON.";
  DeliveryPolicy policy;
  if (!of_topic) return read_parts(json, kOfSubscription, &policy);
  const OrderedJson* http = member_of(json, "http");
  if (http == nullptr) return {};
  if (!http->is_object()) return "http: it is no object";
  return read_parts(*http, kOfTopic, &policy);
}

}  // namespace millrace::net::topics
