#include "net/aws/json_reader.h"

#include <algorithm>
#include <simdjson.h>

#include <fmt/format.h>

#include "net/aws/base64.h"
#include "net/aws/json_text.h"

namespace millrace::net {
namespace {

namespace od = simdjson::ondemand;

static_assert(kHttpBodyPadding >= simdjson::SIMDJSON_PADDING);

constexpr int kLevelsMax = 32;

AwsError unserializable(std::string_view text) {
  return {errors::kSerialization, std::string(text)};
}
AwsError no_json() {
  return unserializable("The request body is not valid JSON.");
}

// One request. A function that fails says so in `error_` and returns false.
class Walk {
 public:
  explicit Walk(Arena& arena) : arena_(arena) {}

  AwsError run(od::document& document, const Shape& shape, void* input) {
    od::json_type type{};
    od::object object;
    if (document.type().get(type) != simdjson::SUCCESS) return no_json();
    if (type == od::json_type::array)
      return unserializable("Start of list found where not expected");
    if (type != od::json_type::object)
      return unserializable("The request body must be a JSON object.");
    if (document.get_object().get(object) != simdjson::SUCCESS) return no_json();
    if (!read_object(object, shape, input, 1)) return std::move(error_);
    // Whatever follows the object.
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) return no_json();
    return {};
  }

 private:
  bool fail(AwsError error) {
    error_ = std::move(error);
    return false;
  }
  bool fail_json() { return fail(no_json()); }
  bool count_one() {
    if (++members_ <= kInputMembersMax) return true;
    return fail(
        unserializable(fmt::format("The request has more than {} members.", kInputMembersMax)));
  }
  bool check_level(int level) {
    if (level <= kLevelsMax) return true;
    return fail(
        unserializable(fmt::format("The request is nested more than {} levels deep.", kLevelsMax)));
  }

  // simdjson's view is const; the bytes are the request's body, which is ours to change.
  static char* mutable_text(const od::raw_json_string& text) {
    return const_cast<char*>(text.raw());
  }

  bool read_key(od::field& field, std::string_view& key) {
    const auto text = read_json_text(mutable_text(field.key()));
    if (!text) return fail_json();
    key = *text;
    return true;
  }

  bool read_object(od::object& object, const Shape& shape, void* input, int level) {
    if (!check_level(level)) return false;
    uint64_t seen = 0;  // bit per member
    for (auto entry : object) {
      od::field field;
      if (std::move(entry).get(field) != simdjson::SUCCESS) return fail_json();
      std::string_view key;
      if (!count_one() || !read_key(field, key)) return false;
      const auto member = std::find_if(shape.members.begin(), shape.members.end(),
                                       [&](const Member& one) { return one.json == key; });
      if (member == shape.members.end()) {
        if (!skip(field.value(), level)) return false;
        continue;
      }
      const uint64_t bit = uint64_t{1} << (member - shape.members.begin());
      if ((seen & bit) != 0) return fail_twice(key);
      seen |= bit;
      if (!read_member(field.value(), *member, member->in(input), level)) return false;
    }
    return true;
  }

  bool fail_twice(std::string_view key) {
    return fail(unserializable(fmt::format("The member {} is given twice.", shown(key))));
  }

  bool read_member(od::value& value, const Member& member, void* place, int level) {
    od::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return fail_json();
    if (type == od::json_type::null) return skip(value, level);
    switch (member.kind) {
      case Kind::text: {
        auto& text = *static_cast<Text*>(place);
        text.given = true;
        return read_text(value, type, text.value);
      }
      case Kind::integer:
        return read_integer(value, type, member, *static_cast<Integer*>(place));
      case Kind::blob:
        return read_blob(value, type, *static_cast<Blob*>(place));
      case Kind::texts:
      case Kind::structures:
        return read_list(value, type, member, *static_cast<AnyList*>(place), level + 1);
      case Kind::pairs:
      case Kind::map:
        return read_map(value, type, member, *static_cast<AnyList*>(place), level + 1);
    }
    return true;
  }

  bool fail_type(od::json_type type, std::string_view wanted) {
    switch (type) {
      case od::json_type::object:
        return fail(unserializable("Start of structure or map found where not expected."));
      case od::json_type::array:
        return fail(unserializable("Start of list found where not expected"));
      case od::json_type::string:
        return fail(unserializable(fmt::format("STRING_VALUE can not be converted to {}", wanted)));
      case od::json_type::number:
        return fail(unserializable(fmt::format("NUMBER_VALUE can not be converted to {}", wanted)));
      default:
        return fail(
            unserializable(fmt::format("BOOLEAN_VALUE can not be converted to {}", wanted)));
    }
  }

  bool read_text(od::value& value, od::json_type type, std::string_view& text) {
    if (type != od::json_type::string) return fail_type(type, "a String");
    od::raw_json_string raw;
    if (value.get_raw_json_string().get(raw) != simdjson::SUCCESS) return fail_json();
    const auto read = read_json_text(mutable_text(raw));
    if (!read) return fail_json();
    text = *read;
    return true;
  }

  bool read_integer(od::value& value, od::json_type type, const Member& member, Integer& integer) {
    if (type != od::json_type::number) return fail_type(type, "an Integer");
    std::string_view token = value.raw_json_token();
    while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ')
      token.remove_suffix(1);
    integer.given = true;
    if (value.get_int64().get(integer.value) == simdjson::SUCCESS) return true;
    return fail(invalid_value(member.json, shown(token, 64), "Must be an integer."));
  }

  bool read_blob(od::value& value, od::json_type type, Blob& blob) {
    std::string_view text;
    if (!read_text(value, type, text)) return false;
    const auto bytes = decode_base64(const_cast<char*>(text.data()), text.size());
    if (!bytes) return fail(unserializable("A blob is not base64."));
    blob = {*bytes, true};
    return true;
  }

  bool read_list(od::value& value, od::json_type type, const Member& member, AnyList& list,
                 int level) {
    if (!check_level(level)) return false;
    if (type == od::json_type::string)
      return fail(unserializable("Unrecognized collection type class java.lang.String"));
    if (type != od::json_type::array) return fail_type(type, "a List");
    od::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return fail_json();
    list.given = true;
    for (auto entry : array) {
      od::value item;
      od::json_type item_type{};
      if (std::move(entry).get(item) != simdjson::SUCCESS ||
          item.type().get(item_type) != simdjson::SUCCESS)
        return fail_json();
      if (!count_one()) return false;
      void* const place = add_item(list, member, arena_);
      if (member.kind == Kind::texts) {
        if (!read_text(item, item_type, *static_cast<std::string_view*>(place))) return false;
        continue;
      }
      if (!read_structure(item, item_type, *member.shape, place, level + 1)) return false;
    }
    return true;
  }

  bool read_structure(od::value& value, od::json_type type, const Shape& shape, void* place,
                      int level) {
    if (type != od::json_type::object) return fail_type(type, "a Structure");
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return fail_json();
    return read_object(object, shape, place, level);
  }

  bool read_map(od::value& value, od::json_type type, const Member& member, AnyList& list,
                int level) {
    if (!check_level(level)) return false;
    if (type == od::json_type::string)
      return fail(unserializable("Unrecognized collection type class java.lang.String"));
    if (type != od::json_type::object) return fail_type(type, "a Map");
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return fail_json();
    list.given = true;
    for (auto entry : object) {
      od::field field;
      if (std::move(entry).get(field) != simdjson::SUCCESS) return fail_json();
      std::string_view key;
      if (!count_one() || !read_key(field, key)) return false;
      if (has_key(list, member, key)) return fail_twice(key);
      od::json_type item_type{};
      if (field.value().type().get(item_type) != simdjson::SUCCESS) return fail_json();
      if (item_type == od::json_type::null) {
        if (!skip(field.value(), level)) return false;
        continue;
      }
      void* const place = add_item(list, member, arena_);
      if (member.kind == Kind::pairs) {
        auto& pair = *static_cast<Pair*>(place);
        pair.name = key;
        if (!read_text(field.value(), item_type, pair.value)) return false;
        continue;
      }
      member.name(place) = key;
      if (!read_structure(field.value(), item_type, *member.shape, place, level + 1)) return false;
    }
    return true;
  }

  static bool has_key(AnyList& list, const Member& member, std::string_view key) {
    for (uint32_t i = 0; i < list.count; ++i) {
      void* const item = item_at(list, member, i);
      const std::string_view known =
          member.kind == Kind::pairs ? static_cast<Pair*>(item)->name : member.name(item);
      if (known == key) return true;
    }
    return false;
  }

  // A value that nobody asked for, to its end.
  bool skip(od::value& value, int level) {
    od::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return fail_json();
    switch (type) {
      case od::json_type::object: {
        od::object object;
        if (!check_level(level + 1)) return false;
        if (value.get_object().get(object) != simdjson::SUCCESS) return fail_json();
        return read_object(object, {}, nullptr, level + 1);
      }
      case od::json_type::array: {
        od::array array;
        if (!check_level(level + 1)) return false;
        if (value.get_array().get(array) != simdjson::SUCCESS) return fail_json();
        for (auto entry : array) {
          od::value item;
          if (std::move(entry).get(item) != simdjson::SUCCESS) return fail_json();
          if (!count_one() || !skip(item, level + 1)) return false;
        }
        return true;
      }
      case od::json_type::string: {
        std::string_view text;
        return read_text(value, type, text);
      }
      case od::json_type::number: {
        od::number number;
        return value.get_number().get(number) == simdjson::SUCCESS || fail_json();
      }
      case od::json_type::boolean: {
        bool truth = false;
        return value.get_bool().get(truth) == simdjson::SUCCESS || fail_json();
      }
      case od::json_type::null: {
        bool null = false;
        return (value.is_null().get(null) == simdjson::SUCCESS && null) || fail_json();
      }
    }
    return true;
  }

  Arena& arena_;
  AwsError error_;
  uint32_t members_ = 0;
};

}  // namespace

struct JsonReader::Parser {
  od::parser parser;
};

JsonReader::JsonReader() : parser_(std::make_unique<Parser>()) {}
JsonReader::~JsonReader() = default;

AwsError JsonReader::read(MutableBytes body, const Shape& shape, void* input, Arena& arena) {
  if (body.empty()) return {};
  od::document document;
  const simdjson::padded_string_view text(reinterpret_cast<const char*>(body.data()), body.size(),
                                          body.size() + kHttpBodyPadding);
  if (parser_->parser.iterate(text).get(document) != simdjson::SUCCESS) return no_json();
  return Walk(arena).run(document, shape, input);
}

}  // namespace millrace::net
