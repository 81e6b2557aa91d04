// XmlWriter: answers of the Query protocol, in the service's namespace. A carriage return is
// written as &#xD;, since an XML parser would make a line feed of it.
//
// Where lists are nested, an element with the list's name holds what is in it: each item of a list
// is a <member>, each of a map an <entry> of <key> and <value>.
#pragma once

#include "net/aws/answer_writer.h"

namespace millrace::net {

enum class XmlLists : uint8_t { flat, nested };

class XmlWriter final : public AnswerWriter {
 public:
  XmlWriter(std::string& out, std::string_view name_space, XmlLists lists = XmlLists::flat)
      : out_(out), name_space_(name_space), nested_(lists == XmlLists::nested) {}

  void begin(std::string_view action, bool has_result) override;
  void end(std::string_view request_id) override;
  void error(const AwsError& error, std::string_view request_id) override;
  void text(MemberName name, std::string_view value) override;
  void plain(MemberName name, std::string_view value) override;
  void base64(MemberName name, Bytes value) override;
  void number(MemberName name, int64_t value) override;
  void flag(MemberName name, bool value) override;
  void begin_list(MemberName name) override;
  void item(MemberName name, std::string_view value) override;
  void begin_item(MemberName name) override;
  void end_item(MemberName name) override;
  void end_list() override;
  void begin_map(MemberName name) override;
  void pair(MemberName name, std::string_view key, std::string_view value,
            std::string_view xml_key) override;
  void begin_entry(MemberName name, std::string_view key) override;
  void end_entry(MemberName name) override;
  void end_map() override;

 private:
  void open(std::string_view element);
  void close(std::string_view element);
  void escaped(std::string_view value);
  void element(std::string_view name, std::string_view value);

  std::string& out_;
  std::string_view name_space_;
  const bool nested_;
  std::string_view list_;  // the one begun, if they are nested; none is in another
  std::string_view action_;
  bool has_result_ = false;
};

}  // namespace millrace::net
