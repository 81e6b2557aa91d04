// millrace export | import
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "engine/queue_attributes.h"
#include "engine/topic_attributes.h"
#include "tools/cli/command.h"
#include "tools/common/definition_run.h"
#include "tools/common/definitions.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::QueueDescription;

// All queues with what is set of them; false after the line on standard error.
bool describe_all(Context& context, std::vector<QueueDescription>& queues) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return false;
  const auto listed = broker->list_queues("");
  if (!listed) {
    context.refused("queues");
    return false;
  }
  constexpr size_t kAtOnce = 100;
  for (size_t at = 0; at < listed->size(); at += kAtOnce) {
    std::vector<QueueId> ids;
    for (size_t i = at; i < std::min(at + kAtOnce, listed->size()); ++i)
      ids.push_back((*listed)[i].id);
    auto described = broker->queue_stats(ids, true);
    if (!described) {
      context.refused("queues");
      return false;
    }
    for (QueueDescription& queue : *described)
      queues.push_back(std::move(queue));
  }
  return true;
}

// All topics with what is set of them, and their subscriptions; false after the line on standard
// error.
struct DescribedTopic {
  client::TopicDescription topic;
  std::vector<client::TopicSubscription> subscriptions;
};
bool describe_topics(Context& context, std::vector<DescribedTopic>& topics) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return false;
  const auto listed = broker->list_topics("");
  if (!listed) {
    context.refused("topics");
    return false;
  }
  for (const client::TopicDescription& topic : *listed) {
    auto shown = broker->show_topic(topic.name);
    // One that is deleted in between is as good as none.
    if (!shown && shown.error() == Errc::topic_not_found) continue;
    auto subscriptions = shown
                             ? broker->list_subscriptions(topic.name, true)
                             : Result<std::vector<client::TopicSubscription>>(fail(shown.error()));
    if (!subscriptions) {
      context.refused("topic '" + topic.name + "'");
      return false;
    }
    topics.push_back({std::move(*shown), std::move(*subscriptions)});
  }
  return true;
}

class ClientAdmin final : public QueueAdmin, public TopicAdmin {
 public:
  explicit ClientAdmin(Context& context) : context_(context) {}

  bool list(std::map<std::string, QueueAttributes>& queues, std::string* why) override {
    std::vector<QueueDescription> described;
    if (!describe_all(context_, described)) return false;
    for (QueueDescription& queue : described) {
      QueueAttributes& attributes = queues[queue.name];
      ids_[queue.name] = queue.id;
      if (!engine::apply_settings({std::move(queue.attributes), std::move(queue.tags), {}}, true,
                                  &attributes, why)) {
        *why = fmt::format("queue '{}' of the server: {}", queue.name, *why);
        return false;
      }
    }
    return true;
  }
  bool create(const std::string& name, const QueueSettings& settings, std::string* why) override {
    const auto made = context_.connect()->create_queue(name, settings);
    if (made) ids_[name] = *made;
    return note(made.has_value(), why);
  }
  bool set(const std::string& name, const QueueSettings& settings, std::string* why) override {
    return note(context_.connect()->set_queue(ids_.at(name), settings).has_value(), why);
  }

  bool list_topics(std::map<std::string, KnownTopic>& topics, std::string* why) override {
    std::vector<DescribedTopic> described;
    if (!describe_topics(context_, described)) return false;
    for (DescribedTopic& one : described) {
      KnownTopic& known = topics[one.topic.name];
      bool good = engine::apply_topic_settings(
                      {std::move(one.topic.attributes), std::move(one.topic.tags), {}, {}}, true,
                      &known.attributes, why)
                      .has_value();
      for (client::TopicSubscription& subscription : one.subscriptions) {
        if (subscription.queue.empty()) continue;
        uuids_[{one.topic.name, subscription.queue}] = subscription.uuid;
        good = good && engine::apply_subscription_settings(
                           {.attributes = std::move(subscription.attributes)},
                           &known.subscriptions[subscription.queue], why);
      }
      if (good) continue;
      *why = fmt::format("topic '{}' of the server: {}", one.topic.name, *why);
      return false;
    }
    return true;
  }
  bool create_topic(const std::string& name, const TopicSettings& settings,
                    std::string* why) override {
    return note(context_.connect()->create_topic(name, settings).has_value(), why);
  }
  bool set_topic(const std::string& name, const TopicSettings& settings,
                 std::string* why) override {
    return note(context_.connect()->set_topic(name, settings).has_value(), why);
  }
  bool subscribe(const std::string& topic, const SubscriptionDefinition& subscription,
                 std::string* why) override {
    return note(context_.connect()
                    ->subscribe_topic(topic, "sqs", subscription.queue, subscription.attributes)
                    .has_value(),
                why);
  }
  bool set_subscription(const std::string& topic, const SubscriptionDefinition& subscription,
                        std::string* why) override {
    return note(
        context_.connect()
            ->set_subscription(uuids_.at({topic, subscription.queue}), subscription.attributes)
            .has_value(),
        why);
  }

 private:
  bool note(bool done, std::string* why) {
    if (!done) *why = context_.connect()->error_text();
    return done;
  }

  Context& context_;
  std::map<std::string, QueueId> ids_;
  std::map<std::pair<std::string, std::string>, Uuid> uuids_;  // by topic and queue
};

// A topic's definition; subscriptions that are no queue's are said in comments.
std::string text_of(const DescribedTopic& one) {
  TopicDefinition topic{one.topic.name, {one.topic.attributes, one.topic.tags, {}, {}}, {}, {}};
  std::string others;
  for (const client::TopicSubscription& subscription : one.subscriptions) {
    if (subscription.queue.empty())
      others += fmt::format("# not here, since somebody has to confirm it: {} {}\n",
                            printable(subscription.protocol), printable(subscription.endpoint));
    else
      topic.subscriptions.push_back({subscription.queue, subscription.attributes});
  }
  return topic_definition_text(topic) + others;
}

int export_definitions(Context& context, const std::optional<std::string>& file) {
  if (context.json) return misuse("export writes TOML; 'queue list' and 'queue show' have --json");
  std::vector<QueueDescription> queues;
  std::vector<DescribedTopic> topics;
  if (!describe_all(context, queues) || !describe_topics(context, topics)) return kRefused;
  std::string text;
  for (const QueueDescription& queue : queues) {
    if (!text.empty()) text += '\n';
    text += definition_text(queue.name, queue.attributes, queue.tags);
  }
  for (const DescribedTopic& topic : topics)
    text += (text.empty() ? "" : "\n") + text_of(topic);
  if (!file) {
    print_text(text);
    return kDone;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file->c_str(), "wxe"),
                                                            std::fclose);
  if (out == nullptr)
    return refuse(fmt::format("'{}' can't be made: {}", *file, std::strerror(errno)));
  if (std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() ||
      std::fflush(out.get()) != 0)
    return refuse(fmt::format("'{}' can't be written: {}", *file, std::strerror(errno)));
  fmt::print(stderr, "{} queue{}", queues.size(), queues.size() == 1 ? "" : "s");
  if (!topics.empty())
    fmt::print(stderr, " and {} topic{}", topics.size(), topics.size() == 1 ? "" : "s");
  fmt::print(stderr, " in {}\n", *file);
  return kDone;
}

void tell(const Context& context, const DefinitionOutcome& outcome, bool dry_run) {
  constexpr const char* kWords[] = {"created", "changed", "left"};
  const char* const word = kWords[static_cast<size_t>(outcome.kind)];
  if (context.json)
    return print_json({{"name", outcome.name},
                       {"type", outcome.topic ? "topic" : "queue"},
                       {"outcome", word},
                       {"changes", outcome.changes},
                       {"dry_run", dry_run}});
  print_text(fmt::format("{:<8} {}{}{}{}\n", word, outcome.topic ? "topic " : "", outcome.name,
                         outcome.changes.empty() ? "" : ": ", fmt::join(outcome.changes, ", ")));
}

int import_definitions(Context& context, const std::string& file, bool dry_run) {
  Definitions definitions;
  std::string why;
  if (!read_definitions(file, definitions, &why)) return misuse(why);
  if (context.connect() == nullptr) return kRefused;
  ClientAdmin admin(context);
  std::vector<DefinitionOutcome> outcomes;
  const RunEnd end = run_definitions(definitions, admin, admin, dry_run, outcomes, &why);
  if (end != RunEnd::done) return why.empty() ? kRefused : refuse(why);
  for (const DefinitionOutcome& outcome : outcomes)
    tell(context, outcome, dry_run);
  if (!context.json)
    print_text(fmt::format("{}{}\n", summary_of(outcomes),
                           dry_run ? "; nothing was done (--dry-run)" : ""));
  return kDone;
}

}  // namespace

void add_definition_commands(Parser& parser, Context& context) {
  auto to = std::make_shared<std::optional<std::string>>();
  parser
      .command("export", "write the definitions of all queues and topics, as TOML",
               [&context, to] { return export_definitions(context, *to); })
      .optional_argument("FILE", *to, "a file that is not there yet; else standard output");
  auto from = std::make_shared<std::string>();
  auto dry_run = std::make_shared<bool>(false);
  parser
      .command("import", "create and change queues and topics until they are as a file says",
               [&context, from, dry_run] { return import_definitions(context, *from, *dry_run); })
      .argument("FILE", *from, "definitions, as export writes them")
      .flag("--dry-run", *dry_run, "say what would be done, and do nothing");
}

}  // namespace millrace::tools
