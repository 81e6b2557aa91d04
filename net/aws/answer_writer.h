// AnswerWriter: an answer, written by the same calls in JSON or in XML.
//
//   writer.begin("SendMessage", true);
//   writer.plain("MessageId", id);
//   writer.begin_map({"Attributes", "Attribute"});
//   writer.pair({"Attributes", "Attribute"}, "SenderId", sender);
//   writer.end_map();
//   writer.end(request_id);
//
// In XML lists and maps may be flat: their items then lie under the result, each with the list's
// name, and what begins and ends them is nothing.
//
// Threads: shard-local.   Memory: the string it writes to, which its owner reuses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/types.h"
#include "net/aws/error.h"

namespace millrace::net {

// What a member is called in each; of a list in XML, what each item is.
struct MemberName {
  std::string_view json;
  std::string_view xml;
  constexpr MemberName(const char* both) : json(both), xml(both) {}  // NOLINT
  constexpr MemberName(const char* in_json, const char* in_xml) : json(in_json), xml(in_xml) {}
};

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // `has_result`: the action has an output, though it may be empty.
  virtual void begin(std::string_view action, bool has_result) = 0;
  virtual void end(std::string_view request_id) = 0;
  // A whole answer.
  virtual void error(const AwsError& error, std::string_view request_id) = 0;

  virtual void text(MemberName name, std::string_view value) = 0;   // UTF-8
  virtual void plain(MemberName name, std::string_view value) = 0;  // nothing in it needs escaping
  virtual void base64(MemberName name, Bytes value) = 0;
  virtual void number(MemberName name, int64_t value) = 0;
  virtual void flag(MemberName name, bool value) = 0;

  // A list of texts or of structures.
  virtual void begin_list(MemberName name) = 0;
  virtual void item(MemberName name, std::string_view value) = 0;
  virtual void begin_item(MemberName name) = 0;
  virtual void end_item(MemberName name) = 0;
  virtual void end_list() = 0;

  // A map of texts or, with entries, of structures. `xml_key`: what XML calls the key.
  virtual void begin_map(MemberName name) = 0;
  virtual void pair(MemberName name, std::string_view key, std::string_view value,
                    std::string_view xml_key = "Name") = 0;
  virtual void begin_entry(MemberName name, std::string_view key) = 0;
  virtual void end_entry(MemberName name) = 0;
  virtual void end_map() = 0;
};

}  // namespace millrace::net
