// DefinitionRun: makes the queues, topics and subscriptions of a file out of those that a broker
// has.
//
// What is missing is created, what differs is set; what the file does not name stays as it is, and
// nothing is deleted. So the same file again changes nothing. All is compared and checked before
// anything is done; what only the broker can say may still stop the run half-way, and the next
// one goes on from there. Redrive policies come last of the queues', when those are there; topics
// and their subscriptions after the queues.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "millrace/options.h"
#include "millrace/topics.h"
#include "tools/common/definitions.h"

namespace millrace::tools {

// The broker as a run needs it. Each call waits for its answer; false: `why` has one line.
class QueueAdmin {
 public:
  virtual ~QueueAdmin() = default;
  virtual bool list(std::map<std::string, QueueAttributes>& queues, std::string* why) = 0;
  virtual bool create(const std::string& name, const QueueSettings& settings, std::string* why) = 0;
  virtual bool set(const std::string& name, const QueueSettings& settings, std::string* why) = 0;
};

// What a broker has of a topic, as a run needs it.
struct KnownTopic {
  TopicAttributes attributes;
  std::map<std::string, SubscriptionAttributes> subscriptions;  // those of queues, by their names
};

// As QueueAdmin.
class TopicAdmin {
 public:
  virtual ~TopicAdmin() = default;
  virtual bool list_topics(std::map<std::string, KnownTopic>& topics, std::string* why) = 0;
  virtual bool create_topic(const std::string& name, const TopicSettings& settings,
                            std::string* why) = 0;
  virtual bool set_topic(const std::string& name, const TopicSettings& settings,
                         std::string* why) = 0;
  virtual bool subscribe(const std::string& topic, const SubscriptionDefinition& subscription,
                         std::string* why) = 0;
  virtual bool set_subscription(const std::string& topic,
                                const SubscriptionDefinition& subscription, std::string* why) = 0;
};

struct DefinitionOutcome {
  enum class Kind : uint8_t { created, changed, left };
  std::string name;
  Kind kind{};
  std::vector<std::string> changes;  // "VisibilityTimeout 30 -> 60", "tag team -> web"
  bool topic = false;                // else a queue
};

enum class RunEnd : uint8_t {
  done,
  conflict,  // the file and the broker's queues cannot both be right; nothing was done
  refused,   // the broker said no, or is gone
};

// `why`: one line, with the file's if it is about a queue of it.
RunEnd run_definitions(const Definitions& definitions, QueueAdmin& queues, TopicAdmin& topics,
                       bool dry_run, std::vector<DefinitionOutcome>& outcomes, std::string* why);

// "3 queues: 1 created, 1 changed, 1 as before"; "2 queues and 1 topic: ..." if there are topics.
std::string summary_of(std::span<const DefinitionOutcome> outcomes);

}  // namespace millrace::tools
