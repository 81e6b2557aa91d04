// What clients are told of how deliveries are tried again, whether or not there is anybody to
// deliver to over HTTP.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

namespace millrace::net::sns {

// Of a topic: the default, with what its DeliveryPolicy (empty: none) says instead.
std::string effective_delivery_policy(std::string_view topics);

}  // namespace millrace::net::sns
