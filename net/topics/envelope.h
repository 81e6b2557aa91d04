// The envelope: the JSON text in which a subscriber gets a message that is not delivered raw, and
// the text of it that is signed.
//
// It is the same for all subscriptions of a kind but for one's own UUID, for which room is left; on
// a FIFO topic room is left for the sequence number, too, which is known last.
//
// Threads: any; no state.
// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/publish.h"
#include "millrace/types.h"

namespace millrace::net::topics {

// Views of what its maker holds.
struct Notification {
  std::string_view message_id;
  std::string_view topic_arn;
  std::optional<std::string_view> subject{};
  std::string_view message;    // for this protocol
  std::string_view timestamp;  // "2025-01-02T03:04:05.678Z"
  std::string_view base_url;   // "http://127.0.0.1:9324"
  Bytes properties{};          // whose attributes it shows (millrace/properties.h)
  bool fifo = false;           // then it has a sequence number and no signature
};

struct NotificationSignature {
  std::string_view version;  // "1" or "2"
  std::string_view base64;
  std::string_view certificate_path;  // "/SimpleNotificationService-....pem"
};

// What is signed of it.
std::string text_to_sign(const Notification& notification);

struct Envelope {
  std::string text;
  size_t uuid_at = 0;      // kUuidTextBytes of '0'
  size_t sequence_at = 0;  // kSequenceTextBytes of '0'; 0: there is none
  size_t id_at = 0;        // the message's id
};
// `signature`: null on a FIFO topic.
Envelope make_envelope(const Notification& notification, const NotificationSignature* signature);

// What of an envelope stands before all that its publisher wrote; views of it. Nothing: it is none.
struct EnvelopeHead {
  std::string_view message_id;
  std::string_view topic_arn;
};
std::optional<EnvelopeHead> read_envelope_head(std::string_view envelope);

// What was published, of an envelope: for who gets it raw. Nothing: it is none.
struct EnvelopeContent {
  std::string message;
  std::string properties;  // its attributes
  size_t attributes = 0;
};
std::optional<EnvelopeContent> read_envelope(std::string_view envelope);

// --- letters about a subscription ---

// Views, as of a Notification.
struct Confirmation {
  std::string_view type;  // "SubscriptionConfirmation" or "UnsubscribeConfirmation"
  std::string_view message_id;
  std::string_view token;
  std::string_view topic_arn;
  std::string_view message;
  std::string_view subscribe_url;
  std::string_view timestamp;
};
std::string text_to_sign(const Confirmation& confirmation);
std::string make_confirmation(const Confirmation& confirmation,
                              const NotificationSignature& signature, std::string_view base_url);

}  // namespace millrace::net::topics
