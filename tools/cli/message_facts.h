// What a message carries beside its body, as the command line shows it: id, group, deduplication
// id, sequence number, attributes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/types.h"
#include "tools/cli/command.h"

namespace millrace::tools {

struct MessageFacts {
  std::string id;
  std::string group;
  std::string deduplication_id;
  std::string sequence_number;  // of a FIFO queue's
  struct Attribute {
    std::string name;
    std::string type;
    std::string value;
  };
  std::vector<Attribute> attributes;
};

// Of a message that lies at `shard_slot` of a queue.
MessageFacts facts_of(QueueId queue, std::string_view queue_name, uint64_t shard_slot,
                      std::string_view properties);
// Adds what there is, under "id", "group", "deduplication_id", "sequence_number", "attributes".
void put_facts(Json& json, const MessageFacts& facts);
// "color=blue price=9", printable; binary values as "N bytes".
std::string attributes_text(const MessageFacts& facts);

// Reads "NAME=VALUE" or "NAME:TYPE=VALUE" and adds it to properties. "" or what is wrong.
std::string add_attribute(const std::string& text, std::string& properties);

// A message group or deduplication id: "" or what is wrong with it.
std::string check_message_id(const std::string& text);

}  // namespace millrace::tools
