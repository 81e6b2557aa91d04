// A topic's policy: the one it is shown with if it was given none, and whether one is understood;
// and whether a delivery policy is.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

#include "net/aws/error.h"

namespace millrace::net::sns {

// As SNS gives it to each topic. Nobody here is asked by it: who may use a topic is said by users'
// policies, until the topic is given one of its own.
std::string default_topic_policy(std::string_view topic_arn, std::string_view account);

// What would not be understood when it is asked who may do what is not taken. "" takes a policy
// away.
AwsError check_topic_policy(std::string_view text);

// The same of a DeliveryPolicy, of a topic or of a subscription; `reason` stands before its name.
AwsError check_delivery_policy(std::string_view text, bool of_topic, std::string_view reason = {});

}  // namespace millrace::net::sns
