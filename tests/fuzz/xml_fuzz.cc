// Fuzzes the writer of XML answers: what it wrote, an XML parser (pugixml) reads as what was said.
//
// The input is a list of calls: a byte says which, then a byte of length and a text. Texts are made
// UTF-8 first, as fronts see to. Checked: it parses, and has the elements said, in order, with the
// texts said - but for the few characters that no XML can hold, which are '?'.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pugixml.hpp>

#include "base/assert.h"
#include "net/aws/base64.h"
#include "net/aws/xml_writer.h"

namespace {

using namespace millrace;
using namespace millrace::net;

using Elements =
    std::vector<std::pair<std::string, std::string>>;  // name, text of those that have it

// What is UTF-8 of it; other bytes are left out.
std::string as_utf8(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size();) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    const size_t length = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : 0;
    bool good = length > 0 && i + length <= bytes.size();
    for (size_t n = 1; good && n < length; ++n)
      good = (static_cast<unsigned char>(bytes[i + n]) & 0xC0) == 0x80;
    if (good && length == 3) {
      const auto second = static_cast<unsigned char>(bytes[i + 1]);
      good = !(c == 0xE0 && second < 0xA0) && !(c == 0xED && second >= 0xA0);  // surrogates
    }
    if (good) text += bytes.substr(i, length);
    i += good ? length : 1;
  }
  return text;
}

// As a reader of XML can have it.
std::string as_read(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view three = text.substr(i, 3);
    if (three == "\xEF\xBF\xBE" || three == "\xEF\xBF\xBF") {
      out += '?';
      i += 2;
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

class Reader {
 public:
  explicit Reader(const uint8_t* data, size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}
  bool done() const { return rest_.empty(); }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::string text() {
    const size_t asked = byte();
    const size_t length = std::min(asked, rest_.size());
    const std::string_view bytes = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return as_utf8(bytes);
  }

 private:
  std::string_view rest_;
};

void say(Reader& in, XmlWriter& writer, Elements& said) {
  const std::string text = in.text();
  switch (in.byte() % 8) {
    case 0:
      writer.text("Text", text);
      said.emplace_back("Text", as_read(text));
      break;
    case 1:
      writer.base64("Base64", as_bytes(std::string_view(text)));
      said.emplace_back("Base64", [&] {
        std::string out;
        append_base64(out, as_bytes(std::string_view(text)));
        return out;
      }());
      break;
    case 2:
      writer.number("Number", static_cast<int64_t>(text.size()) - 100);
      said.emplace_back("Number", std::to_string(static_cast<int64_t>(text.size()) - 100));
      break;
    case 3:
      writer.flag("Flag", text.size() % 2 == 0);
      said.emplace_back("Flag", text.size() % 2 == 0 ? "true" : "false");
      break;
    case 4:
      writer.begin_list({"Urls", "Url"});
      writer.item({"Urls", "Url"}, text);
      writer.item({"Urls", "Url"}, "");
      writer.end_list();
      said.emplace_back("Url", as_read(text));
      said.emplace_back("Url", "");
      break;
    case 5:
      writer.begin_map({"Attributes", "Attribute"});
      writer.pair({"Attributes", "Attribute"}, "key", text, "Name");
      writer.pair({"Attributes", "Attribute"}, text, "value", "Key");
      writer.end_map();
      said.emplace_back("Name", "key");
      said.emplace_back("Value", as_read(text));
      said.emplace_back("Key", as_read(text));
      said.emplace_back("Value", "value");
      break;
    case 6:
      writer.begin_list({"Messages", "Message"});
      writer.begin_item({"Messages", "Message"});
      writer.text("Body", text);
      writer.end_item({"Messages", "Message"});
      writer.end_list();
      said.emplace_back("Body", as_read(text));
      break;
    default:
      writer.begin_map({"MessageAttributes", "MessageAttribute"});
      writer.begin_entry({"MessageAttributes", "MessageAttribute"}, text);
      writer.text("StringValue", text);
      writer.end_entry({"MessageAttributes", "MessageAttribute"});
      writer.end_map();
      said.emplace_back("Name", as_read(text));
      said.emplace_back("StringValue", as_read(text));
      break;
  }
}

// Those without children of their own.
void collect(const pugi::xml_node& node, Elements& heard) {
  bool leaf = true;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() != pugi::node_element) continue;
    leaf = false;
    collect(child, heard);
  }
  if (leaf) heard.emplace_back(node.name(), node.text().get());
}

void compare(const std::string& xml, const Elements& said) {
  pugi::xml_document document;
  const auto read =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata);
  MR_ASSERT(read.status == pugi::status_ok);
  Elements heard;
  collect(document.document_element(), heard);
  MR_ASSERT(heard == said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in(data, size);
  std::string out;
  XmlWriter writer(out, "http://queue.amazonaws.com/doc/2012-11-05/");
  const std::string text = in.text();
  const AwsError error{errors::kInternalFailure, text};
  writer.error(error, "id");
  compare(out, {{"Type", errors::kInternalFailure.senders() ? "Sender" : "Receiver"},
                {"Code", std::string(errors::kInternalFailure.code)},
                {"Message", as_read(text)},
                {"Detail", ""},
                {"RequestId", "id"}});

  Elements said;
  writer.begin("DoIt", true);
  while (!in.done())
    say(in, writer, said);
  writer.end("id");
  if (said.empty()) said.emplace_back("DoItResult", "");
  said.emplace_back("RequestId", "id");
  compare(out, said);
  return 0;
}
