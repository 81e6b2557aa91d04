// SnsFront on a broker with simulated disks: requests as forms, answers read from their XML.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pugixml.hpp>

#include "net/aws/allow_all.h"
#include "net/sns/sns_front.h"
#include "storage/real_disk.h"
#include "tests/engine/sim_engine_harness.h"
#include "tests/net/fake_exchange.h"
#include "tests/net/sqs/query_form.h"
#include "tests/support/patience.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::sns {

using test::FakeExchange;
using Form = std::vector<std::pair<std::string, std::string>>;
// What most refusals begin with.
inline const std::string kInvalid = "InvalidParameter: Invalid parameter: ";

// Whom SNS hands on to.
class OtherFront final : public HttpFront {
 public:
  int handled = 0;
  int canceled = 0;
  int stopped = 0;
  void handle(const HttpRequest&, HttpExchange&) override { ++handled; }
  void cancel(HttpExchange&) override { ++canceled; }
  void stop_waiting(HttpExchange&) override { ++stopped; }
};

struct SnsAnswer {
  uint16_t status = 0;
  std::string code;  // empty: it went well
  std::string message;
  std::string text;  // the body without what changes from answer to answer
  std::shared_ptr<pugi::xml_document> document = std::make_shared<pugi::xml_document>();

  std::string error() const { return code + ": " + message; }
  // The first element of this name; null if there is none.
  pugi::xml_node find(const char* name) const {
    return document->find_node(
        [&](const pugi::xml_node& node) { return std::string_view(node.name()) == name; });
  }
  std::string value(const char* name) const { return find(name).child_value(); }
  // Of every element of this name.
  std::vector<std::string> values(const char* name) const {
    std::vector<std::string> found;
    for (const auto& node : document->select_nodes((std::string("//") + name).c_str()))
      found.emplace_back(node.node().child_value());
    return found;
  }
  // Of <Attributes>.
  std::map<std::string, std::string> attributes() const {
    std::map<std::string, std::string> found;
    for (const pugi::xml_node& entry : find("Attributes").children("entry"))
      found[entry.child_value("key")] = entry.child_value("value");
    return found;
  }
};

inline constexpr std::string_view kOrders = "arn:aws:sns:us-east-1:000000000000:orders";

class SnsTest : public engine::SimEngineTest {
 protected:
  void SetUp() override { start(1); }
  void TearDown() override {
    front_.reset();
    SimEngineTest::TearDown();
  }
  void start(uint16_t shards) {
    front_.reset();
    options_.shards = shards;
    options_.segment_bytes = 4u << 20;
    open();
    make_front();
  }
  void make_front() { front_ = front_of(0); }
  std::unique_ptr<SnsFront> front_of(uint16_t at) {
    return std::make_unique<SnsFront>(shard(at), authorizer(), others_, *shared_, settings_, 7,
                                      [] {});
  }
  virtual std::unique_ptr<Authorizer> authorizer() {
    return std::make_unique<AllowAll>(settings_.account, settings_.region);
  }

  static std::string form_text(std::string_view action, const Form& form) {
    std::string text = "Version=2010-03-31&Action=" + sqs::percent_encoded(action);
    for (const auto& [name, value] : form)
      text += "&" + sqs::percent_encoded(name) + "=" + sqs::percent_encoded(value);
    return text;
  }
  static void give(SnsFront& front, const std::string& body, FakeExchange& exchange,
                   std::vector<HttpField> more = {}) {
    const auto bytes = std::make_unique<std::byte[]>(body.size() + kHttpBodyPadding);
    std::copy_n(as_bytes(body).begin(), body.size(), bytes.get());
    more.push_back({"Host", "127.0.0.1:9324"});
    more.push_back({"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"});
    front.handle({.method = "POST",
                  .target = "/",
                  .fields = more,
                  .body = {bytes.get(), body.size()},
                  .peer = "127.0.0.1"},
                 exchange);
  }
  static SnsAnswer see(const FakeExchange& exchange) {
    SnsAnswer seen;
    seen.status = exchange.status;
    EXPECT_EQ(exchange.content_type, "text/xml");
    const auto id = exchange.fields.find("x-amzn-RequestId");
    EXPECT_TRUE(id != exchange.fields.end() && id->second.size() == 36);
    EXPECT_TRUE(seen.document->load_buffer(exchange.body.data(), exchange.body.size()))
        << exchange.body;
    const pugi::xml_node root = seen.document->document_element();
    EXPECT_STREQ(root.attribute("xmlns").value(), "http://sns.amazonaws.com/doc/2010-03-31/");
    seen.text = exchange.body.substr(0, exchange.body.find("<ResponseMetadata>"));
    if (root.name() != std::string_view("ErrorResponse")) {
      EXPECT_EQ(exchange.status, 200);
      EXPECT_EQ(root.child("ResponseMetadata").child_value("RequestId"), id->second);
      return seen;
    }
    EXPECT_EQ(root.child_value("RequestId"), id->second);
    seen.code = root.child("Error").child_value("Code");
    seen.message = root.child("Error").child_value("Message");
    EXPECT_STREQ(root.child("Error").child_value("Type"),
                 exchange.status < 500 ? "Sender" : "Receiver");
    return seen;
  }
  // Signed, as far as nobody looks.
  static std::vector<HttpField> signed_fields() {
    return {{"Authorization",
             "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/sns/aws4_request, "
             "SignedHeaders=host, Signature=00"}};
  }
  void ask(std::string_view action, const Form& form, FakeExchange& exchange) {
    give(*front_, form_text(action, form), exchange, signed_fields());
  }
  // A signature comes from another thread.
  void wait_for(const FakeExchange& exchange) {
    for (Patience patience; !exchange.answered && patience.nap();) {
      front_->turn();
      turns(1);
    }
    ASSERT_TRUE(exchange.answered);
  }
  SnsAnswer call(std::string_view action, const Form& form) {
    FakeExchange exchange;
    ask(action, form, exchange);
    wait_for(exchange);
    return see(exchange);
  }
  // A link: nobody signed it.
  SnsAnswer follow(std::string_view action, const Form& form) {
    FakeExchange exchange;
    const std::string target = "/?" + form_text(action, form);
    const HttpField fields[] = {{"Host", "127.0.0.1:9324"}};
    front_->handle(
        {.method = "GET", .target = target, .fields = fields, .body = {}, .peer = "127.0.0.1"},
        exchange);
    until([&] { return exchange.answered; });
    return see(exchange);
  }
  SnsAnswer well(std::string_view action, const Form& form) {
    SnsAnswer seen = call(action, form);
    EXPECT_EQ(seen.status, 200) << action << ": " << seen.error();
    return seen;
  }
  // "Code: message" of a refusal with this status.
  std::string refused(std::string_view action, const Form& form, uint16_t status = 400) {
    const SnsAnswer seen = call(action, form);
    EXPECT_EQ(seen.status, status) << action << ": " << seen.error();
    return seen.error();
  }

  // Their ARNs.
  std::string make(std::string_view name, Form form = {}) {
    form.insert(form.begin(), {"Name", std::string(name)});
    return well("CreateTopic", form).value("TopicArn");
  }
  std::string make_fifo(std::string_view name) {
    return make(name,
                {{"Attributes.entry.1.key", "FifoTopic"}, {"Attributes.entry.1.value", "true"}});
  }
  static std::string queue_arn(std::string_view name) {
    return "arn:aws:sqs:us-east-1:000000000000:" + std::string(name);
  }
  std::string subscribe_queue(const std::string& topic, std::string_view queue, Form more = {}) {
    more.insert(more.begin(),
                {{"TopicArn", topic}, {"Protocol", "sqs"}, {"Endpoint", queue_arn(queue)}});
    return well("Subscribe", more).value("SubscriptionArn");
  }
  static Form attribute(std::string_view name, std::string_view value) {
    return {{"Attributes.entry.1.key", std::string(name)},
            {"Attributes.entry.1.value", std::string(value)}};
  }

  static std::unique_ptr<SnsShared> shared_in(const std::string& folder) {
    std::string why;
    auto disk = storage::RealDisk::open_directory(folder, {});
    EXPECT_TRUE(disk);
    return std::make_unique<SnsShared>(topics::Signer::open(std::move(*disk), &why));
  }

  SnsSettings settings_;
  TemporaryDirectory keys_;
  std::unique_ptr<SnsShared> shared_ = shared_in(keys_ / "data");
  OtherFront others_;
  std::unique_ptr<SnsFront> front_;
};

}  // namespace millrace::net::sns
