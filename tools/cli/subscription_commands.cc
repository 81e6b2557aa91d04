// millrace topic subscribe | unsubscribe
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "engine/topic_attributes.h"
#include "tools/cli/command.h"
#include "tools/cli/topic_facts.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::TopicSubscription;

struct SubscribeOptions {
  std::string topic;
  std::string endpoint;
  std::string protocol = "sqs";
  bool raw = false;
  std::string filter;
  std::string scope;
  std::string dead_letter_queue;
  std::vector<std::string> attributes;
};

// A policy, or the file that has it. False after the one line was written.
bool read_policy(const std::string& given, std::string& policy) {
  const size_t first = given.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && given[first] == '{') {
    policy = given;
    return true;
  }
  errno = 0;
  std::ifstream file(given, std::ios::binary);
  policy.assign(std::istreambuf_iterator<char>(file), {});
  if (file && !policy.empty()) return true;
  refuse(fmt::format("--filter: '{}' is neither a JSON object nor a file of one{}{}", given,
                     errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : ""));
  return false;
}

int subscribe_topic(Context& context, const SubscribeOptions& options) {
  std::vector<NamedText> attributes;
  for (const std::string& setting : options.attributes)
    if (const std::string wrong =
            read_setting(setting, engine::subscription_attribute_table(), attributes);
        !wrong.empty())
      return misuse(wrong);
  if (options.raw) attributes.push_back({"RawMessageDelivery", "true"});
  if (!options.scope.empty()) attributes.push_back({"FilterPolicyScope", options.scope});
  if (!options.filter.empty()) {
    attributes.push_back({"FilterPolicy", {}});
    if (!read_policy(options.filter, attributes.back().value)) return kRefused;
  }
  if (!options.dead_letter_queue.empty())
    attributes.push_back(
        {"RedrivePolicy", Json{{"deadLetterTargetArn", options.dead_letter_queue}}.dump()});
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const auto made =
      broker->subscribe_topic(options.topic, options.protocol, options.endpoint, attributes);
  const std::string what =
      fmt::format("subscription of {} to topic '{}'", options.endpoint, options.topic);
  if (!made) return context.refused(what);
  const std::string uuid = base::uuid_text(made->uuid);
  if (context.json)
    print_json(json_of(*made));
  else
    print_text(fmt::format("{} gets what is published to {}{}: subscription {}\n",
                           printable(options.endpoint), printable(options.topic),
                           made->pending ? " once it is confirmed" : "", uuid));
  return kDone;
}

// What was typed as a subscription: its UUID, or the ARN that ends with it.
std::optional<Uuid> uuid_of(const std::string& text) {
  const size_t colon = text.rfind(':');
  return base::parse_uuid(colon == std::string::npos ? text : text.substr(colon + 1));
}

// The subscription of an endpoint; nothing after the one line was written.
std::optional<Uuid> find_subscription(Context& context, const std::string& topic,
                                      const std::string& endpoint) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return std::nullopt;
  const auto all = broker->list_subscriptions(topic);
  if (!all) {
    context.refused("topic '" + topic + "'");
    return std::nullopt;
  }
  const auto found = std::find_if(all->begin(), all->end(), [&](const TopicSubscription& one) {
    return one.endpoint == endpoint || (!endpoint.empty() && one.queue == endpoint);
  });
  if (found != all->end()) return found->uuid;
  refuse(fmt::format("'{}' is not subscribed to topic '{}'", endpoint, topic));
  return std::nullopt;
}

int unsubscribe_topic(Context& context, const std::string& first,
                      const std::optional<std::string>& endpoint) {
  const std::optional<Uuid> uuid =
      endpoint ? find_subscription(context, first, *endpoint) : uuid_of(first);
  if (!uuid) {
    if (endpoint) return kRefused;
    return misuse(fmt::format(
        "'{}' is neither a subscription's UUID nor its ARN; or give TOPIC and ENDPOINT", first));
  }
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const std::string text = base::uuid_text(*uuid);
  if (!broker->unsubscribe_topic(*uuid)) return context.refused("subscription '" + text + "'");
  if (context.json)
    print_json({{"subscription", text}});
  else
    print_text(fmt::format("subscription {} is ended\n", text));
  return kDone;
}

}  // namespace

void add_subscription_commands(Parser& parser, Context& context) {
  auto options = std::make_shared<SubscribeOptions>();
  parser
      .command("topic subscribe", "let a queue have what is published to a topic",
               [&context, options] { return subscribe_topic(context, *options); })
      .argument("TOPIC", options->topic, "")
      .argument("ENDPOINT", options->endpoint, "a queue's name or ARN, which need not be there yet")
      .flag("--raw", options->raw, "as it was published, without the envelope")
      .option("--filter", "POLICY", options->filter,
              "only messages that match: a filter policy as JSON, or a file of it")
      .option("--scope", "SCOPE", options->scope,
              "what the filter looks at: MessageAttributes or MessageBody [MessageAttributes]",
              one_of({"MessageAttributes", "MessageBody"}))
      .option("--dlq", "NAME", options->dead_letter_queue, "a queue for what ENDPOINT cannot take")
      .option("--protocol", "P", options->protocol, "of ENDPOINT [sqs]")
      .repeated("--set", "ATTRIBUTE=VALUE", options->attributes,
                names_of(engine::subscription_attribute_table()));
  auto first = std::make_shared<std::string>();
  auto endpoint = std::make_shared<std::optional<std::string>>();
  parser
      .command(
          "topic unsubscribe", "end a subscription",
          [&context, first, endpoint] { return unsubscribe_topic(context, *first, *endpoint); })
      .argument("SUBSCRIPTION", *first, "its UUID or ARN; or TOPIC, and then")
      .optional_argument("ENDPOINT", *endpoint,
                         "of that topic's: a queue's name, or as it was given");
}

}  // namespace millrace::tools
