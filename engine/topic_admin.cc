#include "engine/topic_admin.h"

#include <cstring>
#include <memory>

namespace millrace::engine {
namespace {

MailPtr topic_mail(AdminKind what) {
  auto mail = std::make_unique<Mail>();
  mail->admin = what;
  mail->topic_ask = std::make_unique<TopicAsk>();
  return mail;
}

// A random one, of version 4 (RFC 9562).
Uuid fresh_uuid(Environment& environment) {
  const uint64_t bits[2] = {environment.random(), environment.random()};
  Uuid uuid;
  std::memcpy(uuid.data(), bits, sizeof bits);
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0F) | 0x40);
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3F) | 0x80);
  return uuid;
}

}  // namespace

void TopicAdmin::create(std::string_view name, const TopicSettings& settings, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::topic_create);
  mail->name = name;
  mail->settings = settings;
  ask_(std::move(mail), reply);
}

void TopicAdmin::set(TopicId topic, const TopicSettings& settings, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::topic_set);
  mail->topic_ask->topic = topic;
  mail->settings = settings;
  ask_(std::move(mail), reply);
}

void TopicAdmin::remove(TopicId topic, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::topic_remove);
  mail->topic_ask->topic = topic;
  ask_(std::move(mail), reply);
}

void TopicAdmin::subscribe(const SubscribeRequest& request, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::subscribe);
  TopicAsk& ask = *mail->topic_ask;
  ask.topic = request.topic;
  ask.uuid = fresh_uuid(environment_);
  ask.protocol = request.protocol;
  ask.endpoint = request.endpoint;
  ask.queue = request.queue;
  ask.token = request.token;
  mail->settings = request.settings;
  ask_(std::move(mail), reply);
}

void TopicAdmin::set(SubscriptionId subscription, const TopicSettings& settings, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::subscription_set);
  mail->topic_ask->subscription = subscription;
  mail->settings = settings;
  ask_(std::move(mail), reply);
}

void TopicAdmin::confirm(SubscriptionId subscription, bool authenticated, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::subscription_confirm);
  mail->topic_ask->subscription = subscription;
  mail->topic_ask->authenticated = authenticated;
  ask_(std::move(mail), reply);
}

void TopicAdmin::unsubscribe(SubscriptionId subscription, ReplyTo reply) {
  auto mail = topic_mail(AdminKind::subscription_remove);
  mail->topic_ask->subscription = subscription;
  ask_(std::move(mail), reply);
}

}  // namespace millrace::engine
