// What the commands about topics share: attributes as they are typed, and subscriptions as they are
// shown.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/topic_answer.h"
#include "engine/topic_attributes.h"
#include "millrace/options.h"
#include "tools/cli/command.h"

namespace millrace::tools {

// "A, B and C", of a table of attributes.
template <class Row>
std::string names_of(std::span<const Row> table) {
  std::string names;
  for (const Row& row : table)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

// Adds ATTRIBUTE=VALUE of the table. Returns what is wrong with it, as far as can be said without
// the broker; empty: nothing.
template <class Row>
std::string read_setting(const std::string& setting, std::span<const Row> table,
                         std::vector<NamedText>& to) {
  NamedText named;
  if (!split_named(setting, named)) return fmt::format("'{}' is not ATTRIBUTE=VALUE", setting);
  for (const Row& row : table) {
    if (row.name != named.name) continue;
    to.push_back(std::move(named));
    return {};
  }
  return fmt::format("'{}': no such attribute; there are {}", setting, names_of(table));
}

// Numbers, yes or no and policies as what they are.
Json json_of(const std::vector<NamedText>& attributes);
Json json_of(const client::TopicSubscription& subscription);
// "sqs orders, raw, filter {...}, 01234567-..."
std::string line_of(const client::TopicSubscription& subscription);

}  // namespace millrace::tools
