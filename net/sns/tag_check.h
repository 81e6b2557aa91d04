// Tags as SNS takes them: no more than a topic may have, each key once.
//
// Threads: any; no state.
#pragma once

#include <span>

#include "millrace/topics.h"
#include "net/sns/errors.h"
#include "net/sns/inputs.h"

namespace millrace::net::sns {

// `has`: the topic's by now. What a key and a value may be is the engine's to say.
AwsError read_tags(const List<Pair>& tags, std::span<const NamedText> has, TopicSettings* settings);

}  // namespace millrace::net::sns
