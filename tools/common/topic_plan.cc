#include "tools/common/topic_plan.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "engine/topic_attributes.h"
#include "millrace/named_text.h"

namespace millrace::tools {
namespace {

using Kind = DefinitionOutcome::Kind;

std::string topic_refusal(const TopicDefinition& topic, std::string_view why) {
  return fmt::format("{}: topic '{}': {}", topic.where, topic.name, why);
}

std::string shown(std::string_view value) {
  return value.empty() ? "none" : std::string(value);
}

// "DisplayName none -> orders", with `of` before each.
void add_changes(const std::vector<NamedText>& before, const std::vector<NamedText>& after,
                 std::string_view of, std::vector<std::string>& changes) {
  for (const NamedText& text : after)
    if (value_of(before, text.name) != text.value)
      changes.push_back(fmt::format("{}{} {} -> {}", of, text.name,
                                    shown(value_of(before, text.name)), shown(text.value)));
  for (const NamedText& text : before)
    if (value_of(after, text.name).empty() && !text.value.empty())
      changes.push_back(fmt::format("{}{} {} -> none", of, text.name, text.value));
}

// What is fixed at creation is left to those that are created.
TopicSettings changeable(const TopicSettings& settings) {
  TopicSettings kept = settings;
  std::erase_if(kept.attributes, [](const NamedText& text) {
    const engine::TopicAttributeRow* row = engine::find_topic_attribute(text.name);
    return row != nullptr && row->at_creation;
  });
  return kept;
}

}  // namespace

bool TopicPlan::add(const TopicDefinition& topic, std::string* why) {
  const auto found = now_.find(topic.name);
  const bool creates = found == now_.end();
  const KnownTopic before = creates ? KnownTopic{} : found->second;
  DefinitionOutcome outcome{topic.name, creates ? Kind::created : Kind::left, {}, true};
  const auto refuse = [&](std::string_view text) {
    *why = topic_refusal(topic, text);
    return false;
  };
  if (creates) {
    steps_.push_back({&topic, nullptr, true});
  } else {
    TopicAttributes after = before.attributes;
    std::string detail;
    if (!engine::apply_topic_settings(changeable(topic.settings), false, &after, &detail))
      return refuse(detail);
    if (after != before.attributes) {
      steps_.push_back({&topic, nullptr, false});
      add_changes(engine::topic_attribute_texts(before.attributes),
                  engine::topic_attribute_texts(after), "", outcome.changes);
      add_changes(before.attributes.tags, after.tags, "tag ", outcome.changes);
    }
  }
  for (const SubscriptionDefinition& subscription : topic.subscriptions) {
    const std::string of = fmt::format("subscription of {}", subscription.queue);
    const auto known = before.subscriptions.find(subscription.queue);
    if (known == before.subscriptions.end()) {
      steps_.push_back({&topic, &subscription, true});
      outcome.changes.push_back(of + " made");
      continue;
    }
    SubscriptionAttributes after = known->second;
    std::string detail;
    if (!engine::apply_subscription_settings({.attributes = subscription.attributes}, &after,
                                             &detail))
      return refuse(of + ": " + detail);
    if (after == known->second) continue;
    steps_.push_back({&topic, &subscription, false});
    add_changes(engine::subscription_attribute_texts(known->second),
                engine::subscription_attribute_texts(after), of + ": ", outcome.changes);
  }
  if (!creates && !outcome.changes.empty()) outcome.kind = Kind::changed;
  outcomes_.push_back(std::move(outcome));
  return true;
}

bool TopicPlan::run(TopicAdmin& admin, std::string* why) const {
  for (const Step& step : steps_) {
    const TopicDefinition& topic = *step.topic;
    const bool done =
        step.subscription != nullptr
            ? (step.creates ? admin.subscribe(topic.name, *step.subscription, why)
                            : admin.set_subscription(topic.name, *step.subscription, why))
        : step.creates ? admin.create_topic(topic.name, topic.settings, why)
                       : admin.set_topic(topic.name, changeable(topic.settings), why);
    if (done) continue;
    *why = topic_refusal(
        topic, step.subscription != nullptr
                   ? fmt::format("subscription of '{}': {}", step.subscription->queue, *why)
                   : *why);
    return false;
  }
  return true;
}

}  // namespace millrace::tools
