#include "tools/cli/topic_facts.h"

#include "base/bounded_json.h"
#include "base/uuid.h"
#include "millrace/named_text.h"
#include "tools/common/text.h"

namespace millrace::tools {

Json json_of(const std::vector<NamedText>& attributes) {
  Json json = Json::object();
  for (const NamedText& attribute : attributes) {
    Json value = base::parse_bounded_json<Json>(attribute.value);
    json[attribute.name] = value.is_discarded() ? Json(attribute.value) : std::move(value);
  }
  return json;
}

Json json_of(const client::TopicSubscription& subscription) {
  Json json{{"subscription", base::uuid_text(subscription.uuid)},
            {"topic", subscription.topic},
            {"protocol", subscription.protocol},
            {"endpoint", subscription.endpoint}};
  if (!subscription.queue.empty()) json["queue"] = subscription.queue;
  json["pending"] = subscription.pending;
  json["created_at_ms"] = subscription.created_at_ms;
  if (!subscription.attributes.empty()) json["attributes"] = json_of(subscription.attributes);
  return json;
}

std::string line_of(const client::TopicSubscription& subscription) {
  const std::string& where =
      subscription.queue.empty() ? subscription.endpoint : subscription.queue;
  std::string line = fmt::format("{} {}", subscription.protocol, where);
  if (subscription.pending) line += ", pending";
  const auto value = [&](std::string_view name) { return value_of(subscription.attributes, name); };
  if (value("RawMessageDelivery") == "true") line += ", raw";
  if (const auto policy = value("FilterPolicy"); !policy.empty())
    line += fmt::format(
        ", {} {}", value("FilterPolicyScope") == "MessageBody" ? "body filter" : "filter", policy);
  if (const auto policy = value("RedrivePolicy"); !policy.empty())
    line += fmt::format(", dead letters {}", policy);
  return printable(line + ", " + base::uuid_text(subscription.uuid));
}

}  // namespace millrace::tools
