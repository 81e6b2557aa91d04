// millrace topic create | list | show | set | delete
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "engine/topic_attributes.h"
#include "tools/cli/command.h"
#include "tools/cli/topic_facts.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::TopicDescription;
using client::TopicSubscription;

struct TopicOptions {
  std::vector<std::string> attributes;
  std::vector<std::string> tags;
  std::vector<std::string> untagged;
  bool fifo = false;
};

std::string read_topic_settings(const TopicOptions& given, TopicSettings& settings) {
  if (given.fifo) settings.attributes.push_back({"FifoTopic", "true"});
  for (const std::string& setting : given.attributes)
    if (std::string wrong =
            read_setting(setting, engine::topic_attribute_table(), settings.attributes);
        !wrong.empty())
      return wrong;
  for (const std::string& tag : given.tags) {
    settings.tags.emplace_back();
    if (!split_named(tag, settings.tags.back()))
      return fmt::format("--tag: '{}' is not KEY=VALUE", tag);
  }
  settings.untagged = given.untagged;
  return {};
}

Json json_of_topic(const TopicDescription& topic) {
  Json json{{"name", topic.name}, {"id", raw(topic.id)}, {"arn", topic.arn}};
  if (!topic.attributes.empty()) json["attributes"] = json_of(topic.attributes);
  if (!topic.tags.empty())
    for (const NamedText& tag : topic.tags)
      json["tags"][tag.name] = tag.value;
  json["created_at_ms"] = topic.created_at_ms;
  json["subscriptions"] = topic.confirmed;
  json["pending"] = topic.pending;
  json["published"] = topic.published;
  json["delivered"] = topic.delivered;
  json["filtered"] = topic.filtered;
  json["failed"] = topic.failed;
  return json;
}

int create_topic(Context& context, const std::string& name, const TopicOptions& given) {
  TopicSettings settings;
  if (const std::string wrong = read_topic_settings(given, settings); !wrong.empty())
    return misuse(wrong);
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const auto made = broker->create_topic(name, settings);
  if (!made) return context.refused("topic '" + name + "'");
  if (context.json)
    print_json({{"name", name}, {"id", raw(made->id)}, {"arn", made->arn}});
  else
    print_text(fmt::format("topic {} is there: {}\n", name, made->arn));
  return kDone;
}

int list_topics(Context& context, const std::string& prefix) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const auto topics = broker->list_topics(prefix);
  if (!topics) return context.refused("topics '" + prefix + "'");
  Table table({"NAME", "SUBSCRIPTIONS", "PUBLISHED", "DELIVERED", "FILTERED", "FAILED"},
              {false, true, true, true, true, true});
  for (const TopicDescription& topic : *topics) {
    if (context.json)
      print_json(json_of_topic(topic));
    else
      table.add({topic.name, format_count(topic.confirmed), format_count(topic.published),
                 format_count(topic.delivered), format_count(topic.filtered),
                 format_count(topic.failed)});
  }
  if (!context.json) print_text(table.text());
  return kDone;
}

int show_topic(Context& context, const std::string& name) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const auto topic = broker->show_topic(name);
  if (!topic) return context.refused("topic '" + name + "'");
  const auto subscriptions = broker->list_subscriptions(name, true);
  if (!subscriptions) return context.refused("topic '" + name + "'");
  if (context.json) {
    Json json = json_of_topic(*topic);
    json["subscribed"] = Json::array();
    for (const TopicSubscription& one : *subscriptions)
      json["subscribed"].push_back(json_of(one));
    print_json(json);
    return kDone;
  }
  Table table({"", ""});
  table.add({"name", topic->name});
  table.add({"ARN", topic->arn});
  for (const NamedText& attribute : topic->attributes)
    table.add({attribute.name, printable(attribute.value)});
  for (const NamedText& tag : topic->tags)
    table.add({"tag " + tag.name, printable(tag.value)});
  table.add({"created", format_age(wall_clock_ms() - topic->created_at_ms) + " ago"});
  table.add(
      {"since start", fmt::format("{} published, {} delivered, {} filtered out, {} failed",
                                  format_count(topic->published), format_count(topic->delivered),
                                  format_count(topic->filtered), format_count(topic->failed))});
  for (const TopicSubscription& one : *subscriptions)
    table.add({"subscription", line_of(one)});
  print_text(table.text(false));
  return kDone;
}

int set_topic(Context& context, const std::string& name, const TopicOptions& given) {
  TopicSettings settings;
  if (const std::string wrong = read_topic_settings(given, settings); !wrong.empty())
    return misuse(wrong);
  if (settings.attributes.empty() && settings.tags.empty() && settings.untagged.empty())
    return misuse("give ATTRIBUTE=VALUE, --tag or --untag");
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  if (!broker->set_topic(name, settings)) return context.refused("topic '" + name + "'");
  if (context.json)
    print_json({{"name", name}});
  else
    print_text(fmt::format("topic {} is changed\n", name));
  return kDone;
}

int delete_topic(Context& context, const std::string& name) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  if (!broker->delete_topic(name)) return context.refused("topic '" + name + "'");
  if (context.json)
    print_json({{"name", name}});
  else
    print_text(fmt::format("topic {} is deleted, and its subscriptions\n", name));
  return kDone;
}

}  // namespace

void add_topic_commands(Parser& parser, Context& context) {
  auto name = std::make_shared<std::string>();
  auto prefix = std::make_shared<std::optional<std::string>>();
  auto given = std::make_shared<TopicOptions>();
  const std::string known = names_of(engine::topic_attribute_table());
  parser
      .command(
          "topic create", "make a topic, or make sure of it",
          [&context, name, given] { return create_topic(context, *name, *given); },
          "create, list, show, set, delete, publish, subscribe, unsubscribe, test-filter")
      .argument("NAME", *name, "1 to 256 of A-Z a-z 0-9 - _; of a FIFO topic it ends in .fifo")
      .flag("--fifo", given->fifo, "a FIFO topic: in order within a message group, no duplicates")
      .repeated("--tag", "KEY=VALUE", given->tags, "up to 50")
      .repeated("--set", "ATTRIBUTE=VALUE", given->attributes, known);
  parser
      .command("topic list", "the topics, by name, and what became of what was published",
               [&context, prefix] { return list_topics(context, prefix->value_or("")); })
      .optional_argument("PREFIX", *prefix, "only names that start so");
  parser
      .command("topic show", "attributes, counts and subscriptions of a topic",
               [&context, name] { return show_topic(context, *name); })
      .argument("NAME", *name, "");
  parser
      .command("topic set", "change attributes and tags of a topic; the others stay",
               [&context, name, given] { return set_topic(context, *name, *given); })
      .argument("NAME", *name, "")
      .repeated("--tag", "KEY=VALUE", given->tags, "put, in place of one with the same key")
      .repeated("--untag", "KEY", given->untagged, "taken away")
      .optional_arguments("ATTRIBUTE=VALUE", given->attributes, known.c_str());
  parser
      .command("topic delete", "delete a topic and its subscriptions; queues keep what they have",
               [&context, name] { return delete_topic(context, *name); })
      .argument("NAME", *name, "");
}

}  // namespace millrace::tools
