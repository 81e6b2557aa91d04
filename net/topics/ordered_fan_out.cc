#include "net/topics/ordered_fan_out.h"

#include <array>

#include "millrace/properties.h"
#include "net/topics/message_run.h"

namespace millrace::net::topics {

const QueueInfo* OrderedFanOut::queue_of(const std::string& name,
                                         std::string_view topic_arn) const {
  const QueueInfo* queue = name.empty() ? nullptr : port_.find_queue(name);
  return queue != nullptr && may_deliver_(*queue, topic_arn) ? queue : nullptr;
}

// Returns the form's bit.
uint64_t OrderedFanOut::lay_out(const PublishedMessage& message, const Form& form,
                                uint32_t number) {
  const std::string_view all = form.fifo ? message.properties : message.standard_properties;
  const size_t ids_end = form.fifo ? message.ids_end : message.standard_ids_end;
  const std::string_view properties = form.raw ? all : all.substr(0, ids_end);
  const std::string_view body = form.raw ? message.text : message.envelope;
  append_message(run_, properties, body, 0);
  const uint64_t bit = uint64_t{1} << forms_.size();
  const auto place = [&](size_t at) { return form.raw ? 0 : static_cast<uint32_t>(at); };
  forms_.push_back({number, place(message.id_at), place(message.sequence_at)});
  stamps_.push_back(place(message.uuid_at));
  return bit;
}

FanOut::Copies OrderedFanOut::send(TopicId topic, std::string_view topic_arn,
                                   std::span<const PublishedMessage> messages, size_t first,
                                   std::span<const PublishTarget> targets, ReplyTo reply) {
  FanOut::Copies copies;
  run_.clear();
  stamps_.clear();
  forms_.clear();
  ways_.clear();
  for (const PublishTarget& target : targets)
    ways_.push_back(
        {queue_of(target.queue, topic_arn), queue_of(target.dead_letter_queue, topic_arn)});
  std::vector<std::string_view> ids;
  for (uint32_t i = 0; i < messages.size(); ++i) {
    const PublishedMessage& message = messages[i];
    ids.push_back(message.deduplication_key);
    std::array<uint64_t, 4> bits{};  // of the forms that are laid out
    const auto takes = [&](const QueueInfo* queue, bool raw) {
      const size_t bytes =
          raw ? message.text.size() + message.attribute_bytes : message.envelope.size();
      return queue != nullptr && bytes <= queue->attributes.message_bytes_max &&
             (!raw || message.attributes <= kAttributesMax);
    };
    const auto bit_for = [&](const QueueInfo& queue, bool raw) {
      const Form form{raw, queue.attributes.fifo};
      uint64_t& bit = bits[size_t{form.raw} * 2 + size_t{form.fifo}];
      if (bit == 0) bit = lay_out(message, form, i);
      return bit;
    };
    for (size_t t = 0; t < targets.size(); ++t) {
      if ((targets[t].messages >> (first + i) & 1) == 0) continue;
      const bool raw = targets[t].raw;
      Way& way = ways_[t];
      if (takes(way.own, raw)) {
        way.to_own |= bit_for(*way.own, raw);
        ++copies.delivered;
      } else if (takes(way.dead, raw)) {
        way.to_dead |= bit_for(*way.dead, raw);
        ++copies.redriven;
      } else {
        ++copies.dropped;
      }
    }
  }
  copies_.clear();
  for (size_t t = 0; t < targets.size(); ++t) {
    const auto add = [&](const QueueInfo* queue, uint64_t bits) {
      if (bits != 0) copies_.push_back({queue->id, targets[t].subscription, bits, targets[t].uuid});
    };
    add(ways_[t].own, ways_[t].to_own);
    add(ways_[t].dead, ways_[t].to_dead);
  }
  copies.requests = 1;
  port_.publish_ordered({.copies = {.topic = topic,
                                    .count = static_cast<uint32_t>(forms_.size()),
                                    .messages = as_bytes(run_),
                                    .stamps = stamps_,
                                    .copies = copies_},
                         .forms = forms_,
                         .deduplication_ids = ids},
                        reply);
  return copies;
}

}  // namespace millrace::net::topics
