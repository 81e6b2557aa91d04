#include "net/topics/publisher.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/log_line.h"
#include "base/uuid.h"
#include "engine/outbox.h"
#include "millrace/message.h"
#include "millrace/message_id.h"
#include "millrace/named_text.h"
#include "millrace/properties.h"
#include "net/aws/sha256.h"

namespace millrace::net::topics {

using engine::is_outside;
using engine::kOutsideProtocols;

namespace {

constexpr std::string_view kQueueProtocol = "sqs";
// Its token: which publish, and which of the requests that its messages take.
constexpr uint64_t kRequestsPerPublish = 16;
static_assert(kPublishedTogetherMax <= kRequestsPerPublish * OrderedFanOut::kTogetherMax);

}  // namespace

Publisher::Publisher(PublisherParts parts)
    : port_(parts.port),
      figures_(parts.figures),
      ids_(parts.seed),
      desk_(parts.signer, std::move(parts.wake)),
      audience_(parts.port.topics()),
      fan_out_(parts.port, parts.may_deliver),
      ordered_fan_out_(parts.port, parts.may_deliver) {}

Publisher::~Publisher() {
  port_.cancel_all(this);
}

void Publisher::publish(PublishPlace place, std::span<const Publication> messages,
                        PublishSink* sink, uint64_t token) {
  const TopicInfo* topic = port_.topics().find(place.topic);
  if (topic == nullptr) return sink->on_published(token, {.error = Errc::topic_not_found});
  size_t bytes = 0;
  for (const Publication& one : messages)
    bytes += publication_bytes(one);
  if (publishes_.size() >= kPublishesMax || bytes_ + bytes > kBytesMax)
    return sink->on_published(token, {.error = Errc::throttled});
  const uint64_t number = ++next_;
  Publish& publish = *(publishes_[number] = std::make_unique<Publish>());
  publish.sink = sink;
  publish.token = token;
  publish.bytes = bytes;
  bytes_ += bytes;
  publish.place = std::move(place);
  if (figures_ != nullptr) publish.counts = figures_->topics.of(topic->id, port_.topics());
  publish.timestamp = base::utc_text(port_.now().value);
  publish.signature_version = value_of(topic->attributes.texts, "SignatureVersion");
  if (publish.signature_version.empty()) publish.signature_version = "1";
  publish.ordered = topic->attributes.fifo;
  publish.by_group = value_of(topic->attributes.texts, "FifoThroughputScope") == "MessageGroup";
  for (const Publication& one : messages)
    add_message(one, publish);
  choose_targets(publish);
  bool signs = false;
  // Nothing of a FIFO topic is signed.
  if (!publish.ordered) for_enveloped(publish, [&](const PublishedMessage&) { signs = true; });
  if (signs)
    sign(number, publish);
  else
    send_all(number, publish);
}

void Publisher::count(const Publish& publish, std::atomic<uint64_t> PublishCounts::*what,
                      uint64_t more) {
  if (figures_ != nullptr) figures_->count(*publish.counts, what, more);
}

void Publisher::add_message(const Publication& publication, Publish& publish) {
  PublishedMessage message;
  message.id = ids_.next().text();
  const ProtocolTexts texts(publication);
  message.text = texts.of(kQueueProtocol);
  if (publication.subject) message.subject = *publication.subject;
  if (publish.ordered)
    add_order(publication, publish.by_group, message);
  else
    message.properties = publication_properties(publication, &message.ids_end);
  message.attributes = publication.attributes.size();
  message.attribute_bytes = publication_bytes(publication) - publication.message->size();
  for (size_t i = 0; !publish.ordered && i < kOutsideProtocols.size(); ++i) {
    const std::string_view protocol = kOutsideProtocols[i];
    if (texts.of(protocol) == message.text) continue;
    auto apart = std::find_if(publish.apart.begin(), publish.apart.end(),
                              [&](const Apart& one) { return one.protocol == protocol; });
    if (apart == publish.apart.end())
      apart = publish.apart.insert(apart, Apart{.protocol = protocol});
    apart->messages.push_back(message);
    apart->messages.back().text = texts.of(protocol);
    message.apart |= static_cast<uint8_t>(1u << i);
  }
  publish.messages.push_back(std::move(message));
}

// Its id by content, if it has no other; and what FIFO and standard queues get.
void Publisher::add_order(const Publication& publication, bool by_group,
                          PublishedMessage& message) {
  Publication whole = publication;
  std::array<char, 64> hash{};
  if (!whole.deduplication_id) {
    hash = hex_of(Sha256().of(*publication.message));
    whole.deduplication_id = view_of(hash);
  }
  message.properties = publication_properties(whole, &message.ids_end);
  message.deduplication_key = *whole.deduplication_id;
  if (by_group) message.deduplication_key.append("\n").append(*whole.group);
  whole.group.reset();
  whole.deduplication_id.reset();
  message.standard_properties = publication_properties(whole, &message.standard_ids_end);
  // The topic's home gives it another.
  message.id.assign(kUuidTextBytes, '0');
}

template <class Wanted>
size_t Publisher::choose(Audience::Of& audience, std::vector<PublishedMessage>& messages,
                         size_t index, std::vector<PublishTarget>& targets,
                         std::map<SubscriptionId, size_t>& places, Wanted&& wanted) {
  PublishedMessage& message = messages[index];
  audience.find({as_bytes(message.properties), message.text}, &found_);
  for (const SubscriptionInfo* one : found_) {
    if (!wanted(*one)) continue;
    const bool outside = is_outside(one->protocol);
    const auto [place, fresh] = places.emplace(one->id, targets.size());
    if (fresh)
      targets.push_back({.subscription = one->id,
                         .queue = one->queue,
                         .outbox = outside ? outbox_id(one->id) : QueueId{},
                         .dead_letter_queue = one->attributes.dead_letter_queue,
                         .uuid = one->uuid,
                         .raw = one->attributes.raw && !outside});
    targets[place->second].messages |= uint64_t{1} << index;
    message.enveloped |= outside || (!one->queue.empty() && !one->attributes.raw);
  }
  return audience.size() - found_.size();
}

void Publisher::choose_targets(Publish& publish) {
  Audience::Of audience = audience_.of(publish.place.topic);
  std::map<SubscriptionId, size_t> places;  // in publish.targets
  for (size_t i = 0; i < publish.messages.size(); ++i) {
    const uint8_t apart = publish.messages[i].apart;
    const auto wanted = [apart](const SubscriptionInfo& one) {
      for (size_t p = 0; apart != 0 && p < kOutsideProtocols.size(); ++p)
        if ((apart >> p & 1) != 0 && one.protocol == kOutsideProtocols[p]) return false;
      return true;
    };
    count(publish, &PublishCounts::filtered,
          choose(audience, publish.messages, i, publish.targets, places, wanted));
  }
  for (Apart& apart : publish.apart) {
    places.clear();
    for (size_t i = 0; i < apart.messages.size(); ++i)
      choose(audience, apart.messages, i, apart.targets, places,
             [&](const SubscriptionInfo& one) { return one.protocol == apart.protocol; });
  }
}

template <class F>
void Publisher::for_enveloped(Publish& publish, F&& f) {
  const auto each = [&](std::vector<PublishedMessage>& messages) {
    for (PublishedMessage& message : messages)
      if (message.enveloped) f(message);
  };
  each(publish.messages);
  for (Apart& apart : publish.apart)
    each(apart.messages);
}

Notification Publisher::notification_of(const Publish& publish,
                                        const PublishedMessage& message) const {
  Notification notification;
  notification.message_id = message.id;
  notification.topic_arn = publish.place.topic_arn;
  if (message.subject) notification.subject = *message.subject;
  notification.message = message.text;
  notification.timestamp = publish.timestamp;
  notification.base_url = publish.place.base_url;
  notification.properties = as_bytes(message.properties).subspan(message.ids_end);
  notification.fifo = publish.ordered;
  return notification;
}

void Publisher::sign(uint64_t number, Publish& publish) {
  std::vector<std::string> texts;
  for_enveloped(publish, [&](const PublishedMessage& message) {
    texts.push_back(text_to_sign(notification_of(publish, message)));
  });
  const bool taken =
      desk_.sign(std::move(texts), publish.signature_version,
                 [this, number](std::span<const std::string> signatures, const SigningKey& key) {
                   take_signatures(number, signatures, key);
                 });
  if (taken) return;
  publish.error = Errc::throttled;
  finish(number, publish);
}

void Publisher::take_signatures(uint64_t number, std::span<const std::string> signatures,
                                const SigningKey& key) {
  Publish& publish = *publishes_.at(number);
  size_t next = 0;
  for_enveloped(publish, [&](PublishedMessage& message) {
    const NotificationSignature signature{publish.signature_version, signatures[next++],
                                          key.path()};
    Envelope envelope = make_envelope(notification_of(publish, message), &signature);
    message.envelope = std::move(envelope.text);
    message.uuid_at = envelope.uuid_at;
  });
  send_all(number, publish);
}

// --- copies ---

void Publisher::send_all(uint64_t number, Publish& publish) {
  // An answer that comes at once must not end it.
  publish.requests = kBeingMade;
  const auto fan_out = [&](std::span<const PublishedMessage> messages,
                           std::span<const PublishTarget> targets) {
    return fan_out_.send(publish.place.topic, publish.place.topic_arn, messages, targets,
                         {this, number * kRequestsPerPublish});
  };
  FanOut::Copies copies =
      publish.ordered ? send_ordered(number, publish) : fan_out(publish.messages, publish.targets);
  for (const Apart& apart : publish.apart)
    copies += fan_out(apart.messages, apart.targets);
  count(publish, &PublishCounts::delivered, copies.delivered);
  count(publish, &PublishCounts::redriven, copies.redriven);
  count(publish, &PublishCounts::dropped, copies.dropped);
  publish.requests -= kBeingMade - copies.requests;
  if (publish.requests == 0) finish(number, publish);
}

FanOut::Copies Publisher::send_ordered(uint64_t number, Publish& publish) {
  FanOut::Copies all;
  publish.sequences.resize(publish.messages.size());
  for (PublishedMessage& message : publish.messages) {
    if (!message.enveloped) continue;
    Envelope envelope = make_envelope(notification_of(publish, message), nullptr);
    message.envelope = std::move(envelope.text);
    message.uuid_at = envelope.uuid_at;
    message.id_at = envelope.id_at;
    message.sequence_at = envelope.sequence_at;
  }
  const std::span<const PublishedMessage> messages = publish.messages;
  for (size_t first = 0; first < messages.size(); first += OrderedFanOut::kTogetherMax) {
    const size_t count = std::min(OrderedFanOut::kTogetherMax, messages.size() - first);
    const FanOut::Copies copies = ordered_fan_out_.send(
        publish.place.topic, publish.place.topic_arn, messages.subspan(first, count), first,
        publish.targets,
        {this, number * kRequestsPerPublish + first / OrderedFanOut::kTogetherMax});
    all += copies;
  }
  return all;
}

void Publisher::on_send(uint64_t token, const SendReply& reply) {
  const auto found = publishes_.find(token / kRequestsPerPublish);
  if (found == publishes_.end()) return;
  Publish& publish = *found->second;
  if (publish.ordered && reply.error == Errc::ok) {
    size_t next = token % kRequestsPerPublish * OrderedFanOut::kTogetherMax;
    for (const uint64_t place : reply.shard_slots) {
      publish.messages[next].id = message_id_text({raw(publish.place.topic), place});
      publish.sequences[next++] = sequence_number(place);
    }
  }
  if (reply.error != Errc::ok) publish.error = reply.error;
  if (--publish.requests == 0) finish(found->first, publish);
}

void Publisher::finish(uint64_t number, Publish& publish) {
  std::vector<std::string> ids;
  for (PublishedMessage& message : publish.messages)
    ids.push_back(std::move(message.id));
  PublishSink* const sink = publish.sink;
  const uint64_t token = publish.token;
  const Errc error = publish.error;
  const std::vector<uint64_t> sequences = std::move(publish.sequences);
  bytes_ -= publish.bytes;
  if (error == Errc::ok) count(publish, &PublishCounts::published, ids.size());
  publishes_.erase(number);
  sink->on_published(token, {.error = error, .message_ids = ids, .sequences = sequences});
}

}  // namespace millrace::net::topics
