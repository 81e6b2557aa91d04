#include "net/topics/audience.h"

#include <algorithm>

#include "engine/filter_policy_parser.h"

namespace millrace::net::topics {
void Audience::learn(std::vector<SubscriptionInfo> now, Known& known) {
  for (const SubscriptionInfo& before : known.subscriptions)
    known.matcher.remove(before.id);
  known.subscriptions = std::move(now);
  for (const SubscriptionInfo& one : known.subscriptions) {
    const std::string_view text = one.attributes.filter_policy.empty()
                                      ? "{}"
                                      : std::string_view(one.attributes.filter_policy);
    engine::FilterRefusal refusal;
    auto policy = engine::parse_filter_policy(text, one.attributes.filter_scope,
                                              engine::FilterExtensions::taken, &refusal);
    // One that was checked when it was set; of one that is none nobody gets anything.
    if (policy) known.matcher.add(one.id, std::move(*policy));
  }
}

Audience::Known& Audience::known(TopicId topic) {
  auto found = known_.find(topic);
  if (found == known_.end()) {
    if (known_.size() >= kTopicsKept) known_.clear();
    found = known_.emplace(topic, std::make_unique<Known>(json_)).first;
  }
  Known& known = *found->second;
  const uint64_t changes = topics_.changes_of(topic);
  if (known.changes == changes) return known;
  known.changes = changes;
  now_.clear();
  topics_.list(topic, SubscriptionId{}, UINT32_MAX, &now_);
  std::erase_if(now_, [](const SubscriptionInfo& one) { return one.pending; });
  learn(std::move(now_), known);
  return known;
}

void Audience::Of::find(const engine::FilterMatcher::Subject& message,
                        std::vector<const SubscriptionInfo*>* found) {
  found->clear();
  known_.matcher.match(message, audience_.matches_);
  auto next = known_.subscriptions.begin();
  for (const SubscriptionId id : audience_.matches_) {
    while (next->id != id)
      ++next;
    found->push_back(&*next);
  }
}

}  // namespace millrace::net::topics
