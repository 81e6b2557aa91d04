// DeliveryPolicy: how deliveries over HTTP are tried again, as a topic and a subscription say it in
// JSON, and what of both is in force.
//
// A delivery is tried once and then, while it fails, again: at once, then after the least delay,
// then after delays that rise from the least to the greatest, at last after the greatest; so many
// times each.
//
// Threads: any; no state.
// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::net::topics {

enum class Backoff : uint8_t { linear, arithmetic, geometric, exponential };

struct DeliveryPolicy {
  uint32_t min_delay_s = 20;
  uint32_t max_delay_s = 20;
  uint32_t retries = 3;  // in all
  uint32_t no_delay_retries = 0;
  uint32_t min_delay_retries = 0;
  uint32_t max_delay_retries = 0;
  Backoff backoff = Backoff::linear;
  uint32_t per_second_max = 0;  // deliveries; 0: as many as there are
  std::string content_type = "text/plain; charset=UTF-8";

  // Before the n-th retry, from 1 on. Nothing: it is not tried so often.
  std::optional<uint32_t> delay_ms(uint32_t retry) const;
};

// Of a topic: the default, with what its DeliveryPolicy (empty: none) says instead.
std::string effective_delivery_policy(std::string_view of_topic);
// Of a subscription: its own DeliveryPolicy before its topic's, unless that forbids it.
std::string effective_delivery_policy(std::string_view of_topic, std::string_view own);
// The same, read. What can't be used counts as not said.
DeliveryPolicy delivery_policy_of(std::string_view of_topic, std::string_view own);

// What is wrong with one that is set, "" if nothing is. A topic's has the key "http".
std::string delivery_policy_fault(std::string_view text, bool of_topic);

}  // namespace millrace::net::topics
