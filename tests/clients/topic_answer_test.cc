// What a client reads of answers about topics, whole and bent, and what a PublishBatch lays out.
#include "clients/cpp/topic_answer.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "clients/cpp/frame.h"
#include "clients/cpp/publish_batch.h"
#include "clients/cpp/setting_texts.h"

namespace millrace::client {
namespace {

template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append_padded(std::string& to, std::string text) {
  text.resize(padded8(text.size()), '\0');
  to += text;
}

std::string one_topic() {
  std::string texts = "ordersarn:orders";
  add_texts(&texts, std::vector<NamedText>{{"DisplayName", "Orders"}});
  add_texts(&texts, std::vector<NamedText>{{"team", "web"}});
  wire::TopicItem item{};
  item.topic_id = 7;
  item.text_bytes = static_cast<uint32_t>(texts.size());
  item.name_bytes = 6;
  item.arn_bytes = 10;
  item.attributes = 1;
  item.tags = 1;
  item.failed = 4;
  std::string body;
  append(body, wire::CountBody{1, 0});
  append(body, item);
  append_padded(body, texts);
  return body;
}

std::string one_subscription() {
  wire::TopicSubscriptionItem item{};
  item.uuid[15] = 9;
  item.subscription_id = 8;
  item.topic_bytes = 6;
  item.protocol_bytes = 3;
  item.endpoint_bytes = 5;
  item.queue_bytes = 4;
  item.text_bytes = 18;
  item.pending = 1;
  std::string body;
  append(body, wire::CountBody{1, 0});
  append(body, item);
  append_padded(body, "orderssqsarn:jjobs");
  return body;
}

std::string two_results() {
  wire::PublishResult good{};
  good.message_id[0] = 1;
  good.sequence = 5;
  wire::PublishResult bad{};
  bad.code = static_cast<uint16_t>(Errc::invalid_argument);
  bad.text_bytes = 3;
  std::string body;
  append(body, wire::ResultsAnswer{2, 1});
  append(body, good);
  append(body, bad);
  append_padded(body, "why");
  return body;
}

TEST(TopicAnswer, IsReadAsItWasSent) {
  const auto topics = take_topics(as_bytes(one_topic()));
  ASSERT_TRUE(topics && topics->size() == 1);
  EXPECT_EQ(topics->front().name, "orders");
  EXPECT_EQ(topics->front().arn, "arn:orders");
  EXPECT_EQ(topics->front().attributes, (std::vector<NamedText>{{"DisplayName", "Orders"}}));
  EXPECT_EQ(topics->front().tags, (std::vector<NamedText>{{"team", "web"}}));
  EXPECT_EQ(topics->front().failed, 4u);
  const auto subscriptions = take_subscriptions(as_bytes(one_subscription()));
  ASSERT_TRUE(subscriptions && subscriptions->size() == 1);
  EXPECT_EQ(subscriptions->front().uuid[15], 9);
  EXPECT_EQ(subscriptions->front().topic, "orders");
  EXPECT_EQ(subscriptions->front().endpoint, "arn:j");
  EXPECT_EQ(subscriptions->front().queue, "jobs");
  EXPECT_TRUE(subscriptions->front().pending);
  const auto published = take_published(as_bytes(two_results()));
  ASSERT_TRUE(published && published->size() == 2);
  EXPECT_EQ((*published)[0].id[0], 1);
  EXPECT_EQ((*published)[0].sequence, 5u);
  EXPECT_EQ((*published)[1].error, Errc::invalid_argument);
  EXPECT_EQ((*published)[1].text, "why");
}

// Each 8 bytes less or more, and with each two bytes that count something as large as they can be.
TEST(TopicAnswer, OneThatDoesNotFitItsCountsIsNone) {
  const auto reads = [](int which, const std::string& body) {
    return which == 0   ? take_topics(as_bytes(body)).has_value()
           : which == 1 ? take_subscriptions(as_bytes(body)).has_value()
                        : take_published(as_bytes(body)).has_value();
  };
  constexpr size_t kHead = sizeof(wire::CountBody);
  const std::vector<size_t> counts[] = {
      {0, kHead + 4, kHead + 8, kHead + 10, kHead + 12, kHead + 14},
      {0, kHead + 20, kHead + 32, kHead + 34, kHead + 36, kHead + 38, kHead + 40},
      {0, kHead + 26, kHead + 32 + 26}};
  const std::string whole[] = {one_topic(), one_subscription(), two_results()};
  for (int which = 0; which < 3; ++which) {
    ASSERT_TRUE(reads(which, whole[which]));
    for (size_t bytes = 0; bytes < whole[which].size(); bytes += 8)
      EXPECT_FALSE(reads(which, whole[which].substr(0, bytes))) << which << " cut at " << bytes;
    EXPECT_FALSE(reads(which, whole[which] + std::string(8, '\0'))) << which;
    for (const size_t at : counts[which]) {
      std::string bent = whole[which];
      bent[at] = bent[at + 1] = '\xFF';
      EXPECT_FALSE(reads(which, bent)) << which << " at " << at;
    }
  }
}

TEST(PublishBatch, LaysMessagesOutAsAFrameHasThem) {
  PublishBatch batch;
  ASSERT_TRUE(batch.add({.message = "text", .subject = "sub", .properties = as_bytes("props")}));
  ASSERT_TRUE(batch.add({.message = "{}", .structured = true}));
  EXPECT_EQ(batch.count(), 2u);
  ASSERT_EQ(batch.items().size(), 16u + 16u + 16u + 8u);
  const auto first = take<wire::PublishItem>(batch.items().data());
  EXPECT_EQ(first.message_bytes, 4u);
  EXPECT_EQ(first.properties_bytes, 5u);
  EXPECT_EQ(first.subject_bytes, 3u);
  EXPECT_EQ(first.structured, 0u);
  EXPECT_EQ(as_text(batch.items().subspan(16, 12)), "propssubtext");
  EXPECT_EQ(take<wire::PublishItem>(batch.items().data() + 32).structured, 1u);
}

TEST(PublishBatch, RefusesWhatTheServerWouldRefuseAndStaysAsItWas) {
  PublishBatch batch;
  const std::string large(wire::kPublishBytesMax + 1, 'x');
  EXPECT_EQ(batch.add({.message = large}).error(), Errc::message_too_large);
  EXPECT_TRUE(batch.empty());
  for (uint32_t i = 0; i < wire::kPublishMessagesMax; ++i)
    ASSERT_TRUE(batch.add({.message = "x"}));
  EXPECT_EQ(batch.add({.message = "x"}).error(), Errc::batch_too_large);
  EXPECT_EQ(batch.count(), wire::kPublishMessagesMax);
  batch.clear();
  EXPECT_TRUE(batch.items().empty());
}

}  // namespace
}  // namespace millrace::client
