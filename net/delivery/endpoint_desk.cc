#include "net/delivery/endpoint_desk.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/os_clock.h"
#include "base/uuid.h"
#include "millrace/named_text.h"
#include "net/aws/error.h"
#include "net/delivery/endpoint_url.h"

namespace millrace::net::delivery {
namespace {

constexpr size_t kShownMax = 200;

}  // namespace

EndpointDesk::EndpointDesk(ShardPort& port, topics::Signer& signer, Poster& poster,
                           std::function<void()> wake, uint64_t seed)
    : port_(port), signing_(signer, wake), posting_(poster, wake), ids_(seed) {}

topics::Confirmation EndpointDesk::Letter::content() const {
  return {.type = type,
          .message_id = message_id,
          .token = about.token,
          .topic_arn = about.topic_arn,
          .message = message,
          .subscribe_url = subscribe_url,
          .timestamp = timestamp};
}

void EndpointDesk::judge(std::string_view protocol, std::string_view endpoint, Judged judged) {
  if (!endpoint.starts_with(fmt::format("{}://", protocol)))
    return judged("Endpoint must match the specified protocol");
  std::string why;
  if (!parse_endpoint(endpoint, &why))
    return judged(fmt::format("Endpoint Reason: {}: {}", why, shown(endpoint, kShownMax)));
  posting_.post({.url = std::string(endpoint), .look_only = true}, [judged = std::move(judged)](
                                                                       Posted& posted) {
    judged(posted.well() ? std::string() : fmt::format("Endpoint Reason: {}", posted.fault));
  });
}

void EndpointDesk::ask_to_confirm(LetterAbout about) {
  send(std::move(about), false);
}

void EndpointDesk::tell_of_end(LetterAbout about) {
  send(std::move(about), true);
}

void EndpointDesk::send(LetterAbout about, bool ends) {
  if (letters_.size() >= kLettersMax) {
    base::log_line(base::LogLevel::warn, "topics",
                   "{}: not written to: {} letters to endpoints are under way", about.endpoint,
                   kLettersMax);
    return;
  }
  const uint64_t number = ++next_;
  Letter& letter = letters_[number];
  letter.about = std::move(about);
  letter.type = ends ? "UnsubscribeConfirmation" : "SubscriptionConfirmation";
  const std::string arn =
      fmt::format("{}:{}", letter.about.topic_arn, base::uuid_text(letter.about.uuid));
  letter.message =
      ends ? fmt::format(
                 "You have chosen to deactivate subscription {}.\nTo cancel this operation and "
                 "restore the subscription, visit the SubscribeURL included in this message.",
                 arn)
           : fmt::format(
                 "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, "
                 "visit the SubscribeURL included in this message.",
                 letter.about.topic_arn);
  letter.subscribe_url =
      fmt::format("{}/?Action=ConfirmSubscription&TopicArn={}&Token={}", letter.about.base_url,
                  letter.about.topic_arn, letter.about.token);
  letter.message_id = ids_.next().text();
  letter.timestamp = base::utc_text(port_.now().value);
  letter.signature_version = "1";
  if (const TopicInfo* topic = port_.topics().find(letter.about.topic)) {
    const std::string_view version = value_of(topic->attributes.texts, "SignatureVersion");
    if (!version.empty()) letter.signature_version = version;
    letter.policy = topics::delivery_policy_of(value_of(topic->attributes.texts, "DeliveryPolicy"),
                                               std::string_view());
  }
  std::string text = topics::text_to_sign(letter.content());
  const bool taken = signing_.sign(
      {std::move(text)}, letter.signature_version,
      [this, number](std::span<const std::string> signatures, const topics::SigningKey& key) {
        put_signature(number, signatures.front(), key);
      });
  if (!taken) letters_.erase(number);
}

void EndpointDesk::put_signature(uint64_t number, std::string_view signature,
                                 const topics::SigningKey& key) {
  Letter& letter = letters_.at(number);
  letter.post.url = letter.about.endpoint;
  letter.post.body = topics::make_confirmation(
      letter.content(), {letter.signature_version, signature, key.path()}, letter.about.base_url);
  letter.post.fields = {fmt::format("Content-Type: {}", letter.policy.content_type),
                        fmt::format("x-amz-sns-message-type: {}", letter.type),
                        fmt::format("x-amz-sns-message-id: {}", letter.message_id),
                        fmt::format("x-amz-sns-topic-arn: {}", letter.about.topic_arn)};
  if (letter.type == "UnsubscribeConfirmation")
    letter.post.fields.push_back(fmt::format("x-amz-sns-subscription-arn: {}:{}",
                                             letter.about.topic_arn,
                                             base::uuid_text(letter.about.uuid)));
  post(number);
}

void EndpointDesk::post(uint64_t number) {
  Letter& letter = letters_.at(number);
  ++letter.tries;
  letter.due_ns = INT64_MAX;
  posting_.post(std::move(letter.post),
                [this, number](Posted& posted) { this->posted(number, posted); });
}

void EndpointDesk::posted(uint64_t number, Posted& posted) {
  const auto found = letters_.find(number);
  Letter& letter = found->second;
  const auto delay = letter.policy.delay_ms(letter.tries);
  if (!posted.well() && posted.allowed && delay) {
    letter.post = std::move(posted.post);
    letter.due_ns = base::os_monotonic_ns() + *delay * kMsNs;
    if (letter.due_ns < due_ns_) {
      due_ns_ = letter.due_ns;
      posting_.wake_in(*delay + 1);
    }
    return;
  }
  if (!posted.well())
    base::log_line(
        base::LogLevel::info, "topics", "{}: did not take a {}: {}", letter.about.endpoint,
        letter.type,
        posted.status == 0 ? posted.fault : fmt::format("it answered {}", posted.status));
  letters_.erase(found);
}

void EndpointDesk::turn() {
  signing_.turn();
  posting_.turn();
  if (due_ns_ == INT64_MAX) return;
  const int64_t now_ns = base::os_monotonic_ns();
  if (now_ns < due_ns_) return;
  due_ns_ = INT64_MAX;
  std::vector<uint64_t> due;
  for (const auto& [number, letter] : letters_) {
    if (letter.due_ns <= now_ns)
      due.push_back(number);
    else
      due_ns_ = std::min(due_ns_, letter.due_ns);
  }
  for (const uint64_t number : due)
    post(number);
  if (due_ns_ != INT64_MAX) posting_.wake_in((due_ns_ - now_ns) / kMsNs + 1);
}

}  // namespace millrace::net::delivery
