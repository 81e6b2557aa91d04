#include "engine/filter_matcher.h"

#include <algorithm>

namespace millrace::engine {

void FilterMatcher::add(SubscriptionId id, FilterPolicy policy) {
  built_ = false;
  attributes_.reset();  // they point into the policies
  body_.reset();
  policies_.insert_or_assign(id, std::move(policy));
}

void FilterMatcher::remove(SubscriptionId id) {
  built_ = false;
  attributes_.reset();
  body_.reset();
  policies_.erase(id);
}

void FilterMatcher::build() {
  built_ = true;
  all_.clear();
  std::vector<FilterIndex::Entry> attributes;
  std::vector<FilterIndex::Entry> body;
  for (const auto& [id, policy] : policies_) {
    if (policy.accepts_all())
      all_.push_back(id);
    else if (policy.scope == FilterScope::body)
      body.push_back({id, &policy});
    else
      attributes.push_back({id, &policy});
  }
  if (!attributes.empty()) attributes_ = std::make_unique<FilterIndex>(attributes, json_);
  if (!body.empty()) body_ = std::make_unique<FilterIndex>(body, json_);
}

void FilterMatcher::match(const Subject& subject, std::vector<SubscriptionId>& matches) {
  if (!built_) build();
  matches = all_;
  if (attributes_) {
    attributes_->fields().read_attributes(subject.properties);
    attributes_->match(matches);
  }
  if (body_) {
    body_->fields().read_body(subject.body);
    body_->match(matches);
  }
  if (matches.size() > all_.size()) std::sort(matches.begin(), matches.end());
}

}  // namespace millrace::engine
