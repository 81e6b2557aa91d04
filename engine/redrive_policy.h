// RedrivePolicy and RedriveAllowPolicy: the two attributes whose texts are JSON objects.
//
//   {"deadLetterTargetArn":"jobs-failed","maxReceiveCount":5}
//   {"redrivePermission":"byQueue","sourceQueueArns":["jobs"]}
//
// Each read takes an ARN or a name, keeps the name, and answers "" or what is wrong; "" as text
// removes. Each write gives the text above, without blanks, or nothing.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/options.h"

namespace millrace::engine {

std::string read_redrive_policy(std::string_view text, QueueAttributes* attributes);
std::optional<std::string> write_redrive_policy(const QueueAttributes& attributes);

std::string read_redrive_allow_policy(std::string_view text, QueueAttributes* attributes);
std::optional<std::string> write_redrive_allow_policy(const QueueAttributes& attributes);

// Whether a queue with `target`'s attributes takes the dead letters of the queue named.
bool allows_dead_letters(const QueueAttributes& target, std::string_view source);

bool is_json(std::string_view text);

}  // namespace millrace::engine
