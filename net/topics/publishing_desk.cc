#include "net/topics/publishing_desk.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/printable.h"
#include "base/uuid.h"
#include "millrace/properties.h"
#include "net/aws/arn.h"
#include "net/aws/policy.h"
#include "net/topics/delivery_right.h"
#include "net/topics/endpoint.h"

namespace millrace::net::topics {
namespace {

// SNS's words for some faults say less than people need.
std::string fault_line(const PublishRefusal& refusal, const Publication& publication,
                       const TopicAttributes& topic) {
  if (refusal.text == "Subject")
    return "the subject must be 1 to 100 characters, none of them a line break or a control "
           "character";
  if (refusal.text == "Message too long")
    return fmt::format("the message and its attributes have {} bytes; the topic takes {}",
                       publication_bytes(publication), topic.message_bytes_max);
  return refusal.text;
}

// What a message says beside its text. Returns what is wrong with it; empty: nothing.
std::string read_properties(Bytes properties, Publication& publication,
                            std::vector<PublishedAttribute>& attributes) {
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    const std::string_view value = as_text(property->value);
    const auto once = [&](std::optional<std::string_view>& place) {
      const bool fresh = !place;
      place = value;
      return fresh;
    };
    bool good = true;
    switch (property->tag) {
      case PropertyTag::group:
        good = once(publication.group);
        break;
      case PropertyTag::deduplication_id:
        good = once(publication.deduplication_id);
        break;
      case PropertyTag::trace_header:
        good = publication.trace_header.empty();
        publication.trace_header = value;
        break;
      case PropertyTag::attribute: {
        PublishedAttribute attribute{.name = property->name};
        attribute.type = property->type;
        (property->type.starts_with("Binary") ? attribute.bytes : attribute.text) = value;
        attributes.push_back(attribute);
        break;
      }
      default:
        return fmt::format("property {} is none of what is published",
                           static_cast<unsigned>(property->tag));
    }
    if (!good)
      return fmt::format("property {} is there twice", static_cast<unsigned>(property->tag));
  }
  publication.attributes = attributes;
  return {};
}

}  // namespace

PublishingDesk::PublishingDesk(DeskParts parts)
    : port_(parts.port),
      authorizer_(std::move(parts.authorizer)),
      account_(std::move(parts.account)),
      region_(std::move(parts.region)),
      base_url_(std::move(parts.base_url)),
      accept_undeliverable_(parts.accept_undeliverable),
      figures_(parts.figures),
      publisher_({.port = parts.port,
                  .signer = parts.signer,
                  .wake = std::move(parts.wake),
                  .may_deliver =
                      [this](const QueueInfo& queue, std::string_view topic_arn) {
                        return topic_may_send(*authorizer_, topic_arn, queue, region_, account_);
                      },
                  .figures = parts.figures,
                  .seed = parts.seed}) {}

void PublishingDesk::publish(std::string_view name, std::span<const PublishEntry> entries,
                             PublishListener& listener, uint64_t token) {
  const TopicInfo* topic = port_.topics().find(name);
  if (topic == nullptr) return listener.on_published(token, {.error = Errc::topic_not_found});
  std::vector<std::vector<PublishedAttribute>> attributes(entries.size());
  std::vector<Publication> good;
  Under publish{&listener, token, std::vector<PublishEntryResult>(entries.size())};
  size_t bytes = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const PublishEntry& entry = entries[i];
    Publication publication;
    publication.message = entry.message;
    if (!entry.subject.empty()) publication.subject = entry.subject;
    if (entry.structured) publication.structure = "json";
    PublishEntryResult& result = publish.results[i];
    result.text = read_properties(entry.properties, publication, attributes[i]);
    bytes += publication_bytes(publication);
    for (const auto check :
         {+[](const Publication&one, const TopicAttributes&) { return check_attributes(one); },
          &check_ids, &check_text}) {
      if (!result.text.empty()) break;
      if (const PublishRefusal refusal = check(publication, topic->attributes))
        result.text = fault_line(refusal, publication, topic->attributes);
    }
    if (result.text.empty())
      good.push_back(publication);
    else
      result.error = Errc::invalid_argument;
  }
  if (bytes > wire::kPublishBytesMax) {
    const std::string why = fmt::format("the messages have {} bytes together; allowed are {}",
                                        bytes, wire::kPublishBytesMax);
    return listener.on_published(token, {.error = Errc::batch_too_large, .detail = why});
  }
  if (good.empty()) return listener.on_published(token, {.results = publish.results});
  const uint64_t number = ++next_;
  under_way_[number] = std::move(publish);
  publisher_.publish({topic->id, arn_of(topic->name), base_url_}, good, this, number);
}

void PublishingDesk::on_published(uint64_t number, const Published& published) {
  const auto found = under_way_.find(number);
  MR_ASSERT(found != under_way_.end());
  Under publish = std::move(found->second);
  under_way_.erase(found);
  if (publish.listener == nullptr) return;
  PublishOutcome outcome{.error = published.error, .results = publish.results};
  size_t next = 0;
  for (PublishEntryResult& result : publish.results)
    if (published.error == Errc::ok && result.error == Errc::ok) {
      if (!published.sequences.empty()) result.sequence = published.sequences[next];
      result.id = base::parse_uuid(published.message_ids[next++]).value_or(Uuid{});
    }
  publish.listener->on_published(publish.token, outcome);
}

void PublishingDesk::forget(PublishListener& listener) {
  for (auto& [number, publish] : under_way_)
    if (publish.listener == &listener) publish.listener = nullptr;
}

std::string PublishingDesk::settings_fault(const TopicSettings& settings) {
  for (const NamedText& one : settings.attributes) {
    PolicyRefusal refusal;
    if (one.name == "Policy" && !one.value.empty() &&
        !Policy::parse(one.value, PolicyOf::topic, &refusal))
      return fmt::format("Policy: {}", refusal.text);
  }
  return {};
}

std::string PublishingDesk::read_endpoint(std::string_view protocol, std::string_view endpoint,
                                          SubscribeRequest* request, std::string* kept) {
  // Who subscribes an endpoint outside must see it confirmed: that is SNS's to do.
  if (std::string fault = protocol_fault(protocol, false, accept_undeliverable_); !fault.empty())
    return fault;
  request->protocol = protocol;
  request->endpoint = endpoint;
  if (protocol != "sqs") return {};
  if (!endpoint.empty() && endpoint.find(':') == std::string_view::npos) {
    *kept = make_arn("sqs", region_, account_, endpoint);
    request->endpoint = *kept;
  }
  request->queue = queue_of(request->endpoint, account_);
  if (!request->queue.empty()) return {};
  return fmt::format("'{}' is neither the name nor the ARN of a queue of this server",
                     base::printable(endpoint));
}

std::string PublishingDesk::arn_of(std::string_view topic) const {
  return make_arn("sns", region_, account_, topic);
}

TopicCounts PublishingDesk::counts_of(TopicId topic) const {
  const auto counts = figures_ == nullptr ? nullptr : figures_->topics.find(topic);
  if (counts == nullptr) return {};
  const auto now = [](const std::atomic<uint64_t>& count) {
    return count.load(std::memory_order_relaxed);
  };
  return {now(counts->published), now(counts->delivered), now(counts->filtered),
          now(counts->redriven) + now(counts->dropped)};
}

}  // namespace millrace::net::topics
