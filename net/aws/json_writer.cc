#include "net/aws/json_writer.h"

#include <fmt/format.h>

#include "net/aws/base64.h"
#include "net/aws/json_text.h"

namespace millrace::net {

// A string ends in its quote, so these two only ever begin something.
void JsonWriter::comma() {
  if (out_.back() != '{' && out_.back() != '[') out_ += ',';
}

void JsonWriter::name(std::string_view text) {
  comma();
  out_ += '"';
  out_ += text;
  out_ += "\":";
}

void JsonWriter::begin(std::string_view /*action*/, bool has_result) {
  out_.clear();
  has_result_ = has_result;
  if (has_result) out_ += '{';
}

void JsonWriter::end(std::string_view /*request_id*/) {
  if (has_result_) out_ += '}';
}

void JsonWriter::error(const AwsError& error, std::string_view /*request_id*/) {
  out_ = "{";
  plain("__type", error.kind->type);
  text("message", error.text);
  out_ += '}';
}

void JsonWriter::text(MemberName called, std::string_view value) {
  name(called.json);
  out_ += '"';
  append_json_text(out_, value);
  out_ += '"';
}

void JsonWriter::plain(MemberName called, std::string_view value) {
  name(called.json);
  out_ += '"';
  out_ += value;
  out_ += '"';
}

void JsonWriter::base64(MemberName called, Bytes value) {
  name(called.json);
  out_ += '"';
  append_base64(out_, value);
  out_ += '"';
}

void JsonWriter::number(MemberName called, int64_t value) {
  name(called.json);
  fmt::format_to(std::back_inserter(out_), "{}", value);
}

void JsonWriter::flag(MemberName called, bool value) {
  name(called.json);
  out_ += value ? "true" : "false";
}

void JsonWriter::begin_list(MemberName called) {
  name(called.json);
  out_ += '[';
}

void JsonWriter::item(MemberName /*called*/, std::string_view value) {
  comma();
  out_ += '"';
  append_json_text(out_, value);
  out_ += '"';
}

void JsonWriter::begin_item(MemberName /*called*/) {
  comma();
  out_ += '{';
}

void JsonWriter::end_item(MemberName /*called*/) {
  out_ += '}';
}

void JsonWriter::end_list() {
  out_ += ']';
}

void JsonWriter::begin_map(MemberName called) {
  name(called.json);
  out_ += '{';
}

void JsonWriter::pair(MemberName /*called*/, std::string_view key, std::string_view value,
                      std::string_view /*xml_key*/) {
  comma();
  out_ += '"';
  append_json_text(out_, key);
  out_ += "\":\"";
  append_json_text(out_, value);
  out_ += '"';
}

void JsonWriter::begin_entry(MemberName /*called*/, std::string_view key) {
  comma();
  out_ += '"';
  append_json_text(out_, key);
  out_ += "\":{";
}

void JsonWriter::end_entry(MemberName /*called*/) {
  out_ += '}';
}

void JsonWriter::end_map() {
  out_ += '}';
}

}  // namespace millrace::net
