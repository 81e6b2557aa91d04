// Tokens: what a session gives the shard to find the request or subscription of an answer again.
#pragma once

#include <cstdint>

namespace millrace::net {

inline constexpr uint64_t kSubscriptionBit = uint64_t{1} << 63;

// Of an EXTEND that the session makes itself, to give leases back; nobody waits for its answer.
inline constexpr uint64_t kGiveBackToken = uint64_t{1} << 62;

constexpr uint64_t request_token(uint32_t place) {
  return place;
}
constexpr uint64_t subscription_token(uint32_t place) {
  return kSubscriptionBit | place;
}
constexpr bool is_subscription(uint64_t token) {
  return (token & kSubscriptionBit) != 0;
}
constexpr uint32_t place_of(uint64_t token) {
  return static_cast<uint32_t>(token);
}

}  // namespace millrace::net
