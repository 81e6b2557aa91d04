#include "net/aws/query_reader.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <simdjson.h>

#include <fmt/format.h>

#include "net/aws/base64.h"

namespace millrace::net {
namespace {

AwsError malformed(std::string text) {
  return {errors::kSerialization, std::move(text)};
}

std::optional<char> hex_byte(char high, char low) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  const int h = digit(high);
  const int l = digit(low);
  if (h < 0 || l < 0) return std::nullopt;
  return static_cast<char>(h << 4 | l);
}

// Over itself.
std::optional<std::string_view> decode_form_text(char* text, size_t size) {
  char* to = text;
  for (size_t i = 0; i < size; ++i) {
    if (text[i] == '+') {
      *to++ = ' ';
    } else if (text[i] != '%') {
      *to++ = text[i];
    } else {
      if (size - i < 3) return std::nullopt;
      const auto byte = hex_byte(text[i + 1], text[i + 2]);
      if (!byte) return std::nullopt;
      *to++ = *byte;
      i += 2;
    }
  }
  return std::string_view(text, static_cast<size_t>(to - text));
}

// Takes the part up to the next point off `path`.
std::string_view take_part(std::string_view& path) {
  const size_t point = path.find('.');
  const std::string_view part = path.substr(0, point);
  path.remove_prefix(point == std::string_view::npos ? path.size() : point + 1);
  return part;
}

// One parameter, put where the shape says.
class Placing {
 public:
  Placing(const Pair& parameter, Arena& arena) : parameter_(parameter), arena_(arena) {}

  AwsError put(const Shape& shape, void* input) {
    put_member(shape, input, parameter_.name);
    return std::move(error_);
  }

 private:
  void fail(std::string text) { error_ = malformed(std::move(text)); }
  void fail_twice() {
    fail(fmt::format("The parameter {} is given twice.", shown(parameter_.name)));
  }

  void put_member(const Shape& shape, void* input, std::string_view path) {
    const std::string_view first = take_part(path);
    for (const Member& member : shape.members) {
      const bool scalar =
          member.kind == Kind::text || member.kind == Kind::integer || member.kind == Kind::blob;
      void* const place = member.in(input);
      if (member.query == first) {
        if (!scalar) return put_list(member, *static_cast<AnyList*>(place), path);
        if (path.empty()) put_scalar(member, place);
        return;
      }
      // "Entries=": a list that is there and empty, as botocore says it.
      if (member.json == first && !scalar && path.empty() && parameter_.value.empty()) {
        static_cast<AnyList*>(place)->given = true;
        return;
      }
    }
  }

  // "Tags=" is an empty list where there is a part behind its name.
  void put_list(const Member& member, AnyList& list, std::string_view path) {
    if (member.part.empty()) return put_item(member, list, path);
    if (path.empty() && parameter_.value.empty()) list.given = true;
    if (!path.empty() && take_part(path) == member.part && !path.empty())
      put_item(member, list, path);
  }

  void put_scalar(const Member& member, void* place) {
    const std::string_view value = parameter_.value;
    if (member.kind == Kind::text) {
      auto& text = *static_cast<Text*>(place);
      if (text.given) return fail_twice();
      text = {value, true};
    } else if (member.kind == Kind::blob) {
      auto& blob = *static_cast<Blob*>(place);
      if (blob.given) return fail_twice();
      const auto bytes = decode_base64(const_cast<char*>(value.data()), value.size());
      if (!bytes) return fail(fmt::format("{} is not base64.", shown(parameter_.name)));
      blob = {*bytes, true};
    } else {
      auto& integer = *static_cast<Integer*>(place);
      if (integer.given) return fail_twice();
      integer.given = true;
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), integer.value);
      if (error != std::errc() || end != value.data() + value.size())
        error_ = invalid_value(member.query, shown(value, 64), "Must be an integer.");
    }
  }

  // Behind a list's name: its number and, of what has parts, the part.
  void put_item(const Member& member, AnyList& list, std::string_view path) {
    uint32_t number = 1;  // "AttributeName=All", as old clients say
    if (!path.empty()) {
      const std::string_view digits = take_part(path);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (error != std::errc() || end != digits.data() + digits.size() || number == 0 ||
          number > kInputMembersMax)
        return fail(fmt::format("The index of {} must be an integer between 1 and {}.",
                                member.query, kInputMembersMax));
    }
    list.given = true;
    bool fresh = false;
    void* const item = item_of(member, list, number, fresh);
    switch (member.kind) {
      case Kind::texts:
        if (!fresh) return fail_twice();
        *static_cast<std::string_view*>(item) = parameter_.value;
        return;
      case Kind::pairs: {
        auto& pair = *static_cast<Pair*>(item);
        if (path == member.key) return put_text(pair.name);
        if (path == member.value) return put_text(pair.value);
        return;
      }
      case Kind::map:
        if (path == member.key) return put_text(member.name(item));
        if (take_part(path) == member.value) put_member(*member.shape, item, path);
        return;
      default:
        put_member(*member.shape, item, path);
    }
  }

  void put_text(std::string_view& text) {
    if (text.data() != nullptr) return fail_twice();
    text = parameter_.value;
  }

  // Mostly the last one, or the one behind it.
  void* item_of(const Member& member, AnyList& list, uint32_t number, bool& fresh) {
    uint32_t at = list.count;
    while (at > 0 && list.numbers[at - 1] > number)
      --at;
    if (at > 0 && list.numbers[at - 1] == number) return item_at(list, member, at - 1);
    fresh = true;
    void* const item = insert_item(list, member, at, arena_);
    list.numbers[at] = number;
    return item;
  }

  const Pair& parameter_;
  Arena& arena_;
  AwsError error_;
};

}  // namespace

AwsError QueryReader::parse(std::string_view query, MutableBytes form, Arena& arena) {
  parameters_.clear();
  if (!query.empty()) {
    const std::string_view copy = arena.copy(query);
    if (auto error = parse_text(const_cast<char*>(copy.data()), copy.size())) return error;
  }
  return parse_text(reinterpret_cast<char*>(form.data()), form.size());
}

AwsError QueryReader::parse_text(char* text, size_t size) {
  char* const end = text + size;
  while (text != end) {
    char* const stop = std::find(text, end, '&');
    char* const equals = std::find(text, stop, '=');
    if (stop != text) {
      if (parameters_.size() == kInputMembersMax)
        return malformed(fmt::format("The request has more than {} parameters.", kInputMembersMax));
      const auto name = decode_form_text(text, static_cast<size_t>(equals - text));
      char* const value_at = equals == stop ? stop : equals + 1;
      const auto value = decode_form_text(value_at, static_cast<size_t>(stop - value_at));
      if (!name || !value) return malformed("The request has an escape that is not %XX.");
      if (!simdjson::validate_utf8(*name) || !simdjson::validate_utf8(*value) ||
          name->find('\0') != std::string_view::npos)
        return malformed("The request is not UTF-8.");
      parameters_.push_back({*name, *value});
    }
    text = stop == end ? end : stop + 1;
  }
  const auto is_action = [](const Pair& one) { return one.name == "Action"; };
  if (std::count_if(parameters_.begin(), parameters_.end(), is_action) > 1)
    return malformed("The parameter Action is given twice.");
  return {};
}

std::string_view QueryReader::find(std::string_view name) const {
  for (const Pair& parameter : parameters_)
    if (parameter.name == name) return parameter.value;
  return {};
}

AwsError QueryReader::read(const Shape& shape, void* input, Arena& arena) const {
  for (const Pair& parameter : parameters_)
    if (auto error = Placing(parameter, arena).put(shape, input)) return error;
  return {};
}

}  // namespace millrace::net
