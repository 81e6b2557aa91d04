#include "engine/tags.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/printable.h"
#include "engine/names.h"

namespace millrace::engine {
namespace {

constexpr size_t kTagNameBytesMax = 128;
constexpr size_t kTagValueBytesMax = 256;

constexpr bool tag_character(char c) {
  return is_letter_or_digit(c) || std::string_view(" _.:/=+-@").find(c) != std::string_view::npos;
}

// Those that begin so are not for users.
bool is_reserved(std::string_view name) {
  constexpr std::string_view kReserved = "aws:";
  return equal_but_case(name.substr(0, kReserved.size()), kReserved);
}

Status refuse_tag(std::string* detail, std::string text) {
  *detail = std::move(text);
  return fail(Errc::invalid_argument);
}

}  // namespace

Status apply_tags(const QueueSettings& settings, std::vector<NamedText>* tags,
                  std::string* detail) {
  const auto by_name = [](const NamedText& tag, std::string_view name) { return tag.name < name; };
  for (const std::string& name : settings.untagged)
    std::erase_if(*tags, [&](const NamedText& tag) { return tag.name == name; });
  for (const NamedText& tag : settings.tags) {
    if (tag.name.empty() || tag.name.size() > kTagNameBytesMax || is_reserved(tag.name) ||
        !std::all_of(tag.name.begin(), tag.name.end(), tag_character))
      return refuse_tag(detail, fmt::format("a tag is '{}'; it may be 1 to {} of A-Z a-z 0-9 blank "
                                            "_ . : / = + - @, not beginning with aws:",
                                            base::printable(tag.name), kTagNameBytesMax));
    if (tag.value.size() > kTagValueBytesMax ||
        !std::all_of(tag.value.begin(), tag.value.end(), tag_character))
      return refuse_tag(
          detail,
          fmt::format("the tag '{}' is '{}'; it may be up to {} of A-Z a-z 0-9 blank "
                      "_ . : / = + - @",
                      base::printable(tag.name), base::printable(tag.value), kTagValueBytesMax));
    const auto place = std::lower_bound(tags->begin(), tags->end(), tag.name, by_name);
    if (place != tags->end() && place->name == tag.name)
      place->value = tag.value;
    else
      tags->insert(place, tag);
  }
  if (tags->size() > kTagsMax)
    return refuse_tag(
        detail, fmt::format("there would be {} tags; there may be {}", tags->size(), kTagsMax));
  return {};
}

}  // namespace millrace::engine
