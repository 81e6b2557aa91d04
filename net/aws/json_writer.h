// JsonWriter: answers of the JSON protocol. An answer without an output is no bytes at all.
#pragma once

#include "net/aws/answer_writer.h"

namespace millrace::net {

class JsonWriter final : public AnswerWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

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
  void comma();
  void name(std::string_view text);  // ours, so plain
  std::string& out_;
  bool has_result_ = false;
};

}  // namespace millrace::net
