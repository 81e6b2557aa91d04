#include "clients/cpp/setting_texts.h"

#include "clients/cpp/frame.h"

namespace millrace::client {
namespace {

void add_text(std::string* to, std::string_view name, std::string_view value) {
  const wire::TextItem head{static_cast<uint32_t>(value.size()), static_cast<uint16_t>(name.size()),
                            0};
  to->append(reinterpret_cast<const char*>(&head), sizeof head).append(name).append(value);
}

}  // namespace

void add_texts(std::string* to, std::span<const NamedText> texts) {
  for (const NamedText& text : texts)
    add_text(to, text.name, text.value);
}

std::string texts_of(std::string_view name, const QueueSettings& settings) {
  std::string texts(name);
  add_texts(&texts, settings.attributes);
  add_texts(&texts, settings.tags);
  for (const std::string& tag : settings.untagged)
    add_text(&texts, tag, {});
  return texts;
}

wire::SettingsBody settings_body(size_t name_bytes, const QueueSettings& settings) {
  return {static_cast<uint16_t>(name_bytes), static_cast<uint16_t>(settings.attributes.size()),
          static_cast<uint16_t>(settings.tags.size()),
          static_cast<uint16_t>(settings.untagged.size())};
}

bool fit_a_frame(const QueueSettings& settings, size_t texts_bytes, size_t bytes_max) {
  constexpr size_t kHeadBytesMax = 24;
  constexpr size_t kCountMax = 10'000;  // the server's bounds are far below
  return kHeadBytesMax + padded8(texts_bytes) <= bytes_max &&
         settings.attributes.size() + settings.tags.size() + settings.untagged.size() <= kCountMax;
}

bool take_texts(Bytes* rest, uint16_t count, std::vector<NamedText>* texts) {
  for (uint16_t i = 0; i < count; ++i) {
    if (rest->size() < sizeof(wire::TextItem)) return false;
    const auto head = take<wire::TextItem>(rest->data());
    const Bytes after = rest->subspan(sizeof head);
    if (after.size() < uint64_t{head.name_bytes} + head.value_bytes) return false;
    texts->push_back({std::string(as_text(after.first(head.name_bytes))),
                      std::string(as_text(after.subspan(head.name_bytes, head.value_bytes)))});
    *rest = after.subspan(size_t{head.name_bytes} + head.value_bytes);
  }
  return true;
}

}  // namespace millrace::client
