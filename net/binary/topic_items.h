// What is answered about topics and subscriptions: items and the texts behind them
// (millrace/wire.h).
//
// Each function encodes one frame at the end of `out`. A list that would not fit is cut; it has one
// item at least, if there is one.
#pragma once

#include <span>

#include "millrace/topics.h"
#include "net/binary/answers.h"
#include "net/binary/topic_desk.h"

namespace millrace::net {

// `with_details`: attributes and tags too.
void answer_topics(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                   std::span<const TopicInfo> topics, const TopicDesk& desk, bool with_details);

// `topics`: whose names they are shown with. `with_details`: attributes too.
void answer_subscriptions(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                          std::span<const SubscriptionInfo> subscriptions, const TopicPort& topics,
                          bool with_details);

// They are no more than a PUBLISH may have.
void answer_published(OutputBuffer& out, uint64_t correlation,
                      std::span<const PublishEntryResult> results);

}  // namespace millrace::net
