#include "engine/filter_fields.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <simdjson.h>

#include "millrace/properties.h"

namespace millrace::engine {
namespace {

namespace dom = simdjson::dom;

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// Is the attribute's type `base`, or `base` with a suffix of the producer's?
bool is_type(std::string_view type, std::string_view base) {
  return type.starts_with(base) && (type.size() == base.size() || type[base.size()] == '.');
}

double number_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos)
    return kNoNumber;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : kNoNumber;
}

FilterValue scalar_value(const dom::element& element) {
  FilterValue value;
  switch (element.type()) {
    case dom::element_type::STRING:
      value.kind = FilterValue::Kind::text;
      value.text = element.get_string().value_unsafe();
      break;
    case dom::element_type::BOOL:
      value.kind = FilterValue::Kind::truth;
      value.truth = element.get_bool().value_unsafe();
      break;
    case dom::element_type::NULL_VALUE:
      value.kind = FilterValue::Kind::null;
      break;
    default:
      value.kind = FilterValue::Kind::number;
      value.number = element.get_double().value_unsafe();
  }
  return value;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// simdjson refuses integers of more than 64 bits, which JSON allows: with an exponent they are
// numbers with a fraction to it. Everything else stays as it is.
std::string with_long_integers_as_doubles(std::string_view text) {
  constexpr size_t kDigitsMax = 18;
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string || !is_digit(c)) {
      if (c == '"') in_string = !in_string;
      out += c;
      ++i;
      if (in_string && c == '\\' && i < text.size()) out += text[i++];
      continue;
    }
    const size_t begin = i;
    while (i < text.size() && is_digit(text[i]))
      ++i;
    out += text.substr(begin, i - begin);
    const bool fraction_before =
        begin > 0 && std::string_view(".eE+").find(text[begin - 1]) != std::string_view::npos;
    const bool exponent_before =
        begin > 1 && text[begin - 1] == '-' && (text[begin - 2] == 'e' || text[begin - 2] == 'E');
    const bool more = i < text.size() && (text[i] == '.' || text[i] == 'e' || text[i] == 'E');
    if (i - begin > kDigitsMax && !fraction_before && !exponent_before && !more) out += "e0";
  }
  return out;
}

}  // namespace

FilterKeys::FilterKeys(std::span<const std::string> keys) : size_(keys.size()) {
  for (uint32_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    nodes_[key].key = i;
    longest_ = std::max(longest_, key.size());
    for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1))
      nodes_[key.substr(0, dot)].parent = true;
  }
}

const FilterKeys::Node* FilterKeys::find(std::string_view path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

struct FilterJson::Parser {
  dom::parser parser;
  std::string padded;

  simdjson::error_code parse(std::string_view text, dom::element& root) {
    simdjson::error_code error = parse_once(text, root);
    if (error == simdjson::NUMBER_ERROR)
      error = parse_once(with_long_integers_as_doubles(text), root);
    return error;
  }

  simdjson::error_code parse_once(std::string_view text, dom::element& root) {
    padded.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    padded = text;
    return parser.parse(padded.data(), padded.size(), false).get(root);
  }
};

FilterJson::FilterJson() : parser_(std::make_unique<Parser>()) {}
FilterJson::~FilterJson() = default;

FilterFields::FilterFields(const FilterKeys& keys, FilterJson& json)
    : keys_(keys), json_(json), keys_here_(keys.size()) {}

void FilterFields::clear() {
  for (const uint32_t key : present_keys_)
    keys_here_[key] = {};
  present_keys_.clear();
  values_.clear();
  known_values_.clear();
  list_texts_.clear();
  readable_ = false;
}

void FilterFields::note_present(uint32_t key) {
  if (keys_here_[key].present) return;
  keys_here_[key].present = true;
  present_keys_.push_back(key);
}

void FilterFields::add(uint32_t key, const FilterValue& value) {
  note_present(key);
  Here& here = keys_here_[key];
  if (here.count >= kValuesCompared && is_known(key, value)) return;
  ++here.count;
  const auto at = static_cast<uint32_t>(values_.size());
  if (here.first == FilterKeys::kNone)
    here.first = at;
  else
    values_[here.last].next = at;
  here.last = at;
  values_.push_back({value, FilterKeys::kNone});
}

// The first ones of a key may come once more, since only those after them are known.
bool FilterFields::is_known(uint32_t key, const FilterValue& value) {
  std::string identity;
  identity.append(reinterpret_cast<const char*>(&key), sizeof key);
  identity += static_cast<char>(value.kind);
  identity += value.truth ? '1' : '0';
  identity.append(reinterpret_cast<const char*>(&value.number), sizeof value.number);
  identity += value.text;
  return !known_values_.insert(std::move(identity)).second;
}

bool FilterFields::meets(uint32_t key, const FilterCondition& condition) const {
  if (condition.kind == FilterCondition::Kind::exists) return present(key) == condition.truth;
  return any_value(key, [&](const FilterValue& value) { return condition.accepts(value); });
}

void FilterFields::read_attributes(Bytes properties) {
  clear();
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    if (property->tag != PropertyTag::attribute) continue;
    readable_ = true;
    const FilterKeys::Node* const node = keys_.find(property->name);
    if (node == nullptr || node->key == FilterKeys::kNone) continue;
    note_present(node->key);
    const std::string_view text = as_text(property->value);
    if (is_type(property->type, "String.Array")) {
      read_list(node->key, text);
    } else if (is_type(property->type, "Number")) {
      add(node->key, {FilterValue::Kind::number, false, number_of(text), {}});
    } else if (!is_type(property->type, "Binary")) {
      add(node->key, {FilterValue::Kind::text, false, 0, text});
    }
  }
}

void FilterFields::read_list(uint32_t key, std::string_view text) {
  dom::element root;
  dom::array list;
  if (json_.parser_->parse(text, root) != simdjson::SUCCESS ||
      root.get_array().get(list) != simdjson::SUCCESS) {
    return;
  }
  for (const dom::element element : list) {
    if (element.is_array() || element.is_object()) continue;
    FilterValue value = scalar_value(element);
    value.text = list_texts_.emplace_back(value.text);
    add(key, value);
  }
}

void FilterFields::read_body(std::string_view body) {
  clear();
  dom::element root;
  dom::object object;
  if (json_.parser_->parse(body, root) != simdjson::SUCCESS ||
      root.get_object().get(object) != simdjson::SUCCESS) {
    return;
  }
  readable_ = true;
  walk(object);
}

// Objects and lists that are open, outermost first: a stack of ours, since a body is as deep as its
// producer likes. `path_` is that of the innermost object.
template <class Object>
void FilterFields::walk(const Object& root) {
  struct Level {
    bool list;
    FilterKeys::Node node;
    size_t path_bytes;
    dom::object::iterator member, members_end;
    dom::array::iterator element, elements_end;
  };
  std::vector<Level> open;
  const auto visit = [&](const dom::element& element, const FilterKeys::Node& node) {
    Level level{};
    level.node = node;
    level.path_bytes = path_.size();
    if (element.is_array()) {
      const dom::array list = element.get_array().value_unsafe();
      level.list = true;
      level.element = list.begin();
      level.elements_end = list.end();
      open.push_back(level);
    } else if (element.is_object()) {
      if (!node.parent) return;
      const dom::object object = element.get_object().value_unsafe();
      level.member = object.begin();
      level.members_end = object.end();
      open.push_back(level);
    } else if (node.key != FilterKeys::kNone) {
      add(node.key, scalar_value(element));
    }
  };
  path_.clear();
  Level bottom{};
  bottom.member = root.begin();
  bottom.members_end = root.end();
  open.push_back(bottom);
  while (!open.empty()) {
    Level& level = open.back();
    path_.resize(level.path_bytes);
    if (level.list ? !(level.element != level.elements_end)
                   : !(level.member != level.members_end)) {
      open.pop_back();
    } else if (level.list) {
      const dom::element element = *level.element;
      const FilterKeys::Node node = level.node;
      ++level.element;
      visit(element, node);
    } else {
      const dom::key_value_pair member = *level.member;
      ++level.member;
      if (level.path_bytes + member.key.size() > keys_.longest()) continue;
      if (open.size() > 1) path_ += '.';
      path_ += member.key;
      if (const FilterKeys::Node* const node = keys_.find(path_)) visit(member.value, *node);
    }
  }
}

}  // namespace millrace::engine
