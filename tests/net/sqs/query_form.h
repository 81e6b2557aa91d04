// The Query protocol for tests: a JSON input spelled as a form, an XML answer read as JSON. Written
// from SQS's description of the protocol, apart from the tables it tests.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

namespace millrace::net::sqs {

inline std::string percent_encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

namespace detail {

using Tree = nlohmann::ordered_json;

inline std::string list_name(std::string_view action, std::string_view member) {
  static const std::map<std::string_view, std::string_view> kNames{
      {"Attributes", "Attribute"},
      {"AttributeNames", "AttributeName"},
      {"MessageSystemAttributeNames", "AttributeName"},
      {"MessageAttributeNames", "MessageAttributeName"},
      {"MessageAttributes", "MessageAttribute"},
      {"MessageSystemAttributes", "MessageSystemAttribute"},
      {"tags", "Tag"},
      {"Tags", "Tag"},
      {"TagKeys", "TagKey"},
      {"AWSAccountIds", "AWSAccountId"},
      {"Actions", "ActionName"},
      {"StringListValues", "StringListValue"},
      {"BinaryListValues", "BinaryListValue"},
  };
  if (member == "Entries") return std::string(action) + "RequestEntry";
  const auto found = kNames.find(member);
  return std::string(found == kNames.end() ? member : found->second);
}

inline void spell(std::string& form, std::string_view action, const std::string& prefix,
                  const Tree& value) {
  const auto put = [&](const std::string& key, std::string_view text) {
    form += "&" + percent_encoded(key) + "=" + percent_encoded(text);
  };
  if (value.is_string()) return put(prefix, value.get<std::string>());
  if (!value.is_object()) return put(prefix, value.dump());
  for (const auto& [name, member] : value.items()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    if (!member.is_array() && !member.is_object()) {
      spell(form, action, key, member);
      continue;
    }
    const std::string flat = (prefix.empty() ? "" : prefix + ".") + list_name(action, name);
    const std::string key_name = name == "tags" || name == "Tags" ? ".Key" : ".Name";
    int number = 0;
    for (const auto& [item_name, item] : member.items()) {
      const std::string at = flat + "." + std::to_string(++number);
      if (member.is_array()) {
        spell(form, action, at, item);
      } else {
        put(at + key_name, item_name);
        spell(form, action, at + ".Value", item);
      }
    }
  }
}

// Children of an element as members of an object.
inline Tree read_members(const pugi::xml_node& element) {
  static const std::map<std::string, std::string> kLists{
      {"Message", "Messages"},
      {"SendMessageBatchResultEntry", "Successful"},
      {"DeleteMessageBatchResultEntry", "Successful"},
      {"ChangeMessageVisibilityBatchResultEntry", "Successful"},
      {"BatchResultErrorEntry", "Failed"},
      {"ListMessageMoveTasksResultEntry", "Results"},
  };
  static const std::map<std::string, std::string> kMaps{
      {"Attribute", "Attributes"}, {"MessageAttribute", "MessageAttributes"}, {"Tag", "Tags"}};
  static const std::set<std::string> kNumbers{"ApproximateNumberOfMessagesMoved",
                                              "ApproximateNumberOfMessagesToMove",
                                              "MaxNumberOfMessagesPerSecond", "StartedTimestamp"};
  Tree tree = Tree::object();
  const std::string parent = element.name();
  for (const pugi::xml_node& child : element.children()) {
    const std::string name = child.name();
    const std::string text = child.child_value();
    if (const auto list = kLists.find(name);
        list != kLists.end() && child.parent() == element && parent.ends_with("Result")) {
      tree[list->second].push_back(read_members(child));
    } else if (const auto map = kMaps.find(name); map != kMaps.end()) {
      const pugi::xml_node value = child.child("Value");
      const std::string key = child.child("Name") ? child.child("Name").child_value()
                                                  : child.child("Key").child_value();
      if (name == "MessageAttribute")
        tree[map->second][key] = read_members(value);
      else
        tree[map->second][key] = value.child_value();
    } else if (name == "QueueUrl" && parent == "ListQueuesResult") {
      tree["QueueUrls"].push_back(text);
    } else if (name == "QueueUrl" && parent == "ListDeadLetterSourceQueuesResult") {
      tree["queueUrls"].push_back(text);
    } else if (kNumbers.contains(name)) {
      tree[name] = std::stoll(text);
    } else if (name == "SenderFault") {
      tree[name] = text == "true";
    } else {
      tree[name] = text;
    }
  }
  return tree;
}

}  // namespace detail

inline std::string form_of(std::string_view action, const nlohmann::ordered_json& input) {
  std::string form = "Version=2012-11-05&Action=" + percent_encoded(action);
  detail::spell(form, action, "", input);
  return form;
}

struct XmlAnswer {
  std::string code, message, request_id;
  nlohmann::ordered_json result;  // null: it has no output
};
inline XmlAnswer read_xml(const std::string& text) {
  XmlAnswer answer;
  pugi::xml_document document;
  const auto parsed = document.load_buffer(
      text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata, pugi::encoding_utf8);
  EXPECT_TRUE(parsed) << text;
  const pugi::xml_node root = document.document_element();
  EXPECT_STREQ(root.attribute("xmlns").value(), "http://queue.amazonaws.com/doc/2012-11-05/");
  const std::string name = root.name();
  if (name == "ErrorResponse") {
    const pugi::xml_node error = root.child("Error");
    answer.code = error.child_value("Code");
    answer.message = error.child_value("Message");
    answer.request_id = root.child_value("RequestId");
    EXPECT_FALSE(error.child("Detail").empty());
    return answer;
  }
  EXPECT_TRUE(name.ends_with("Response")) << text;
  const std::string result = name.substr(0, name.size() - 8) + "Result";
  answer.request_id = root.child("ResponseMetadata").child_value("RequestId");
  if (root.child(result.c_str())) answer.result = detail::read_members(root.child(result.c_str()));
  return answer;
}

}  // namespace millrace::net::sqs
