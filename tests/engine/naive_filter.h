// Filter policies read and applied the plain way, from the description of them and not from the
// engine: nothing is compiled, shared or looked up, and what a valid policy is, it does not judge.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace millrace::engine {

struct NaiveAttribute {
  std::string name;
  std::string type;
  std::string value;
};

// What is under each key; a key may be there without a value.
using NaiveFields = std::map<std::string, std::vector<nlohmann::json>>;

// Nothing if no policy with a key can accept it.
std::optional<NaiveFields> naive_attributes(const std::vector<NaiveAttribute>& attributes);
std::optional<NaiveFields> naive_body(std::string_view body);

bool naive_accepts(const nlohmann::json& policy, const std::optional<NaiveFields>& fields);

// Discarded if it is no JSON. `twice` is set if a name comes twice in an object.
nlohmann::json naive_json(std::string_view text, bool* twice = nullptr);

}  // namespace millrace::engine
