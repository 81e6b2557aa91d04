#include "net/topics/envelope.h"

#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "millrace/properties.h"
#include "net/aws/base64.h"
#include "net/aws/json_text.h"

namespace millrace::net::topics {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_json_text(out, text);
  out += '"';
}

// Members one after the other, as the service lays them out.
class EnvelopeText {
 public:
  explicit EnvelopeText(std::string& out) : out_(out) { out_ = "{"; }

  void begin(std::string_view name) {
    out_ += first_ ? "\n  \"" : ",\n  \"";
    first_ = false;
    out_ += name;
    out_ += "\" : ";
  }
  void text(std::string_view name, std::string_view value) {
    begin(name);
    append_quoted(out_, value);
  }
  void end() { out_ += "\n}"; }

 private:
  std::string& out_;
  bool first_ = true;
};

void write_attributes(Bytes properties, EnvelopeText& members, std::string& out) {
  PropertyReader reader(properties);
  bool begun = false;
  while (const auto property = reader.next()) {
    if (property->tag != PropertyTag::attribute) continue;
    if (!begun) members.begin("MessageAttributes");
    out += begun ? ",\n    " : "{\n    ";
    begun = true;
    append_quoted(out, property->name);
    out += " : {\"Type\":";
    append_quoted(out, property->type);
    out += ",\"Value\":";
    if (property->type.starts_with("Binary")) {
      out += '"';
      append_base64(out, property->value);
      out += '"';
    } else {
      append_quoted(out, as_text(property->value));
    }
    out += '}';
  }
  if (begun) out += "\n  }";
}

class SignedText {
 public:
  void add(std::string_view name, std::string_view value) {
    text_.append(name).append("\n").append(value).append("\n");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_signature(const NotificationSignature& signature, std::string_view base_url,
                     EnvelopeText& members) {
  members.text("SignatureVersion", signature.version);
  members.text("Signature", signature.base64);
  std::string url(base_url);
  members.text("SigningCertURL", url.append(signature.certificate_path));
}

// The text of a member without escapes, from `from` on.
std::string_view plain_member(std::string_view envelope, std::string_view name, size_t* from) {
  std::string begin("\n  \"");
  begin.append(name).append("\" : \"");
  const size_t at = envelope.find(begin, *from);
  if (at == std::string_view::npos) return {};
  const size_t text = at + begin.size();
  const size_t end = envelope.find('"', text);
  if (end == std::string_view::npos) return {};
  *from = end;
  return envelope.substr(text, end - text);
}

}  // namespace

std::string text_to_sign(const Notification& notification) {
  SignedText text;
  text.add("Message", notification.message);
  text.add("MessageId", notification.message_id);
  if (notification.subject) text.add("Subject", *notification.subject);
  text.add("Timestamp", notification.timestamp);
  text.add("TopicArn", notification.topic_arn);
  text.add("Type", "Notification");
  return text.take();
}

Envelope make_envelope(const Notification& notification, const NotificationSignature* signature) {
  Envelope envelope;
  std::string& out = envelope.text;
  out.reserve(notification.message.size() + notification.properties.size() + 1'024);
  EnvelopeText members(out);
  members.text("Type", "Notification");
  members.text("MessageId", notification.message_id);
  envelope.id_at = out.size() - 1 - notification.message_id.size();
  if (notification.fifo) {
    members.begin("SequenceNumber");
    out += '"';
    envelope.sequence_at = out.size();
    out.append(kSequenceTextBytes, '0').append("\"");
  }
  members.text("TopicArn", notification.topic_arn);
  if (notification.subject) members.text("Subject", *notification.subject);
  members.text("Message", notification.message);
  members.text("Timestamp", notification.timestamp);
  if (signature != nullptr) write_signature(*signature, notification.base_url, members);
  std::string url(notification.base_url);
  url += "/?Action=Unsubscribe&SubscriptionArn=";
  url.append(notification.topic_arn).append(":").append(kUuidTextBytes, '0');
  members.text("UnsubscribeURL", url);
  envelope.uuid_at = out.size() - 1 - kUuidTextBytes;
  write_attributes(notification.properties, members, out);
  members.end();
  return envelope;
}

std::optional<EnvelopeHead> read_envelope_head(std::string_view envelope) {
  size_t from = 0;
  const std::string_view id = plain_member(envelope, "MessageId", &from);
  const std::string_view topic = plain_member(envelope, "TopicArn", &from);
  if (id.empty() || topic.empty()) return std::nullopt;
  return EnvelopeHead{id, topic};
}

std::optional<EnvelopeContent> read_envelope(std::string_view envelope) {
  const auto json = base::parse_bounded_json<nlohmann::json>(envelope);
  const auto text_of = [](const nlohmann::json& object, const char* name) -> const std::string* {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
  };
  const std::string* message = json.is_object() ? text_of(json, "Message") : nullptr;
  if (message == nullptr) return std::nullopt;
  EnvelopeContent content{*message, {}};
  const auto attributes = json.find("MessageAttributes");
  if (attributes == json.end()) return content;
  for (const auto& [name, attribute] : attributes->items()) {
    const std::string* type = attribute.is_object() ? text_of(attribute, "Type") : nullptr;
    const std::string* value = attribute.is_object() ? text_of(attribute, "Value") : nullptr;
    if (type == nullptr || value == nullptr) return std::nullopt;
    std::string bytes = *value;
    if (type->starts_with("Binary")) {
      const auto decoded = decode_base64(bytes.data(), bytes.size());
      if (!decoded) return std::nullopt;
      bytes.resize(decoded->size());
    }
    append_property(content.properties, PropertyTag::attribute, name, *type, as_bytes(bytes));
    ++content.attributes;
  }
  return content;
}

std::string text_to_sign(const Confirmation& confirmation) {
  SignedText text;
  text.add("Message", confirmation.message);
  text.add("MessageId", confirmation.message_id);
  text.add("SubscribeURL", confirmation.subscribe_url);
  text.add("Timestamp", confirmation.timestamp);
  text.add("Token", confirmation.token);
  text.add("TopicArn", confirmation.topic_arn);
  text.add("Type", confirmation.type);
  return text.take();
}

std::string make_confirmation(const Confirmation& confirmation,
                              const NotificationSignature& signature, std::string_view base_url) {
  std::string out;
  EnvelopeText members(out);
  members.text("Type", confirmation.type);
  members.text("MessageId", confirmation.message_id);
  members.text("Token", confirmation.token);
  members.text("TopicArn", confirmation.topic_arn);
  members.text("Message", confirmation.message);
  members.text("SubscribeURL", confirmation.subscribe_url);
  members.text("Timestamp", confirmation.timestamp);
  write_signature(signature, base_url, members);
  members.end();
  return out;
}

}  // namespace millrace::net::topics
