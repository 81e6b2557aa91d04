// The bodies of the catalog's records about topics and subscriptions, and back.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/records.h"
#include "millrace/topics.h"

namespace millrace::engine {

std::vector<std::byte> encode_topic(const TopicInfo& topic);
std::vector<std::byte> encode_subscription(const SubscriptionInfo& subscription);

// Nothing if the body does not hold what it claims, or if there is more in it than this version
// knows: `why` then gets a line, unless it has one.
std::optional<TopicInfo> decode_topic(Bytes body, std::string* why);
std::optional<SubscriptionInfo> decode_subscription(Bytes body, std::string* why);

}  // namespace millrace::engine
