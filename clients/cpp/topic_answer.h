// What a server tells of topics, subscriptions and publishes, copied out of an answer.
//
// Each function reads an answer's body; nothing if the bytes do not fit their counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/options.h"
#include "millrace/topics.h"
#include "millrace/types.h"

namespace millrace::client {

struct TopicDescription {
  TopicId id{};
  std::string name;
  std::string arn;
  int64_t created_at_ms = 0;
  std::vector<NamedText> attributes;  // these two only of show_topic
  std::vector<NamedText> tags;
  uint32_t confirmed = 0;  // subscriptions
  uint32_t pending = 0;
  // Since the server started.
  uint64_t published = 0;  // messages
  uint64_t delivered = 0;  // copies
  uint64_t filtered = 0;   // copies that a filter policy did not want
  uint64_t failed = 0;     // copies that their queue could not take
};

struct TopicSubscription {
  Uuid uuid{};
  SubscriptionId id{};
  std::string topic;  // its name
  std::string protocol;
  std::string endpoint;
  std::string queue;  // empty: it is no queue of the server
  int64_t created_at_ms = 0;
  bool pending = false;
  std::vector<NamedText> attributes;  // of a list with details only
};

// One message of a publish.
struct PublishedMessage {
  Errc error = Errc::ok;
  std::string text;  // with an error: one line for people
  Uuid id{};
  uint64_t sequence = 0;  // on a FIFO topic
};

std::optional<std::vector<TopicDescription>> take_topics(Bytes body);
std::optional<std::vector<TopicSubscription>> take_subscriptions(Bytes body);
std::optional<std::vector<PublishedMessage>> take_published(Bytes body);

}  // namespace millrace::client
