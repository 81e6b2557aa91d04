#include "tests/engine/filter_cases.h"

#include <iterator>

namespace millrace::engine {
namespace {

using Json = nlohmann::json;

constexpr const char* kKeys[] = {"a", "b", "c", "d", "a.b", "b.a", "$or"};
constexpr const char* kTexts[] = {"",           "x",        "xy",       "Xy",   "xyx",
                                  "y",          "10.0.0.5", "10.1.2.3", "::1",  "5",
                                  "2001:db8::", "x*y",      "xyxyx",    "true", "x\\y"};
constexpr double kNumbers[] = {0, 1, 1.5, -2, 300, 5, 0.00001, -1e9, 1e9};
constexpr const char* kNumberTexts[] = {"0",  "1",      "1.50", "-2", "3e2",   "300.0",
                                        "5",  "+5",     "none", "-",  "1e400", "0.00001",
                                        "-0", "1e-400", "inf",  "0x5"};
constexpr const char* kNetworks[] = {"10.0.0.0/8", "10.1.0.0/16", "10.0.0.5/32",  "0.0.0.0/0",
                                     "::/0",       "::1/127",     "2001:db8::/32"};
constexpr const char* kPatterns[] = {"x*",    "*y",    "x*y", "*y*",    "*",     "xy",
                                     "x*y*x", "x\\*y", "",    "x\\\\*", "*x*y*x"};
constexpr const char* kAffixes[] = {"", "x", "xy", "yx", "10.", "3", "5", "X", "xyxyxy"};

}  // namespace

std::string FilterCases::key() {
  return kKeys[chance(3) ? std::size(kKeys) - 1 : below(std::size(kKeys) - 1)];
}
Json FilterCases::text() {
  return one_of(kTexts);
}
Json FilterCases::number() {
  const double number = one_of(kNumbers);
  if (number == static_cast<double>(static_cast<int64_t>(number)) && chance(70))
    return static_cast<int64_t>(number);
  return number;
}
Json FilterCases::scalar() {
  switch (below(6)) {
    case 0:
      return chance(50);
    case 1:
      return nullptr;
    case 2:
    case 3:
      return number();
    default:
      return text();
  }
}

Json FilterCases::text_operator() {
  switch (below(4)) {
    case 0:
      return {{"prefix", one_of(kAffixes)}};
    case 1:
      return {{"suffix", one_of(kAffixes)}};
    case 2:
      return {{"equals-ignore-case", text()}};
    default:
      return {{"wildcard", one_of(kPatterns)}};
  }
}

Json FilterCases::range() {
  constexpr const char* kLower[] = {">", ">="};
  constexpr const char* kUpper[] = {"<", "<="};
  switch (below(4)) {
    case 0:
      return {"=", number()};
    case 1:
      return {one_of(kLower), number()};
    case 2:
      return {one_of(kUpper), number()};
    default:
      return {one_of(kLower), number(), one_of(kUpper), number()};
  }
}

Json FilterCases::condition() {
  switch (below(12)) {
    case 0:
      return {{"exists", chance(50)}};
    case 1:
      return {{"numeric", range()}};
    case 2:
      return {{"cidr", one_of(kNetworks)}};
    case 3:
    case 4:
      return text_operator();
    case 5:
      return {{"anything-but", chance(50) ? text() : number()}};
    case 6: {
      Json list = Json::array();
      for (size_t i = 1 + below(5); i > 0; --i)
        list.push_back(chance(60) ? text() : number());
      return {{"anything-but", list}};
    }
    case 7:
      return {{"anything-but", text_operator()}};
    default:
      return scalar();
  }
}

Json FilterCases::object_of_policy(bool nested, size_t levels) {
  Json object = Json::object();
  for (size_t i = 1 + below(levels > 1 ? 3 : 2); i > 0; --i) {
    if (levels > 0 && chance(15)) {
      Json branches = Json::array();
      for (size_t branch = 2 + below(2); branch > 0; --branch)
        branches.push_back(object_of_policy(nested, levels - 1));
      object["$or"] = branches;
    } else if (nested && levels > 0 && chance(25)) {
      object[key()] = object_of_policy(nested, levels - 1);
    } else {
      Json conditions = Json::array();
      for (size_t condition_left = 1 + below(3); condition_left > 0; --condition_left)
        conditions.push_back(condition());
      object[key()] = conditions;
    }
  }
  return object;
}

Json FilterCases::policy(bool nested) {
  return chance(1) ? Json::object() : object_of_policy(nested, 2);
}

std::vector<NaiveAttribute> FilterCases::attributes() {
  std::vector<NaiveAttribute> attributes;
  for (const char* name : kKeys) {
    if (!chance(50)) continue;
    switch (below(8)) {
      case 0:
        attributes.push_back({name, "Binary", one_of(kTexts)});
        break;
      case 1:
      case 2:
        attributes.push_back({name, chance(80) ? "Number" : "Number.int", one_of(kNumberTexts)});
        break;
      case 3: {
        Json list = Json::array();
        for (size_t i = below(4); i > 0; --i)
          list.push_back(chance(90) ? scalar() : Json::array({text()}));
        attributes.push_back({name, "String.Array", chance(95) ? list.dump() : "[1"});
        break;
      }
      default:
        attributes.push_back({name, chance(80) ? "String" : "String.x", one_of(kTexts)});
    }
  }
  return attributes;
}

Json FilterCases::value(size_t levels) {
  if (levels > 0 && chance(30)) {
    Json object = Json::object();
    for (size_t i = below(4); i > 0; --i)
      object[key()] = value(levels - 1);
    return object;
  }
  if (levels > 0 && chance(25)) {
    Json list = Json::array();
    for (size_t i = chance(10) ? below(40) : below(4); i > 0; --i)
      list.push_back(value(levels - 1));
    return list;
  }
  return scalar();
}

std::string FilterCases::body() {
  if (chance(2)) return chance(50) ? "no JSON" : value(2).dump();
  Json body = Json::object();
  for (size_t i = below(6); i > 0; --i)
    body[key()] = value(3);
  return body.dump();
}

}  // namespace millrace::engine
