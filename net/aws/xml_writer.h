// XmlWriter: answers of the Query protocol, in the service's namespace. A carriage return is
// written as &#xD;, since an XML parser would make a line feed of it.
#pragma once

#include "net/aws/answer_writer.h"

namespace millrace::net {

class XmlWriter final : public AnswerWriter {
 public:
  XmlWriter(std::string& out, std::string_view name_space) : out_(out), name_space_(name_space) {}

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
  std::string_view action_;
  bool has_result_ = false;
};

}  // namespace millrace::net
