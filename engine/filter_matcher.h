// FilterMatcher: which subscriptions of a topic want a message.
//
//   FilterMatcher matcher(json);                    // FilterJson, one for the shard
//   matcher.add(SubscriptionId{7}, policy);
//   matcher.match({properties, body}, matches);
//
// A change of subscriptions makes the indexes anew when the next message comes: they know all
// policies then, and what is rare among them (200 policies of five values: under a millisecond).
// The body is parsed at most once, and only if a policy is about it. Where subscriptions get
// different bodies of one message, each body is a match of its own.
//
// Threads: shard-local.   Memory: the policies and an index (engine/filter_index.h).
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/filter_index.h"

namespace millrace::engine {

class FilterMatcher {
 public:
  // A message's attributes, as they lie with it, and its body.
  struct Subject {
    Bytes properties;
    std::string_view body;
  };

  explicit FilterMatcher(FilterJson& json) : json_(json) {}

  // Takes the place of the subscription's policy, if it has one.
  void add(SubscriptionId id, FilterPolicy policy);
  void remove(SubscriptionId id);
  size_t size() const { return policies_.size(); }

  // Sets `matches` to the subscriptions that want it, ascending.
  void match(const Subject& subject, std::vector<SubscriptionId>& matches);

 private:
  void build();

  FilterJson& json_;
  std::map<SubscriptionId, FilterPolicy> policies_;
  bool built_ = true;
  std::vector<SubscriptionId> all_;  // those that want all, ascending
  std::unique_ptr<FilterIndex> attributes_;
  std::unique_ptr<FilterIndex> body_;
};

}  // namespace millrace::engine
