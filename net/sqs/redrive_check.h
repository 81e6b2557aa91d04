// RedrivePolicy and RedriveAllowPolicy as SQS takes, refuses and shows them. The engine's own texts
// have names where these have ARNs.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

#include "net/sqs/queue_settings.h"

namespace millrace::net::sqs {

// "" removes either.
AwsError check_redrive_policy(std::string_view text, const SettingsContext& context);
AwsError check_redrive_allow_policy(std::string_view text);

// As they are shown: canonical, without blanks. The queue has one.
std::string redrive_policy_text(const QueueAttributes& attributes, std::string_view region,
                                std::string_view account);
std::string redrive_allow_policy_text(const QueueAttributes& attributes, std::string_view region,
                                      std::string_view account);

}  // namespace millrace::net::sqs
