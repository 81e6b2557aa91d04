// TopicPlan: what has to be done so that a broker's topics and subscriptions are as a file says.
//
// Threads: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/common/definition_run.h"
#include "tools/common/definitions.h"

namespace millrace::tools {

class TopicPlan {
 public:
  // `now` is lent for the plan's life, and so is each definition.
  explicit TopicPlan(const std::map<std::string, KnownTopic>& now) : now_(now) {}

  // False: the file and the broker's topic cannot both be right; `why` has one line.
  bool add(const TopicDefinition& topic, std::string* why);
  std::vector<DefinitionOutcome>& outcomes() { return outcomes_; }
  // False: the broker said no, or is gone; what comes behind is not done.
  bool run(TopicAdmin& admin, std::string* why) const;

 private:
  struct Step {
    const TopicDefinition* topic;
    const SubscriptionDefinition* subscription;  // null: of the topic itself
    bool creates;
  };

  const std::map<std::string, KnownTopic>& now_;
  std::vector<Step> steps_;
  std::vector<DefinitionOutcome> outcomes_;
};

}  // namespace millrace::tools
