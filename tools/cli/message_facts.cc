#include "tools/cli/message_facts.h"

#include <algorithm>

#include "millrace/message_id.h"
#include "millrace/properties.h"
#include "tools/common/text.h"

namespace millrace::tools {

MessageFacts facts_of(QueueId queue, std::string_view queue_name, uint64_t shard_slot,
                      std::string_view properties) {
  MessageFacts facts;
  facts.id = message_id_text(message_id(raw(queue), shard_slot, as_bytes(properties)));
  if (queue_name.ends_with(".fifo"))
    facts.sequence_number = std::to_string(sequence_number(shard_slot));
  PropertyReader reader(as_bytes(properties));
  while (const auto property = reader.next()) {
    const std::string value(as_text(property->value));
    if (property->tag == PropertyTag::group) facts.group = value;
    if (property->tag == PropertyTag::deduplication_id) facts.deduplication_id = value;
    if (property->tag == PropertyTag::attribute)
      facts.attributes.push_back({std::string(property->name), std::string(property->type), value});
  }
  return facts;
}

void put_facts(Json& json, const MessageFacts& facts) {
  json["id"] = facts.id;
  if (!facts.group.empty()) json["group"] = facts.group;
  if (!facts.deduplication_id.empty()) json["deduplication_id"] = facts.deduplication_id;
  if (!facts.sequence_number.empty()) json["sequence_number"] = facts.sequence_number;
  if (facts.attributes.empty()) return;
  Json& attributes = json["attributes"];
  for (const MessageFacts::Attribute& attribute : facts.attributes) {
    Json& one = attributes[attribute.name];
    one["type"] = attribute.type;
    put_text(one, "value", attribute.value);
  }
}

std::string attributes_text(const MessageFacts& facts) {
  std::string text;
  for (const MessageFacts::Attribute& attribute : facts.attributes) {
    if (!text.empty()) text += ' ';
    text += attribute.name + "=";
    text += attribute.type.starts_with("Binary") ? fmt::format("<{} bytes>", attribute.value.size())
                                                 : printable(attribute.value);
  }
  return text;
}

std::string add_attribute(const std::string& text, std::string& properties) {
  const size_t equals = text.find('=');
  const size_t colon = text.find(':');
  if (equals == std::string::npos || equals == 0)
    return fmt::format("'{}' is not NAME=VALUE or NAME:TYPE=VALUE", text);
  const bool typed = colon < equals;
  const std::string name = text.substr(0, typed ? colon : equals);
  const std::string type = typed ? text.substr(colon + 1, equals - colon - 1) : "String";
  if (name.size() > kPropertyNameBytesMax || type.size() > kPropertyTypeBytesMax)
    return fmt::format("'{}': a name and a type may have up to {} bytes", text.substr(0, 40),
                       kPropertyNameBytesMax);
  append_property(properties, PropertyTag::attribute, name, type,
                  as_bytes(std::string_view(text).substr(equals + 1)));
  return {};
}

std::string check_message_id(const std::string& text) {
  const bool good =
      !text.empty() && text.size() <= kGroupIdBytesMax &&
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  return good ? std::string()
              : fmt::format("'{}' is not 1 to {} letters, digits and punctuation", printable(text),
                            kGroupIdBytesMax);
}

}  // namespace millrace::tools
