#include "net/aws/xml_writer.h"

#include <fmt/format.h>

#include "net/aws/base64.h"
#include "net/aws/plain_run.h"

namespace millrace::net {

// Of U+FFFE and U+FFFF, which no XML can hold either, and of few characters besides.
constexpr char kNonCharacterBegin = '\xEF';

constexpr std::string_view kMember = "member";
constexpr std::string_view kEntry = "entry";

void XmlWriter::open(std::string_view name) {
  out_ += '<';
  out_ += name;
  out_ += '>';
}

void XmlWriter::close(std::string_view name) {
  out_ += "</";
  out_ += name;
  out_ += '>';
}

void XmlWriter::escaped(std::string_view value) {
  for (;;) {
    const size_t plain = plain_run<'&', '<', '>', '"', kNonCharacterBegin>(value);
    out_.append(value.substr(0, plain));
    if (plain == value.size()) return;
    const char c = value[plain];
    value.remove_prefix(plain + 1);
    switch (c) {
      case kNonCharacterBegin:
        if (value.starts_with("\xBF\xBE") || value.starts_with("\xBF\xBF")) {
          value.remove_prefix(2);
          out_ += '?';
        } else {
          out_ += c;
        }
        break;
      case '&':
        out_ += "&amp;";
        break;
      case '<':
        out_ += "&lt;";
        break;
      case '>':
        out_ += "&gt;";
        break;
      case '"':
        out_ += "&quot;";
        break;
      case '\r':
        out_ += "&#xD;";
        break;
      case '\n':
      case '\t':
        out_ += c;
        break;
      default:
        out_ += '?';  // no XML can hold it; only an error's text may have it
    }
  }
}

void XmlWriter::element(std::string_view name, std::string_view value) {
  open(name);
  escaped(value);
  close(name);
}

void XmlWriter::begin(std::string_view action, bool has_result) {
  action_ = action;
  has_result_ = has_result;
  out_ = "<?xml version=\"1.0\"?>\n<";
  out_ += action;
  out_ += "Response xmlns=\"";
  out_ += name_space_;
  out_ += "\">";
  if (!has_result) return;
  out_ += '<';
  out_ += action;
  out_ += "Result>";
}

void XmlWriter::end(std::string_view request_id) {
  if (has_result_) {
    out_ += "</";
    out_ += action_;
    out_ += "Result>";
  }
  out_ += "<ResponseMetadata><RequestId>";
  out_ += request_id;
  out_ += "</RequestId></ResponseMetadata></";
  out_ += action_;
  out_ += "Response>";
}

void XmlWriter::error(const AwsError& error, std::string_view request_id) {
  out_ = "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"";
  out_ += name_space_;
  out_ += "\"><Error>";
  plain("Type", error.kind->senders() ? "Sender" : "Receiver");
  plain("Code", error.kind->code);
  text("Message", error.text);
  out_ += nested_ ? "</Error>" : "<Detail/></Error>";
  plain("RequestId", request_id);
  out_ += "</ErrorResponse>";
}

void XmlWriter::text(MemberName name, std::string_view value) {
  element(name.xml, value);
}

void XmlWriter::plain(MemberName name, std::string_view value) {
  open(name.xml);
  out_ += value;
  close(name.xml);
}

void XmlWriter::base64(MemberName name, Bytes value) {
  open(name.xml);
  append_base64(out_, value);
  close(name.xml);
}

void XmlWriter::number(MemberName name, int64_t value) {
  open(name.xml);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  close(name.xml);
}

void XmlWriter::flag(MemberName name, bool value) {
  plain(name, value ? "true" : "false");
}

void XmlWriter::begin_list(MemberName name) {
  if (!nested_) return;
  list_ = name.xml;
  open(list_);
}

void XmlWriter::item(MemberName name, std::string_view value) {
  element(nested_ ? kMember : name.xml, value);
}

void XmlWriter::begin_item(MemberName name) {
  open(nested_ ? kMember : name.xml);
}

void XmlWriter::end_item(MemberName name) {
  close(nested_ ? kMember : name.xml);
}

void XmlWriter::end_list() {
  if (nested_) close(list_);
}

void XmlWriter::begin_map(MemberName name) {
  begin_list(name);
}

void XmlWriter::pair(MemberName name, std::string_view key, std::string_view value,
                     std::string_view xml_key) {
  open(nested_ ? kEntry : name.xml);
  element(nested_ ? "key" : xml_key, key);
  element(nested_ ? "value" : "Value", value);
  close(nested_ ? kEntry : name.xml);
}

void XmlWriter::begin_entry(MemberName name, std::string_view key) {
  open(nested_ ? kEntry : name.xml);
  element(nested_ ? "key" : "Name", key);
  open(nested_ ? "value" : "Value");
}

void XmlWriter::end_entry(MemberName name) {
  close(nested_ ? "value" : "Value");
  close(nested_ ? kEntry : name.xml);
}

void XmlWriter::end_map() {
  end_list();
}

}  // namespace millrace::net
