// EndpointUrl: the URL of a subscription by http or https, in its parts.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::net::delivery {

struct EndpointUrl {
  std::string scheme;  // "http" or "https"
  std::string host;    // an IPv6 address without brackets; other forms of IPv4 as four numbers
};

// Nothing: `why` says what is wrong with it. A user and a password are refused, since lists of
// subscriptions show endpoints.
std::optional<EndpointUrl> parse_endpoint(std::string_view url, std::string* why);

}  // namespace millrace::net::delivery
