#include "net/topics/publisher.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log_line.h"
#include "base/uuid.h"
#include "millrace/message.h"
#include "millrace/named_text.h"
#include "millrace/properties.h"

namespace millrace::net::topics {
namespace {

constexpr std::string_view kQueueProtocol = "sqs";

// What another try can make good.
bool may_be_tried_again(Errc error) {
  return error != Errc::queue_not_found && error != Errc::invalid_argument &&
         error != Errc::message_too_large && error != Errc::batch_too_large;
}

void lay_out(std::string_view properties, std::string_view body, std::string& run) {
  const MessageHeader header{static_cast<uint32_t>(body.size()),
                             static_cast<uint32_t>(properties.size()), kDelayQueueDefault, 0};
  const size_t begin = run.size();
  run.append(reinterpret_cast<const char*>(&header), sizeof header);
  run.append(properties).append(body);
  run.resize(begin + message_stride(header), '\0');
}

// Tokens of the sink: which publish, and whether to its subscription's dead-letter queue.
constexpr uint64_t token_of(uint64_t number, bool dead) {
  return number << 1 | (dead ? 1 : 0);
}

}  // namespace

Publisher::Publisher(PublisherParts parts)
    : port_(parts.port),
      may_deliver_(std::move(parts.may_deliver)),
      figures_(parts.figures),
      ids_(parts.seed),
      desk_(parts.signer, std::move(parts.wake)),
      audience_(parts.port.topics()) {}

Publisher::~Publisher() {
  port_.cancel_all(this);
}

void Publisher::publish(PublishPlace place, std::span<const Publication> messages,
                        PublishSink* sink, uint64_t token) {
  const TopicInfo* topic = port_.topics().find(place.topic);
  if (topic == nullptr) return sink->on_published(token, {.error = Errc::topic_not_found});
  if (topic->attributes.fifo) return sink->on_published(token, {.error = Errc::unsupported});
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
  for (const Publication& one : messages)
    add_message(one, publish);
  choose_targets(publish);
  const bool signs = std::any_of(publish.messages.begin(), publish.messages.end(),
                                 [](const Message& message) { return message.enveloped; });
  if (signs)
    sign(number, publish);
  else
    send_all(number, publish);
}

void Publisher::count(const Publish& publish, std::atomic<uint64_t> PublishCounts::*what,
                      uint64_t more) {
  if (figures_ == nullptr) return;
  (figures_->*what).fetch_add(more, std::memory_order_relaxed);
  (publish.counts.get()->*what).fetch_add(more, std::memory_order_relaxed);
}

void Publisher::add_message(const Publication& publication, Publish& publish) {
  Message message;
  message.id = ids_.next().text();
  message.text = ProtocolTexts(publication).of(kQueueProtocol);
  if (publication.subject) message.subject = *publication.subject;
  message.properties = publication_properties(publication, &message.ids_end);
  message.attributes = publication.attributes.size();
  message.attribute_bytes = publication_bytes(publication) - publication.message->size();
  publish.messages.push_back(std::move(message));
}

void Publisher::choose_targets(Publish& publish) {
  Audience::Of audience = audience_.of(publish.place.topic);
  std::map<SubscriptionId, size_t> places;  // in publish.targets
  for (size_t i = 0; i < publish.messages.size(); ++i) {
    Message& message = publish.messages[i];
    audience.find({as_bytes(message.properties), message.text}, &found_);
    count(publish, &PublishCounts::filtered, audience.size() - found_.size());
    for (const SubscriptionInfo* one : found_) {
      const auto [place, fresh] = places.emplace(one->id, publish.targets.size());
      if (fresh)
        publish.targets.push_back(
            {one->queue, one->attributes.dead_letter_queue, one->uuid, one->attributes.raw, {}});
      publish.targets[place->second].messages.push_back(i);
      message.enveloped |= !one->queue.empty() && !one->attributes.raw;
    }
  }
}

Notification Publisher::notification_of(const Publish& publish, const Message& message) const {
  Notification notification;
  notification.message_id = message.id;
  notification.topic_arn = publish.place.topic_arn;
  if (message.subject) notification.subject = *message.subject;
  notification.message = message.text;
  notification.timestamp = publish.timestamp;
  notification.base_url = publish.place.base_url;
  notification.properties = as_bytes(message.properties).subspan(message.ids_end);
  return notification;
}

void Publisher::sign(uint64_t number, Publish& publish) {
  std::vector<std::string> texts;
  for (const Message& message : publish.messages)
    if (message.enveloped) texts.push_back(text_to_sign(notification_of(publish, message)));
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
  for (Message& message : publish.messages) {
    if (!message.enveloped) continue;
    const NotificationSignature signature{publish.signature_version, signatures[next++],
                                          key.path()};
    Envelope envelope = make_envelope(notification_of(publish, message), &signature);
    message.envelope = std::move(envelope.text);
    message.uuid_at = envelope.uuid_at;
  }
  send_all(number, publish);
}

// --- sends ---

bool Publisher::takes(const QueueInfo& queue, const Publish& publish, const Target& target,
                      const Message& message) const {
  const size_t bytes =
      target.raw ? message.text.size() + message.attribute_bytes : message.envelope.size();
  return bytes <= queue.attributes.message_bytes_max && !queue.attributes.fifo &&
         (!target.raw || message.attributes <= kAttributesMax) &&
         may_deliver_(queue, publish.place.topic_arn);
}

const QueueInfo* Publisher::queue_for(const Publish& publish, const Target& target,
                                      const Message& message) {
  for (const std::string& name : {target.queue, target.dead_letter_queue}) {
    const QueueInfo* queue = name.empty() ? nullptr : port_.find_queue(name);
    if (queue != nullptr && takes(*queue, publish, target, message)) return queue;
  }
  return nullptr;
}

// A send to its queue, and one to its dead-letter queue, if they have any; more where one would be
// too large.
void Publisher::send(uint64_t number, Publish& publish, const Target& target) {
  std::map<QueueId, std::vector<size_t>> by_queue;
  uint64_t dropped = 0;
  for (const size_t i : target.messages) {
    const QueueInfo* queue = queue_for(publish, target, publish.messages[i]);
    if (queue == nullptr)
      ++dropped;
    else
      by_queue[queue->id].push_back(i);
  }
  count(publish, &PublishCounts::dropped, dropped);
  const std::string uuid = base::uuid_text(target.uuid);
  const QueueInfo* own = target.queue.empty() ? nullptr : port_.find_queue(target.queue);
  const QueueId own_id = own != nullptr ? own->id : QueueId{};
  for (const auto& [queue, messages] : by_queue) {
    const bool dead = queue != own_id;
    uint32_t laid_out = 0;
    const auto send_first = [&](size_t bytes) {
      ++publish.sends;
      port_.send({queue, laid_out, as_bytes(std::string_view(run_).substr(0, bytes))},
                 {this, token_of(number, dead)});
      run_.erase(0, bytes);
      laid_out = 0;
    };
    run_.clear();
    for (const size_t i : messages) {
      Message& message = publish.messages[i];
      const size_t before = run_.size();
      const std::string_view properties = message.properties;
      if (target.raw) {
        lay_out(properties, message.text, run_);
      } else {
        uuid.copy(message.envelope.data() + message.uuid_at, uuid.size());
        lay_out(properties.substr(0, message.ids_end), message.envelope, run_);
      }
      // Envelopes may be four times what was published.
      if (run_.size() > kBatchBytesMax) send_first(before);
      ++laid_out;
    }
    send_first(run_.size());
    count(publish, dead ? &PublishCounts::redriven : &PublishCounts::delivered, messages.size());
  }
}

void Publisher::send_all(uint64_t number, Publish& publish) {
  // An answer that comes at once must not end it.
  publish.sends = 1;
  for (const Target& target : publish.targets)
    send(number, publish, target);
  if (--publish.sends == 0) finish(number, publish);
}

void Publisher::on_send(uint64_t token, const SendReply& reply) {
  const auto found = publishes_.find(token >> 1);
  if (found == publishes_.end()) return;
  Publish& publish = *found->second;
  if (reply.error != Errc::ok && may_be_tried_again(reply.error)) publish.error = reply.error;
  if (--publish.sends == 0) finish(found->first, publish);
}

void Publisher::finish(uint64_t number, Publish& publish) {
  std::vector<std::string> ids;
  for (Message& message : publish.messages)
    ids.push_back(std::move(message.id));
  PublishSink* const sink = publish.sink;
  const uint64_t token = publish.token;
  const Errc error = publish.error;
  bytes_ -= publish.bytes;
  if (error == Errc::ok) count(publish, &PublishCounts::published, ids.size());
  publishes_.erase(number);
  sink->on_published(token, {.error = error, .message_ids = ids});
}

}  // namespace millrace::net::topics
