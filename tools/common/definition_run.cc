#include "tools/common/definition_run.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "engine/queue_attributes.h"
#include "engine/redrive_policy.h"
#include "tools/common/topic_plan.h"

namespace millrace::tools {
namespace {

using Kind = DefinitionOutcome::Kind;
using Queues = std::map<std::string, QueueAttributes>;

struct Step {
  const QueueDefinition* queue;
  bool creates;
  QueueSettings settings;
};

std::string refusal(const QueueDefinition& queue, std::string_view why) {
  return fmt::format("{}: queue '{}': {}", queue.where, queue.name, why);
}

std::string text_or_none(const std::optional<std::string>& text) {
  return text ? *text : "none";
}

std::vector<std::string> changes_of(const QueueAttributes& before, const QueueAttributes& after) {
  std::vector<std::string> changes;
  for (const engine::AttributeRow& row : engine::attribute_table()) {
    const auto old_text = row.write(before);
    const auto new_text = row.write(after);
    if (old_text != new_text)
      changes.push_back(
          fmt::format("{} {} -> {}", row.name, text_or_none(old_text), text_or_none(new_text)));
  }
  for (const NamedText& tag : after.tags)
    if (std::find(before.tags.begin(), before.tags.end(), tag) == before.tags.end())
      changes.push_back(fmt::format("tag {} -> {}", tag.name, tag.value));
  return changes;
}

// What the queues will be, and the difference to what they are.
class Plan {
 public:
  explicit Plan(const Queues& now) : now_(now), then_(now) {}

  bool add(const QueueDefinition& queue, std::string* why) {
    const auto found = now_.find(queue.name);
    const bool creates = found == now_.end();
    QueueAttributes after = creates ? QueueAttributes{} : found->second;
    if (!engine::apply_settings(queue.settings, creates, &after, why)) return false;
    outcome(queue, creates, after);
    then_[queue.name] = after;
    return true;
  }
  // After all were added. What stays as it was may name a queue that is gone.
  bool check_dead_letters(const QueueDefinition& queue, std::string* why) const {
    const QueueAttributes& attributes = then_.at(queue.name);
    const std::string& target = attributes.dead_letter_queue;
    const auto before = now_.find(queue.name);
    const bool stays = before != now_.end() && before->second.dead_letter_queue == target &&
                       before->second.receives_max == attributes.receives_max;
    if (stays || target.empty() || target == queue.name) return true;
    const auto found = then_.find(target);
    if (found == then_.end())
      *why = fmt::format("its dead-letter queue '{}' is neither there nor in the file", target);
    else if (found->second.fifo != attributes.fifo)
      *why = fmt::format("its dead-letter queue '{}' must be a {} queue as it is", target,
                         attributes.fifo ? "FIFO" : "standard");
    else if (!engine::allows_dead_letters(found->second, queue.name))
      *why = fmt::format("the RedriveAllowPolicy of '{}' does not allow it", target);
    else
      return true;
    return false;
  }

  std::vector<Step> steps() && {
    std::move(redrives_.begin(), redrives_.end(), std::back_inserter(steps_));
    return std::move(steps_);
  }
  std::vector<DefinitionOutcome>& outcomes() { return outcomes_; }

 private:
  void outcome(const QueueDefinition& queue, bool creates, const QueueAttributes& after) {
    const QueueAttributes before = creates ? QueueAttributes{} : now_.at(queue.name);
    const bool changed = !creates && after != before;
    outcomes_.push_back({queue.name,
                         creates   ? Kind::created
                         : changed ? Kind::changed
                                   : Kind::left,
                         changed ? changes_of(before, after) : std::vector<std::string>{}, false});
    if (!creates && !changed) return;
    const bool redrive_changed = after.dead_letter_queue != before.dead_letter_queue ||
                                 after.receives_max != before.receives_max;
    Step step{&queue, creates, queue.settings};
    Step redrive{&queue, false, {}};
    std::erase_if(step.settings.attributes, [&](const NamedText& each) {
      if (each.name != "RedrivePolicy") return false;
      if (redrive_changed) redrive.settings.attributes = {each};
      return true;
    });
    if (creates || !step.settings.attributes.empty() || !step.settings.tags.empty())
      steps_.push_back(std::move(step));
    if (!redrive.settings.attributes.empty()) redrives_.push_back(std::move(redrive));
  }

  const Queues& now_;
  Queues then_;
  std::vector<Step> steps_;
  std::vector<Step> redrives_;
  std::vector<DefinitionOutcome> outcomes_;
};

}  // namespace

RunEnd run_definitions(const Definitions& definitions, QueueAdmin& queues, TopicAdmin& topics,
                       bool dry_run, std::vector<DefinitionOutcome>& outcomes, std::string* why) {
  Queues now;
  if (!queues.list(now, why)) return RunEnd::refused;
  std::map<std::string, KnownTopic> topics_now;
  if (!definitions.topics.empty() && !topics.list_topics(topics_now, why)) return RunEnd::refused;
  Plan plan(now);
  const auto conflict = [&](const QueueDefinition& queue) {
    *why = refusal(queue, std::string(*why));
    return RunEnd::conflict;
  };
  for (const QueueDefinition& queue : definitions.queues)
    if (!plan.add(queue, why)) return conflict(queue);
  for (const QueueDefinition& queue : definitions.queues)
    if (!plan.check_dead_letters(queue, why)) return conflict(queue);
  TopicPlan topic_plan(topics_now);
  for (const TopicDefinition& topic : definitions.topics)
    if (!topic_plan.add(topic, why)) return RunEnd::conflict;
  outcomes = std::move(plan.outcomes());
  std::move(topic_plan.outcomes().begin(), topic_plan.outcomes().end(),
            std::back_inserter(outcomes));
  if (dry_run) return RunEnd::done;
  for (const Step& step : std::move(plan).steps()) {
    const bool done = step.creates ? queues.create(step.queue->name, step.settings, why)
                                   : queues.set(step.queue->name, step.settings, why);
    if (done) continue;
    *why = refusal(*step.queue, std::string(*why));
    return RunEnd::refused;
  }
  return topic_plan.run(topics, why) ? RunEnd::done : RunEnd::refused;
}

std::string summary_of(std::span<const DefinitionOutcome> outcomes) {
  std::array<size_t, 3> counts{};
  size_t topics = 0;
  for (const DefinitionOutcome& outcome : outcomes) {
    ++counts[static_cast<size_t>(outcome.kind)];
    topics += outcome.topic;
  }
  const auto some = [](size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  std::string what = some(outcomes.size() - topics, "queue");
  if (topics > 0) what += " and " + some(topics, "topic");
  return fmt::format("{}: {} created, {} changed, {} as before", what, counts[0], counts[1],
                     counts[2]);
}

}  // namespace millrace::tools
