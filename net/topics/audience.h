// Audience: which subscriptions of a topic want a message, as one shard knows them.
//
// A topic's filter policies are read once and asked together (engine/filter_matcher.h); a change of
// its subscriptions is seen when the next message comes.
//
// Threads: shard-local.   Memory: a copy of the subscriptions of kTopicsKept topics, and their
// policies twice; when there are more all are forgotten and read anew.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/filter_matcher.h"
#include "millrace/topics.h"

namespace millrace::net::topics {

class Audience {
  struct Known {
    explicit Known(engine::FilterJson& json) : matcher(json) {}
    uint64_t changes = UINT64_MAX;                // TopicPort::changes_of(), when they were listed
    std::vector<SubscriptionInfo> subscriptions;  // ascending by id, confirmed
    engine::FilterMatcher matcher;
  };

 public:
  static constexpr size_t kTopicsKept = 1'024;

  explicit Audience(const TopicPort& topics) : topics_(topics) {}

  // The confirmed subscriptions of a topic, as they are now.
  class Of {
   public:
    size_t size() const { return known_.subscriptions.size(); }
    // Sets `found` to those that want the message, ascending by id. What its body is is for
    // policies of that scope. Pointers live until the next of().
    void find(const engine::FilterMatcher::Subject& message,
              std::vector<const SubscriptionInfo*>* found);

   private:
    friend class Audience;
    Of(Audience& audience, Known& known) : audience_(audience), known_(known) {}
    Audience& audience_;
    Known& known_;
  };
  // Good until the next call.
  Of of(TopicId topic) { return {*this, known(topic)}; }

 private:
  Known& known(TopicId topic);
  static void learn(std::vector<SubscriptionInfo> now, Known& known);

  const TopicPort& topics_;
  engine::FilterJson json_;
  std::unordered_map<TopicId, std::unique_ptr<Known>> known_;
  std::vector<SubscriptionInfo> now_;
  std::vector<SubscriptionId> matches_;
};

}  // namespace millrace::net::topics
