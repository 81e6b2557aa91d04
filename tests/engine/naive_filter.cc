#include "tests/engine/naive_filter.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cmath>
#include <cstdlib>
#include <set>

namespace millrace::engine {
namespace {

using Json = nlohmann::json;

bool naive_in(const std::string& text, const std::vector<std::string>& texts) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool naive_is_or(const std::string& key, const Json& value) {
  if (key != "$or" || !value.is_array() || value.size() < 2) return false;
  for (const Json& branch : value) {
    if (!branch.is_object()) return false;
    for (const auto& [name, unused] : branch.items())
      if (naive_in(name, {"prefix", "suffix", "equals-ignore-case", "anything-but", "numeric",
                          "exists", "cidr", "wildcard"}))
        return false;
  }
  return true;
}

std::string naive_lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Each way a star could be taken: reached[t] says that the pattern so far fits the text up to t.
bool naive_wildcard(const std::string& pattern, const std::string& text) {
  std::vector<bool> reached(text.size() + 1, false);
  reached[0] = true;
  for (size_t p = 0; p < pattern.size(); ++p) {
    std::vector<bool> next(text.size() + 1, false);
    const bool star = pattern[p] == '*';
    if (pattern[p] == '\\') ++p;
    for (size_t t = 0; t <= text.size(); ++t) {
      if (star)
        next[t] = reached[t] || (t > 0 && next[t - 1]);
      else
        next[t] = t > 0 && reached[t - 1] && text[t - 1] == pattern[p];
    }
    reached = next;
  }
  return reached[text.size()];
}

// The address as a row of bits; empty if it is none.
std::string naive_bits(const std::string& text) {
  unsigned char bytes[16];
  size_t count = 0;
  if (text.find('\0') != std::string::npos) return {};
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) count = 4;
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) count = 16;
  std::string bits;
  for (size_t i = 0; i < count * 8; ++i)
    bits += ((bytes[i / 8] >> (7 - i % 8)) & 1) != 0 ? '1' : '0';
  return bits;
}

bool naive_cidr(const std::string& range, const std::string& text) {
  const size_t slash = range.find('/');
  const std::string network = naive_bits(range.substr(0, slash));
  const auto kept = static_cast<size_t>(std::atoi(range.c_str() + slash + 1));
  const std::string address = naive_bits(text);
  return address.size() == network.size() && address.substr(0, kept) == network.substr(0, kept);
}

bool naive_numeric(const Json& terms, double number) {
  for (size_t i = 0; i + 1 < terms.size(); i += 2) {
    const std::string name = terms[i];
    const double bound = terms[i + 1].get<double>();
    if (name == "=" && !(number == bound)) return false;
    if (name == "<" && !(number < bound)) return false;
    if (name == "<=" && !(number <= bound)) return false;
    if (name == ">" && !(number > bound)) return false;
    if (name == ">=" && !(number >= bound)) return false;
  }
  return true;
}

bool naive_text_operator(const std::string& name, const std::string& pattern,
                         const std::string& text) {
  if (name == "prefix") return text.substr(0, pattern.size()) == pattern;
  if (name == "suffix")
    return text.size() >= pattern.size() && text.substr(text.size() - pattern.size()) == pattern;
  if (name == "equals-ignore-case") return naive_lower(text) == naive_lower(pattern);
  if (name == "wildcard") return naive_wildcard(pattern, text);
  return name == "cidr" && naive_cidr(pattern, text);
}

// A discarded value is a number that is none.
bool naive_value_meets(const Json& condition, const Json& value) {
  if (condition.is_number())
    return value.is_number() && value.get<double>() == condition.get<double>();
  if (!condition.is_object()) return value.type() == condition.type() && value == condition;
  const std::string name = condition.begin().key();
  const Json& pattern = condition.begin().value();
  if (name == "numeric") return value.is_number() && naive_numeric(pattern, value.get<double>());
  if (name != "anything-but")
    return value.is_string() && naive_text_operator(name, pattern, value.get<std::string>());
  if (!pattern.is_array()) return !naive_value_meets(pattern, value);
  for (const Json& one : pattern)
    if (naive_value_meets(one, value)) return false;
  return true;
}

bool naive_key_accepts(const Json& conditions, const NaiveFields& fields, const std::string& key) {
  const auto here = fields.find(key);
  for (const Json& condition : conditions) {
    if (condition.is_object() && condition.contains("exists")) {
      if (condition["exists"] == (here != fields.end())) return true;
      continue;
    }
    if (here == fields.end()) continue;
    for (const Json& value : here->second)
      if (naive_value_meets(condition, value)) return true;
  }
  return false;
}

bool naive_object_accepts(const Json& policy, const NaiveFields& fields,
                          const std::string& prefix) {
  for (const auto& [key, value] : policy.items()) {
    bool accepted = false;
    if (naive_is_or(key, value)) {
      for (const Json& branch : value)
        accepted = accepted || naive_object_accepts(branch, fields, prefix);
    } else if (value.is_object()) {
      accepted = naive_object_accepts(value, fields, prefix + key + ".");
    } else {
      accepted = naive_key_accepts(value, fields, prefix + key);
    }
    if (!accepted) return false;
  }
  return true;
}

void naive_flatten(const Json& value, const std::string& path, NaiveFields& fields) {
  if (value.is_array()) {
    for (const Json& element : value)
      naive_flatten(element, path, fields);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      naive_flatten(member, path + "." + key, fields);
  } else {
    fields[path.substr(1)].push_back(value);
  }
}

Json naive_number(const std::string& text) {
  const Json none(Json::value_t::discarded);
  if (text.find_first_not_of("0123456789+-.eE") != std::string::npos || text.empty()) return none;
  const std::string digits = text[0] == '+' ? text.substr(1) : text;
  if (digits.empty() || digits[0] == '+') return none;
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  const bool nought =
      digits.substr(0, digits.find_first_of("eE")).find_first_of("123456789") == std::string::npos;
  if (*end != '\0' || std::isinf(number) || (number == 0 && !nought)) return none;
  return number;
}

}  // namespace

Json naive_json(std::string_view text, bool* twice) {
  // What nlohmann's reader takes and JSON has not.
  if (text.find('\0') != std::string_view::npos || text.substr(0, 1) == "\xEF")
    return Json(Json::value_t::discarded);
  std::vector<std::set<std::string>> names;
  const auto note = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key &&
        !names.back().insert(parsed.get<std::string>()).second && twice != nullptr)
      *twice = true;
    return true;
  };
  return Json::parse(text, note, false);
}

std::optional<NaiveFields> naive_attributes(const std::vector<NaiveAttribute>& attributes) {
  if (attributes.empty()) return std::nullopt;
  NaiveFields fields;
  for (const NaiveAttribute& attribute : attributes) {
    std::vector<Json>& values = fields[attribute.name];
    const std::string type = attribute.type + ".";
    if (type.rfind("Binary.", 0) == 0) continue;
    if (type.rfind("String.Array.", 0) == 0) {
      const Json list = naive_json(attribute.value);
      if (!list.is_array()) continue;
      for (const Json& element : list)
        if (!element.is_array() && !element.is_object()) values.push_back(element);
    } else if (type.rfind("Number.", 0) == 0) {
      values.push_back(naive_number(attribute.value));
    } else {
      values.push_back(attribute.value);
    }
  }
  return fields;
}

std::optional<NaiveFields> naive_body(std::string_view body) {
  const Json object = naive_json(body);
  if (!object.is_object()) return std::nullopt;
  NaiveFields fields;
  naive_flatten(object, "", fields);
  return fields;
}

bool naive_accepts(const Json& policy, const std::optional<NaiveFields>& fields) {
  if (policy.empty()) return true;
  return fields && naive_object_accepts(policy, *fields, "");
}

}  // namespace millrace::engine
