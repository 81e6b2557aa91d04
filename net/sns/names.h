// How topics and subscriptions are called outside:
//   arn:aws:sns:us-east-1:000000000000:orders
//   arn:aws:sns:us-east-1:000000000000:orders:0b0c1a2b-...    a subscription of it, by its UUID
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include "millrace/topics.h"
#include "net/aws/error.h"

namespace millrace::net::sns {

// Which ARNs are taken: those of this account and region.
struct Place {
  std::string_view region;  // empty: any
  std::string_view account;
};

// `parameter`: "TopicArn" or "ResourceArn". Without error `name` is the topic's, which need not
// exist; empty of another account.
AwsError read_topic_arn(std::string_view parameter, std::string_view arn, const Place& place,
                        std::string_view* name);

struct SubscriptionName {
  std::string_view topic;
  Uuid uuid{};
};
AwsError read_subscription_arn(std::string_view arn, const Place& place, SubscriptionName* name);

}  // namespace millrace::net::sns
