// When a delivery is tried again, and which policies are refused.
#include "net/topics/delivery_policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace millrace::net::topics {
namespace {

std::string delays(const DeliveryPolicy& policy) {
  std::string text;
  for (uint32_t retry = 1; const auto delay = policy.delay_ms(retry); ++retry)
    text += fmt::format("{}{}", text.empty() ? "" : " ", *delay);
  return text;
}
DeliveryPolicy policy(std::string_view retry) {
  return delivery_policy_of("", fmt::format(R"({{"healthyRetryPolicy":{}}})", retry));
}

TEST(DeliveryPolicy, IsThreeRetriesTwentySecondsApartUnlessSaid) {
  EXPECT_EQ(delays(DeliveryPolicy()), "20000 20000 20000");
  EXPECT_EQ(delays(delivery_policy_of("", "")), "20000 20000 20000");
  EXPECT_EQ(delivery_policy_of("", "").content_type, "text/plain; charset=UTF-8");
}

TEST(DeliveryPolicy, HasFourPhases) {
  EXPECT_EQ(delays(policy(R"({"numRetries":0})")), "");
  EXPECT_EQ(delays(policy(R"({"minDelayTarget":1,"maxDelayTarget":10,"numRetries":8,
      "numNoDelayRetries":1,"numMinDelayRetries":2,"numMaxDelayRetries":2})")),
            "0 1000 1000 1000 5500 10000 10000 10000");
}

TEST(DeliveryPolicy, RisesFromTheLeastToTheGreatest) {
  const auto rising = [](const char* how) {
    return delays(policy(fmt::format(
        R"({{"minDelayTarget":1,"maxDelayTarget":16,"numRetries":5,"backoffFunction":"{}"}})",
        how)));
  };
  EXPECT_EQ(rising("linear"), "1000 4750 8500 12250 16000");
  EXPECT_EQ(rising("arithmetic"), "1000 2500 5500 10000 16000");
  EXPECT_EQ(rising("geometric"), "1000 2000 4000 8000 16000");
  EXPECT_EQ(rising("exponential"), "1000 2000 4000 8000 16000");
}

TEST(DeliveryPolicy, OfASubscriptionGoesBeforeItsTopics) {
  const std::string topic = R"({"http":{"defaultHealthyRetryPolicy":{"numRetries":1},
      "defaultThrottlePolicy":{"maxReceivesPerSecond":7},
      "defaultRequestPolicy":{"headerContentType":"application/json"}}})";
  const DeliveryPolicy of_topic = delivery_policy_of(topic, "");
  EXPECT_EQ(delays(of_topic), "20000");
  EXPECT_EQ(of_topic.per_second_max, 7u);
  EXPECT_EQ(of_topic.content_type, "application/json");
  const std::string own = R"({"healthyRetryPolicy":{"numRetries":2}})";
  EXPECT_EQ(delays(delivery_policy_of(topic, own)), "20000 20000");
  EXPECT_EQ(delivery_policy_of(topic, own).per_second_max, 7u);
  const std::string fixed =
      R"({"http":{"defaultHealthyRetryPolicy":{"numRetries":1},"disableSubscriptionOverrides":true}})";
  EXPECT_EQ(delays(delivery_policy_of(fixed, own)), "20000");
  const auto effective = nlohmann::json::parse(effective_delivery_policy(topic, own));
  EXPECT_EQ(effective["healthyRetryPolicy"]["numRetries"], 2);
  EXPECT_EQ(effective["throttlePolicy"]["maxReceivesPerSecond"], 7);
}

TEST(DeliveryPolicy, WhatCantBeUsedIsRefusedByName) {
  const std::pair<const char*, const char*> kRetries[] = {
      {R"({"numRetries":101})", "numRetries is 101; it may be 0 to 100"},
      {R"({"numRetries":-1})", "numRetries is -1; it may be 0 to 100"},
      {R"({"numRetries":1.5})", "numRetries is 1.5; it may be 0 to 100"},
      {R"({"numRetries":"3"})", "numRetries is \"3\"; it may be 0 to 100"},
      {R"({"numRetries":99999999999999999999})", "it may be 0 to 100"},
      {R"({"minDelayTarget":0})", "minDelayTarget is 0; it may be 1 to 3600"},
      {R"({"maxDelayTarget":3601})", "maxDelayTarget is 3601; it may be 1 to 3600"},
      {R"({"minDelayTarget":21})", "minDelayTarget is 21, more than maxDelayTarget, which is 20"},
      {R"({"numNoDelayRetries":4})", "are more than numRetries, which is 3"},
      {R"({"backoffFunction":"x"})", "it may be linear, arithmetic, geometric, exponential"},
      {R"({"backoffFunction":7})", "backoffFunction is '7'"},
      {R"({"maxDelayTarget":3600,"minDelayTarget":1200,"numRetries":2})", "they may take 3600"},
      {R"([])", "it is no object"}};
  for (const auto& [retry, said] : kRetries) {
    const std::string own = fmt::format(R"({{"healthyRetryPolicy":{}}})", retry);
    EXPECT_NE(delivery_policy_fault(own, false).find(said), std::string::npos)
        << retry << ": " << delivery_policy_fault(own, false);
    EXPECT_EQ(delays(delivery_policy_of("", own)), "20000 20000 20000") << retry;
    const std::string topic =
        fmt::format(R"({{"http":{{"defaultHealthyRetryPolicy":{}}}}})", retry);
    EXPECT_NE(delivery_policy_fault(topic, true).find(said), std::string::npos) << retry;
  }
  EXPECT_EQ(delivery_policy_fault("{", false), "failed to parse JSON.");
  EXPECT_EQ(delivery_policy_fault("[]", true), "failed to parse JSON.");
  EXPECT_EQ(delivery_policy_fault(R"({"http":7})", true), "http: it is no object");
  EXPECT_NE(delivery_policy_fault(R"({"throttlePolicy":{"maxReceivesPerSecond":0}})", false), "");
  EXPECT_NE(delivery_policy_fault(R"({"requestPolicy":{"headerContentType":"a\r\nb: c"}})", false),
            "");
  EXPECT_EQ(delivery_policy_fault("", true), "");
  EXPECT_EQ(delivery_policy_fault("{}", true), "");
}

}  // namespace
}  // namespace millrace::net::topics
