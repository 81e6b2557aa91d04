#include "net/topics/envelope.h"

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

}  // namespace

std::string text_to_sign(const Notification& notification) {
  std::string text;
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append(name).append("\n").append(value).append("\n");
  };
  add("Message", notification.message);
  add("MessageId", notification.message_id);
  if (notification.subject) add("Subject", *notification.subject);
  add("Timestamp", notification.timestamp);
  add("TopicArn", notification.topic_arn);
  add("Type", "Notification");
  return text;
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
  if (signature != nullptr) {
    members.text("SignatureVersion", signature->version);
    members.text("Signature", signature->base64);
    std::string url(notification.base_url);
    members.text("SigningCertURL", url.append(signature->certificate_path));
  }
  std::string url(notification.base_url);
  url += "/?Action=Unsubscribe&SubscriptionArn=";
  url.append(notification.topic_arn).append(":").append(kUuidTextBytes, '0');
  members.text("UnsubscribeURL", url);
  envelope.uuid_at = out.size() - 1 - kUuidTextBytes;
  write_attributes(notification.properties, members, out);
  members.end();
  return envelope;
}

}  // namespace millrace::net::topics
