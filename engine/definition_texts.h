// DefinitionTexts: the named texts behind the fixed part of a definition in the catalog's log.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/records.h"

namespace millrace::engine {

struct DefinitionTextWriter {
  std::vector<std::byte> bytes{};
  uint16_t count = 0;

  void add(DefinitionTextKind kind, std::string_view name, std::string_view value);
};

void append_bytes(std::vector<std::byte>* body, Bytes bytes);

// Calls take(kind, name, value) for each of the `count` texts that `rest` begins with, until one
// answers what is wrong with it. Answers that, "" if nothing is.
template <class Take>
std::string take_definition_texts(Bytes rest, uint16_t count, Take&& take) {
  for (uint16_t i = 0; i < count; ++i) {
    const auto head = read_head<DefinitionText>(rest);
    if (!head) return "has a definition that is cut short";
    rest = rest.subspan(sizeof *head);
    if (rest.size() < uint64_t{head->name_bytes} + head->value_bytes)
      return "has a definition that is cut short";
    const std::string_view name = as_text(rest.first(head->name_bytes));
    const std::string_view value = as_text(rest.subspan(head->name_bytes, head->value_bytes));
    rest = rest.subspan(name.size() + value.size());
    std::string wrong = take(DefinitionTextKind{head->kind}, name, value);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

// What take() answers of a text of a kind that it does not know.
std::string unknown_text_kind(DefinitionTextKind kind);
std::string unknown_attribute_text(std::string_view name);

}  // namespace millrace::engine
