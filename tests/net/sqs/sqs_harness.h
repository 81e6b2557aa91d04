// SqsFront on a broker with simulated disks, asked in both protocols: what a test says and sees is
// JSON, which is spelled out as form or read from XML where the protocol is Query.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "net/aws/allow_all.h"
#include "net/sqs/sqs_front.h"
#include "tests/engine/sim_engine_harness.h"
#include "tests/net/fake_exchange.h"
#include "tests/net/sqs/query_form.h"

namespace millrace::net::sqs {

using test::FakeExchange;
using Json = nlohmann::ordered_json;

enum class Protocol { json, query };

// What a request looked like on its way, and may be changed before it is sent.
struct RawRequest {
  std::string method = "POST";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields{{"Host", "127.0.0.1:9324"}};
  std::string body{};
};

// An answer, whatever the protocol.
struct Seen {
  uint16_t status = 0;
  std::string code;  // the query code; empty: it went well
  std::string type;  // JSON's __type; empty in Query
  std::string message;
  Json result;  // of one that went well; null: nothing at all

  std::string error() const { return code + ": " + message; }
};

class SqsBroker : public engine::SimEngineTest {
 protected:
  void SetUp() override { start(1); }
  void TearDown() override {
    front_.reset();
    SimEngineTest::TearDown();
  }
  void start(uint16_t shards) {
    front_.reset();
    options_.shards = settings_.shards = shards;
    options_.segment_bytes = 4u << 20;
    open();
    make_front();
  }
  void make_front() {
    front_ = std::make_unique<SqsFront>(
        shard(), std::make_unique<AllowAll>(settings_.account, settings_.region), shared_,
        settings_, 7);
  }

  static RawRequest spell(Protocol protocol, std::string_view action, const Json& input) {
    RawRequest raw;
    if (protocol == Protocol::json) {
      raw.fields.emplace_back("Content-Type", "application/x-amz-json-1.0");
      raw.fields.emplace_back("X-Amz-Target", "AmazonSQS." + std::string(action));
      raw.body = input.dump();
    } else {
      raw.fields.emplace_back("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
      raw.body = form_of(action, input);
    }
    return raw;
  }
  // Gives it to the front; the body has its padding, and lies in memory of its own.
  void give(const RawRequest& raw, FakeExchange& exchange) { give_to(*front_, raw, exchange); }
  static void give_to(SqsFront& front, const RawRequest& raw, FakeExchange& exchange) {
    std::vector<HttpField> fields;
    for (const auto& [name, value] : raw.fields)
      fields.push_back({name, value});
    const auto body = std::make_unique<std::byte[]>(raw.body.size() + kHttpBodyPadding);
    std::copy_n(as_bytes(raw.body).begin(), raw.body.size(), body.get());
    front.handle({.method = raw.method,
                  .target = raw.target,
                  .fields = fields,
                  .body = {body.get(), raw.body.size()},
                  .peer = "127.0.0.1"},
                 exchange);
  }
  void ask(Protocol protocol, std::string_view action, const Json& input, FakeExchange& exchange) {
    give(spell(protocol, action, input), exchange);
  }
  void wait_for(const FakeExchange& exchange) {
    until([&] { return exchange.answered; });
  }
  Seen call_raw(const RawRequest& raw) {
    FakeExchange exchange;
    give(raw, exchange);
    wait_for(exchange);
    return see(exchange);
  }
  Seen call(Protocol protocol, std::string_view action, const Json& input) {
    return call_raw(spell(protocol, action, input));
  }

  static Seen see(const FakeExchange& exchange) {
    Seen seen;
    seen.status = exchange.status;
    const bool json = exchange.content_type == "application/x-amz-json-1.0";
    EXPECT_TRUE(json || exchange.content_type == "text/xml") << exchange.content_type;
    const auto id = exchange.fields.find("x-amzn-RequestId");
    EXPECT_TRUE(id != exchange.fields.end() && id->second.size() == 36);
    if (!json) {
      XmlAnswer answer = read_xml(exchange.body);
      EXPECT_TRUE(id == exchange.fields.end() || answer.request_id == id->second);
      seen.code = answer.code;
      seen.message = answer.message;
      seen.result = std::move(answer.result);
      return seen;
    }
    const auto fault = exchange.fields.find("x-amzn-query-error");
    EXPECT_EQ(fault != exchange.fields.end(), seen.status != 200);
    if (exchange.body.empty()) return seen;
    const Json body = Json::parse(exchange.body, nullptr, false);
    EXPECT_TRUE(body.is_object()) << exchange.body;
    if (seen.status == 200) {
      seen.result = body;
      return seen;
    }
    EXPECT_EQ(body.size(), 2u) << exchange.body;
    seen.type = body.value("__type", "");
    seen.message = body.value("message", "");
    const std::string_view text = fault->second;
    seen.code = text.substr(0, text.find(';'));
    EXPECT_EQ(text.substr(text.find(';')), seen.status < 500 ? ";Sender" : ";Receiver");
    return seen;
  }

  sqs::SqsSettings settings_;
  SqsShared shared_;
  std::unique_ptr<SqsFront> front_;
};

// Each test runs in both protocols.
class SqsTest : public SqsBroker, public testing::WithParamInterface<Protocol> {
 protected:
  bool is_json() const { return GetParam() == Protocol::json; }
  Seen call(std::string_view action, const Json& input) {
    return SqsBroker::call(GetParam(), action, input);
  }
  void ask(std::string_view action, const Json& input, FakeExchange& exchange) {
    SqsBroker::ask(GetParam(), action, input, exchange);
  }
  // Of a front of another shard.
  void ask_of(SqsFront& front, std::string_view action, const Json& input, FakeExchange& exchange) {
    give_to(front, spell(GetParam(), action, input), exchange);
  }
  // What it says when it goes well.
  Json well(std::string_view action, const Json& input) {
    const Seen seen = call(action, input);
    EXPECT_EQ(seen.status, 200) << action << ": " << seen.error();
    return seen.result;
  }
  // "Code: message" of a refusal with this status.
  std::string refused(std::string_view action, const Json& input, uint16_t status = 400) {
    const Seen seen = call(action, input);
    EXPECT_EQ(seen.status, status) << action << ": " << seen.error();
    return seen.error();
  }
  // Time passes, and what is due then happens.
  void pass(int64_t ms) {
    environment_.advance(ms);
    turns(1);
  }
  // Its URL, or what stands there instead.
  std::string make(std::string_view name, const Json& attributes = Json::object()) {
    Json input{{"QueueName", name}};
    if (!attributes.empty()) input["Attributes"] = attributes;
    return well("CreateQueue", input).value("QueueUrl", "");
  }
  std::string make_fifo(std::string_view name, Json attributes = Json::object()) {
    attributes["FifoQueue"] = "true";
    return make(name, attributes);
  }
  Json send(const std::string& url, std::string_view body) {
    return well("SendMessage", {{"QueueUrl", url}, {"MessageBody", body}});
  }
  // Up to ten messages, at once.
  Json receive(const std::string& url, Json more = Json::object()) {
    more["QueueUrl"] = url;
    if (!more.contains("MaxNumberOfMessages")) more["MaxNumberOfMessages"] = 10;
    if (!more.contains("WaitTimeSeconds")) more["WaitTimeSeconds"] = 0;
    const Json result = well("ReceiveMessage", more);
    return result.value("Messages", Json::array());
  }
  std::string attribute(const std::string& url, std::string_view name) {
    const Json result = well("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {name}}});
    return result.value("Attributes", Json::object()).value(name, "");
  }
  static std::string arn(std::string_view name) {
    return "arn:aws:sqs:us-east-1:000000000000:" + std::string(name);
  }
  std::string missing_queue() const {
    return is_json()
               ? "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist."
               : "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist "
                 "for this wsdl version.";
  }
};

inline std::string protocol_name(const testing::TestParamInfo<Protocol>& info) {
  return info.param == Protocol::json ? "json" : "query";
}
#define MR_BOTH_PROTOCOLS(suite)                                                          \
  INSTANTIATE_TEST_SUITE_P(Both, suite, testing::Values(Protocol::json, Protocol::query), \
                           protocol_name)

}  // namespace millrace::net::sqs
