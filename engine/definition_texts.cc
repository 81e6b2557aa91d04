#include "engine/definition_texts.h"

#include <fmt/format.h>

#include "base/printable.h"

namespace millrace::engine {

void append_bytes(std::vector<std::byte>* body, Bytes bytes) {
  body->insert(body->end(), bytes.begin(), bytes.end());
}

void DefinitionTextWriter::add(DefinitionTextKind kind, std::string_view name,
                               std::string_view value) {
  const DefinitionText head{static_cast<uint8_t>(kind), 0, static_cast<uint16_t>(name.size()),
                            static_cast<uint32_t>(value.size())};
  append_bytes(&bytes, bytes_of(head));
  append_bytes(&bytes, as_bytes(name));
  append_bytes(&bytes, as_bytes(value));
  ++count;
}

std::string unknown_text_kind(DefinitionTextKind kind) {
  return fmt::format("is defined by a text of kind {}, which this version does not know",
                     static_cast<int>(kind));
}

std::string unknown_attribute_text(std::string_view name) {
  return fmt::format("has an attribute '{}', which this version does not know",
                     base::printable(name));
}

}  // namespace millrace::engine
