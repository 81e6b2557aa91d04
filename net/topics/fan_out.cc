#include "net/topics/fan_out.h"

#include <algorithm>

#include "millrace/message.h"
#include "millrace/properties.h"
#include "net/topics/message_run.h"

namespace millrace::net::topics {
namespace {

constexpr size_t stride_of(size_t properties, size_t body) {
  return sizeof(MessageHeader) + padded8(properties + body);
}

}  // namespace

bool FanOut::takes(const Place& place, const PublishedMessage& message, const Form& form) {
  return place.queue != QueueId{} && form.bytes <= place.bytes_max &&
         (!form.raw || message.attributes <= kAttributesMax);
}

FanOut::Place FanOut::place_of(const std::string& name, std::string_view topic_arn) const {
  const QueueInfo* queue = name.empty() ? nullptr : port_.find_queue(name);
  if (queue == nullptr || queue->attributes.fifo || !may_deliver_(*queue, topic_arn)) return {};
  return {queue->id, queue->attributes.message_bytes_max};
}

void FanOut::lay_out(std::string_view properties, std::string_view body, size_t stamp) {
  append_message(run_, properties, body, 0);
  stamps_.push_back(static_cast<uint32_t>(stamp));
}

FanOut::Copies FanOut::send(TopicId topic, std::string_view topic_arn,
                            std::span<const PublishedMessage> messages,
                            std::span<const PublishTarget> targets, ReplyTo reply) {
  Copies copies;
  ways_.clear();
  for (const PublishTarget& target : targets)
    ways_.push_back({target.outbox != QueueId{} ? Place{target.outbox, kMessageBytesMax}
                                                : place_of(target.queue, topic_arn),
                     place_of(target.dead_letter_queue, topic_arn)});
  run_.clear();
  stamps_.clear();
  for (size_t i = 0; i < messages.size(); ++i) {
    const PublishedMessage& message = messages[i];
    const Form raw{true, message.text.size() + message.attribute_bytes};
    const Form enveloped{false, message.envelope.size()};
    const auto each_copy = [&](auto&& f) {
      for (size_t t = 0; t < targets.size(); ++t) {
        if ((targets[t].messages >> i & 1) == 0) continue;
        const Form& form = targets[t].raw ? raw : enveloped;
        const bool own = takes(ways_[t].own, message, form);
        f(ways_[t], form, own, !own && takes(ways_[t].dead, message, form));
      }
    };
    bool wants_raw = false;
    bool wants_enveloped = false;
    each_copy([&](Way&, const Form& form, bool own, bool dead) {
      if (own || dead) (form.raw ? wants_raw : wants_enveloped) = true;
    });
    const std::string_view ids = std::string_view(message.properties).substr(0, message.ids_end);
    const size_t bytes =
        (wants_raw ? stride_of(message.properties.size(), message.text.size()) : 0) +
        (wants_enveloped ? stride_of(ids.size(), message.envelope.size()) : 0);
    if (stamps_.size() + wants_raw + wants_enveloped > kSharedMessagesMax ||
        run_.size() + bytes > kBatchBytesMax)
      flush(topic, targets, reply, &copies);
    const uint64_t raw_bit = uint64_t{wants_raw} << stamps_.size();
    if (wants_raw) lay_out(message.properties, message.text, 0);
    const uint64_t enveloped_bit = uint64_t{wants_enveloped} << stamps_.size();
    if (wants_enveloped) lay_out(ids, message.envelope, message.uuid_at);
    each_copy([&](Way& way, const Form& form, bool own, bool dead) {
      const uint64_t bit = form.raw ? raw_bit : enveloped_bit;
      if (own) way.own.messages |= bit;
      if (dead) way.dead.messages |= bit;
      ++(own ? copies.delivered : dead ? copies.redriven : copies.dropped);
    });
  }
  flush(topic, targets, reply, &copies);
  return copies;
}

void FanOut::flush(TopicId topic, std::span<const PublishTarget> targets, ReplyTo reply,
                   Copies* copies) {
  if (stamps_.empty()) return;
  copies_.clear();
  for (size_t t = 0; t < targets.size(); ++t) {
    for (Place* place : {&ways_[t].own, &ways_[t].dead}) {
      if (place->messages == 0) continue;
      copies_.push_back({place->queue, targets[t].subscription, place->messages, targets[t].uuid});
      place->messages = 0;
    }
  }
  ++copies->requests;
  port_.publish({.topic = topic,
                 .count = static_cast<uint32_t>(stamps_.size()),
                 .messages = as_bytes(run_),
                 .stamps = stamps_,
                 .copies = copies_},
                reply);
  run_.clear();
  stamps_.clear();
}

}  // namespace millrace::net::topics
