// Whether a topic may send to a queue: by the queue's policy, on a server with credentials.
//
// Threads: the authorizer's, a shard's own.
#pragma once

#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "net/aws/authorizer.h"

namespace millrace::net::topics {

inline bool topic_may_send(Authorizer& authorizer, std::string_view topic_arn,
                           const QueueInfo& queue, std::string_view region,
                           std::string_view account) {
  return authorizer.service_may("sns.amazonaws.com", topic_arn,
                                {.service = "sqs",
                                 .action = "SendMessage",
                                 .region = region,
                                 .account = account,
                                 .resource = queue.name,
                                 .policy = queue.attributes.policy});
}

}  // namespace millrace::net::topics
