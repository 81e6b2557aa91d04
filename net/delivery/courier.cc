#include "net/delivery/courier.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/uuid.h"
#include "millrace/message.h"
#include "millrace/named_text.h"
#include "millrace/properties.h"
#include "net/topics/envelope.h"
#include "net/topics/message_run.h"

namespace millrace::net::delivery {
namespace {

constexpr int64_t kSecondMs = 1'000;
// What no room was found for comes again after so long.
constexpr uint32_t kNoRoomMs = 1'000;
constexpr uint32_t kNoDeadLetterMs = 20'000;
constexpr uint64_t kSteps = 2;  // tokens: a letter's number and a step
// What the endpoint will never take, as SNS has it.
constexpr bool is_final(const Posted& posted) {
  constexpr int kTooMany = 429;
  return !posted.allowed ||
         (posted.status >= 400 && posted.status < 500 && posted.status != kTooMany);
}

struct Content {
  std::string_view properties;
  std::string_view body;
};
Content content_of(std::span<const std::byte> message) {
  MessageHeader header{};
  std::memcpy(&header, message.data(), sizeof header);
  const std::string_view text = as_text(message.subspan(sizeof header));
  return {text.substr(0, header.properties_bytes),
          text.substr(header.properties_bytes, header.body_bytes)};
}

}  // namespace

Courier::Courier(CourierParts parts)
    : port_(parts.port),
      shards_(parts.shards),
      may_deliver_(std::move(parts.may_deliver)),
      figures_(parts.figures),
      desk_(parts.poster, std::move(parts.wake)) {}

Courier::~Courier() {
  port_.cancel_all(this);
}

void Courier::turn() {
  // The loop has slept: its clock may be as old as that.
  if (desk_.turn()) port_.refresh_clock();
  if (port_.topics().outbox_changes() != seen_) follow();
  if (port_.now().value >= look_ms_) look();
}

// --- the outboxes ---

void Courier::follow() {
  seen_ = port_.topics().outbox_changes();
  std::vector<SubscriptionInfo> all;
  port_.topics().list_outboxes(&all);
  std::unordered_map<uint32_t, Box> before;
  before.swap(boxes_);
  for (SubscriptionInfo& one : all) {
    const uint32_t id = raw(one.id);
    if (id % shards_ != raw(port_.id())) continue;
    const auto known = before.find(id);
    Box& box = boxes_[id];
    if (known != before.end()) {
      box = std::move(known->second);
      before.erase(known);
    }
    box.subscription = std::move(one);
    if (!box.standing) stand(box);
  }
  for (const auto& [id, gone] : before)
    if (gone.standing) (void)port_.unsubscribe({this, id});
}

void Courier::stand(Box& box) {
  const uint32_t id = raw(box.subscription.id);
  const uint32_t rate = policy_of(box.subscription).per_second_max;
  const uint32_t credit = rate == 0 ? kTogether : std::min(rate, kTogether);
  box.standing = static_cast<bool>(port_.subscribe({.queue = outbox_id(box.subscription.id),
                                                    .messages_max = kTogether,
                                                    .visibility_ms = kLeaseMs,
                                                    .outbox = true},
                                                   credit, {this, id}));
  box.owed = 0;
  if (!box.standing) look_at(port_.now().value + kSecondMs);
}

topics::DeliveryPolicy Courier::policy_of(const SubscriptionInfo& subscription) const {
  const TopicInfo* topic = port_.topics().find(subscription.topic);
  const std::string_view of_topic =
      topic == nullptr ? std::string_view() : value_of(topic->attributes.texts, "DeliveryPolicy");
  return topics::delivery_policy_of(of_topic,
                                    value_of(subscription.attributes.texts, "DeliveryPolicy"));
}

// --- a message ---

void Courier::on_receive(uint64_t token, const ReceiveReply& reply) {
  const auto found = boxes_.find(static_cast<uint32_t>(token));
  if (found == boxes_.end()) return;
  if (reply.error != Errc::ok) {
    found->second.standing = false;  // looked at again with the next change, or when it may stand
    return look_at(0);
  }
  for (const Delivery& delivery : reply.deliveries)
    take(found->second, delivery);
}

void Courier::take(const Box& box, const Delivery& delivery) {
  std::vector<std::byte> message(delivery.message.begin(), delivery.message.end());
  put_stamp(delivery.stamp, message.data());
  const Content content = content_of(message);
  const SubscriptionInfo& subscription = box.subscription;
  const uint64_t number = ++next_;
  Letter letter{.subscription = subscription.id,
                .receipt = delivery.receipt,
                .tries = delivery.receive_count,
                .leased_ms = port_.now().value};
  if (figures_ != nullptr) letter.counts = figures_->topics.of(subscription.topic, port_.topics());
  const auto head = topics::read_envelope_head(content.body);
  auto published = head && subscription.attributes.raw ? topics::read_envelope(content.body)
                                                       : std::optional<topics::EnvelopeContent>();
  const bool readable = head && (published || !subscription.attributes.raw);
  if (readable && bytes_ + content.body.size() > kBytesMax && !letters_.empty()) {
    letters_.emplace(number, std::move(letter));
    return put_back(number, letters_.at(number), kNoRoomMs);
  }
  letter.bytes = content.body.size();
  bytes_ += letter.bytes;
  Letter& kept = letters_.emplace(number, std::move(letter)).first->second;
  // Nothing that is stored by publish(); whoever looks at it will find it in the dead-letter queue.
  if (!readable) return give_up(number, kept, content.body, "it is no envelope");
  Post post{.url = subscription.endpoint};
  kept.topic_arn = head->topic_arn;
  // No queue takes more; the text is worth more than they are.
  const bool attributes_fit = published && published->attributes <= kAttributesMax;
  kept.properties = published ? (attributes_fit ? std::move(published->properties) : std::string())
                              : std::string(content.properties);
  post.body = published ? std::move(published->message) : std::string(content.body);
  const auto field = [&post](std::string_view name, std::string_view value) {
    post.fields.push_back(fmt::format("{}: {}", name, value));
  };
  field("Content-Type", policy_of(subscription).content_type);
  field("x-amz-sns-message-type", "Notification");
  field("x-amz-sns-message-id", head->message_id);
  field("x-amz-sns-topic-arn", head->topic_arn);
  field("x-amz-sns-subscription-arn",
        fmt::format("{}:{}", head->topic_arn, base::uuid_text(subscription.uuid)));
  if (published) field("x-amz-sns-rawdelivery", "true");
  look_at(kept.leased_ms + kRenewMs);
  desk_.post(std::move(post), [this, number](Posted& posted) { this->posted(number, posted); });
}

void Courier::posted(uint64_t number, Posted& posted) {
  const auto found = letters_.find(number);
  if (found == letters_.end()) return;  // its lease was lost
  Letter& letter = found->second;
  const auto box = boxes_.find(raw(letter.subscription));
  if (box == boxes_.end()) return forget(number);
  if (posted.well()) {
    count(letter, &topics::PublishCounts::posted);
    return acknowledge(number, letter);
  }
  const SubscriptionInfo& subscription = box->second.subscription;
  const std::string why =
      posted.status == 0 ? posted.fault : fmt::format("it answered {}", posted.status);
  const auto delay = policy_of(subscription).delay_ms(letter.tries);
  if (is_final(posted) || !delay) return give_up(number, letter, posted.post.body, why);
  base::log_line(base::LogLevel::debug, "topics", "{}: try {} failed, again in {} ms: {}",
                 subscription.endpoint, letter.tries, *delay, why);
  count(letter, &topics::PublishCounts::post_retried);
  put_back(number, letter, *delay);
}

void Courier::give_up(uint64_t number, Letter& letter, std::string_view body,
                      std::string_view why) {
  const SubscriptionInfo& subscription = boxes_.at(raw(letter.subscription)).subscription;
  const std::string& name = subscription.attributes.dead_letter_queue;
  const QueueInfo* dead = name.empty() ? nullptr : port_.find_queue(name);
  const bool takes = dead != nullptr && !dead->attributes.fifo &&
                     body.size() <= dead->attributes.message_bytes_max &&
                     may_deliver_(*dead, letter.topic_arn);
  base::log_line(base::LogLevel::info, "topics", "{}: not delivered after {} tries, {}: {}",
                 subscription.endpoint, letter.tries,
                 takes ? "goes to " + name : std::string("dropped"), why);
  if (!takes) {
    count(letter, &topics::PublishCounts::post_dropped);
    return acknowledge(number, letter);
  }
  std::string run;
  topics::append_message(run, letter.properties, body, kDelayQueueDefault);
  port_.send({.queue = dead->id, .count = 1, .messages = as_bytes(run)}, {this, number});
}

void Courier::on_send(uint64_t number, const SendReply& reply) {
  const auto found = letters_.find(number);
  if (found == letters_.end()) return;
  // It stays where it is if its dead-letter queue takes nothing now.
  if (reply.error != Errc::ok) return put_back(number, found->second, kNoDeadLetterMs);
  count(found->second, &topics::PublishCounts::post_redriven);
  acknowledge(number, found->second);
}

void Courier::acknowledge(uint64_t number, Letter& letter) {
  letter.ends = true;
  port_.ack({.receipts = {&letter.receipt, 1}},
            {this, number * kSteps + static_cast<uint64_t>(Step::end)});
}

void Courier::put_back(uint64_t number, Letter& letter, uint32_t ms) {
  letter.ends = true;
  const ExtendEntry entry{.receipt = letter.receipt, .visibility_ms = ms};
  port_.extend({.entries = {&entry, 1}},
               {this, number * kSteps + static_cast<uint64_t>(Step::end)});
}

// If it could not be done the lease ends by itself, and the message is tried once more.
void Courier::on_results(uint64_t token, const ResultsReply&) {
  if (token % kSteps == static_cast<uint64_t>(Step::end)) forget(token / kSteps);
}

void Courier::forget(uint64_t number) {
  const auto found = letters_.find(number);
  if (found == letters_.end()) return;
  bytes_ -= found->second.bytes;
  const auto box = boxes_.find(raw(found->second.subscription));
  letters_.erase(found);
  if (box != boxes_.end() && box->second.standing) give_credit(box->second);
}

// --- credit, leases, time ---

void Courier::give_credit(Box& box) {
  const uint32_t rate = policy_of(box.subscription).per_second_max;
  if (rate == 0) {
    (void)port_.add_credit({this, raw(box.subscription.id)}, box.owed + uint64_t{1});
    box.owed = 0;
    return;
  }
  const int64_t now_ms = port_.now().value;
  if (box.owed++ == 0) box.next_ms = std::max(box.next_ms, now_ms);
  look_at(box.next_ms);
}

void Courier::look_at(int64_t ms) {
  if (ms >= look_ms_) return;
  look_ms_ = ms;
  desk_.wake_in(std::max<int64_t>(ms - port_.now().value, 0));
}

void Courier::look() {
  const int64_t now_ms = port_.now().value;
  look_ms_ = INT64_MAX;
  int64_t next_ms = now_ms + kPendingLookMs;
  for (auto& [id, box] : boxes_) {
    if (!box.standing) stand(box);
    if (box.owed == 0) continue;
    const uint32_t rate = policy_of(box.subscription).per_second_max;
    while (box.owed > 0 && box.next_ms <= now_ms) {
      --box.owed;
      box.next_ms += rate == 0 ? 0 : kSecondMs / rate;
      (void)port_.add_credit({this, id}, 1);
    }
    if (box.owed > 0) next_ms = std::min(next_ms, box.next_ms);
  }
  next_ms = std::min(next_ms, renew(now_ms));
  if (raw(port_.id()) == 0 && now_ms >= pending_ms_) {
    end_pending();
    pending_ms_ = now_ms + kPendingLookMs;
  }
  look_at(next_ms);
}

// When the next lease is to be made longer.
int64_t Courier::renew(int64_t now_ms) {
  int64_t next_ms = INT64_MAX;
  std::vector<ExtendEntry> entries;
  for (auto& [number, letter] : letters_) {
    if (letter.ends) continue;
    const int64_t due_ms = letter.leased_ms + kRenewMs;
    if (due_ms > now_ms) {
      next_ms = std::min(next_ms, due_ms);
      continue;
    }
    letter.leased_ms = now_ms;
    next_ms = std::min(next_ms, now_ms + kRenewMs);
    entries.push_back({.receipt = letter.receipt, .visibility_ms = kLeaseMs});
    if (entries.size() < kBatchMessagesMax) continue;
    port_.extend({.entries = entries}, {this, static_cast<uint64_t>(Step::renew)});
    entries.clear();
  }
  if (!entries.empty())
    port_.extend({.entries = entries}, {this, static_cast<uint64_t>(Step::renew)});
  return next_ms;
}

// Nobody confirmed them in time.
void Courier::end_pending() {
  std::vector<TopicInfo> topics;
  port_.topics().list("", UINT32_MAX, &topics);
  std::vector<SubscriptionInfo> of_it;
  for (const TopicInfo& topic : topics) {
    if (topic.pending == 0) continue;
    of_it.clear();
    port_.topics().list(topic.id, {}, UINT32_MAX, &of_it);
    for (const SubscriptionInfo& one : of_it)
      if (one.pending && port_.now().value - one.created_at_ms > kPendingMs)
        port_.topics().unsubscribe(one.id, {this, 0});
  }
}

void Courier::count(const Letter& letter,
                    std::atomic<uint64_t> topics::PublishCounts::*what) const {
  if (figures_ != nullptr) figures_->count(*letter.counts, what, 1);
}

}  // namespace millrace::net::delivery
