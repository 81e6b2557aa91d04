// TopicDesk: what a session of the binary protocol asks about topics, besides what the shard's
// TopicPort answers: publishes, and the rules for topics that the server has above the engine.
//
// A server has one for each shard; a session without one refuses all opcodes about topics.
// topics::PublishingDesk is the one of a server; this knows neither envelopes nor policies.
//
// Threads: shard-local.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "millrace/topics.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::net {

// One message of a PUBLISH: views of its frame. The properties are whole.
struct PublishEntry {
  std::string_view message;
  std::string_view subject{};  // empty: it has none
  Bytes properties{};
  bool structured = false;  // JSON, with a text for each protocol
};

// What became of it.
struct PublishEntryResult {
  Errc error = Errc::ok;
  Uuid id{};              // of a message that is published
  uint64_t sequence = 0;  // on a FIFO topic
  std::string text{};     // with an error: a line for people
};

struct PublishOutcome {
  Errc error = Errc::ok;      // of all of them
  std::string_view detail{};  // a line for people; may be empty
  std::span<const PublishEntryResult> results{};
};

class PublishListener {
 public:
  virtual void on_published(uint64_t token, const PublishOutcome& outcome) = 0;

 protected:
  ~PublishListener() = default;
};

// What became of the messages of one topic, on all shards since the server started.
struct TopicCounts {
  uint64_t published = 0;  // messages
  uint64_t delivered = 0;  // copies
  uint64_t filtered = 0;   // copies that a filter policy did not want
  uint64_t failed = 0;     // copies that their queue could not take
};

class TopicDesk {
 public:
  virtual ~TopicDesk() = default;

  // 1..kPublishMessagesMax messages, which are copied; each is published or refused for itself.
  // Answered once, at once or in a later turn. Errors of all of them: batch_too_large (more than
  // kPublishBytesMax), topic_not_found, throttled, and those of ShardPort::publish().
  virtual void publish(std::string_view topic, std::span<const PublishEntry> entries,
                       PublishListener& listener, uint64_t token) = 0;
  // Nothing of this listener's is answered any more; it is done all the same.
  virtual void forget(PublishListener& listener) = 0;

  // Once in each turn of the shard's loop.
  virtual void turn() = 0;

  // What the server has against these settings of a topic; empty: nothing. The engine has its own
  // say.
  virtual std::string settings_fault(const TopicSettings& settings) = 0;
  // Sets `request`'s protocol, endpoint and queue; a queue may be called by its name alone. `kept`
  // holds what they are views of. Returns what is wrong with them; empty: nothing.
  virtual std::string read_endpoint(std::string_view protocol, std::string_view endpoint,
                                    SubscribeRequest* request, std::string* kept) = 0;

  virtual std::string arn_of(std::string_view topic) const = 0;
  virtual TopicCounts counts_of(TopicId topic) const = 0;
};

}  // namespace millrace::net
