// Definitions: a file that says which queues, topics and subscriptions there are to be: what
// `millraced --definitions` reads, `millrace export` writes and `millrace import` reads.
//
//   [[queue]]
//   name = "jobs"
//   dead_letter_queue = "jobs-failed"       # and max_receives; in place of a RedrivePolicy
//   max_receives = 5
//   attributes = { VisibilityTimeout = 60, Durability = "commit" }
//   tags = { team = "billing" }
//
//   [[topic]]
//   name = "orders-topic"
//   attributes = { DisplayName = "orders" }
//   tags = { team = "billing" }
//   [[topic.subscription]]
//   queue = "jobs"
//   raw = true
//   filter = '{"event_type": ["order.created"]}'
//   attributes = { FilterPolicyScope = "MessageBody" }
//
// TOML, as the other files of the server are: people write it, with comments, and an error names
// its line; and what was exported is such a file as it is. A name that ends in .fifo makes a FIFO
// queue or topic; `fifo` may say so besides. Attributes have SQS's and SNS's names and ours.
// Subscriptions are those of queues: others need somebody to confirm them.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/options.h"

namespace millrace::tools {

struct QueueDefinition {
  std::string name;
  // Checked, as far as that goes without a server. A dead-letter queue is a RedrivePolicy here.
  QueueSettings settings;
  std::string where;  // "queues.toml:12"
};

struct SubscriptionDefinition {
  std::string queue;
  std::vector<NamedText> attributes;  // checked as far
};

struct TopicDefinition {
  std::string name;
  QueueSettings settings;
  std::vector<SubscriptionDefinition> subscriptions;
  std::string where;
};

struct Definitions {
  std::vector<QueueDefinition> queues;
  std::vector<TopicDefinition> topics;
};

// False: `why` then has one line, "queues.toml:12: ...".
bool read_definitions(const std::string& path, Definitions& to, std::string* why);
bool parse_definitions(std::string_view text, const std::string& path, Definitions& to,
                       std::string* why);

// One [[queue]], from its attributes and tags as texts.
std::string definition_text(std::string_view name, std::span<const NamedText> attributes,
                            std::span<const NamedText> tags);
// One [[topic]] with its subscriptions, likewise.
std::string topic_definition_text(const TopicDefinition& topic);

}  // namespace millrace::tools
