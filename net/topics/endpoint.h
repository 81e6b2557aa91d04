// Endpoint: which protocols a subscription may have here, and which queue of this server its
// endpoint is, whatever protocol the subscriber speaks.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

namespace millrace::net::topics {

// What is wrong with it, in SNS's words without its "Invalid parameter: "; empty: nothing.
// `outside`: http and https are delivered to. `accept_undeliverable`: those that nothing is ever
// delivered to are taken, too.
std::string protocol_fault(std::string_view protocol, bool outside, bool accept_undeliverable);

// The name of the queue that an ARN is of; empty: it is none of this account's. A view of
// `endpoint`.
std::string_view queue_of(std::string_view endpoint, std::string_view account);

}  // namespace millrace::net::topics
