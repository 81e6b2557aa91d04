// The names of a queue's attributes as SQS knows them: those that can be set are the engine's
// (engine/queue_attributes.h), the others are counted or follow from the queue.
//
// Threads: any; no state.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/queue_attributes.h"

namespace millrace::net::sqs {

inline constexpr std::array<std::string_view, 6> kReadOnlyAttributes{
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
};

inline bool is_queue_attribute(std::string_view name) {
  return std::find(kReadOnlyAttributes.begin(), kReadOnlyAttributes.end(), name) !=
             kReadOnlyAttributes.end() ||
         engine::find_attribute(name) != nullptr;
}

}  // namespace millrace::net::sqs
