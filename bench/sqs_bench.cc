// What SQS's front costs on top of the engine, without a network: requests as bytes go in, answers
// as bytes come out, one shard, nothing synced. `items` are messages.
//
// What is looked for: a batch of 10 sent in JSON under 28 us in all, and what a message costs
// beside what it costs in queue_bench.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "millrace/engine.h"
#include "net/aws/allow_all.h"
#include "net/sqs/sqs_front.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::sqs {
namespace {

constexpr size_t kInFlight = 32;  // requests between two ticks
constexpr int kBatch = 10;

class Exchange final : public HttpExchange {
 public:
  void answer(const HttpResponse& response) override {
    answered = true;
    status = response.status;
    if (keeps) body = response.body;
    bytes += response.body.size();
  }
  bool answered = false;
  bool keeps = false;
  uint16_t status = 0;
  size_t bytes = 0;
  std::string body;
};

class Bench {
 public:
  Bench() {
    std::string message;
    auto broker = Broker::open({.data_directory = directory_.path(),
                                .durability = Durability::none,
                                .disk_bytes_max = uint64_t{4} << 30},
                               &message);
    broker_ = std::move(*broker);
    front_ = std::make_unique<SqsFront>(
        port(), std::make_unique<AllowAll>("000000000000", "us-east-1"), shared_, SqsSettings{}, 1);
    Exchange exchange;
    ask("CreateQueue", R"({"QueueName":"jobs"})", exchange);
    until(exchange);
  }
  ~Bench() {
    front_.reset();
    (void)broker_->stop();
  }

  ShardPort& port() { return broker_->shard(ShardId{0}); }

  void ask(std::string_view action, std::string_view body, Exchange& exchange) {
    target_ = fmt::format("AmazonSQS.{}", action);
    give("application/x-amz-json-1.0", body, exchange);
  }
  void ask_form(std::string_view body, Exchange& exchange) {
    target_.clear();
    give("application/x-www-form-urlencoded", body, exchange);
  }
  void until(const Exchange& exchange) {
    while (!exchange.answered)
      port().tick();
  }

 private:
  // The fields that an SDK sends, more or less.
  void give(std::string_view type, std::string_view body, Exchange& exchange) {
    const HttpField fields[] = {
        {"Host", "127.0.0.1:9324"},
        {"Accept-Encoding", "identity"},
        {"Content-Type", type},
        {"User-Agent", "Boto3/1.34 md/Botocore#1.34 ua/2.0 os/linux#6.1 lang/python#3.11"},
        {"X-Amz-Date", "20250102T030405Z"},
        {"Authorization",
         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/sqs/aws4_request, "
         "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
         "Signature=fae3f20676520f38cea227b75ff8f002d3f09d7e1d82cf4b32db893603165cad"},
        {"amz-sdk-invocation-id", "4b6b1d0e-2c0c-4a53-9f7b-1a5fd2b6b0aa"},
        {"amz-sdk-request", "attempt=1"},
        {"Content-Length", "1234"},
        {"X-Amz-Target", target_},
    };
    const size_t count = std::size(fields) - (target_.empty() ? 1 : 0);
    received_.resize(body.size() + kHttpBodyPadding);
    std::memcpy(received_.data(), body.data(), body.size());
    exchange.answered = false;
    front_->handle({.method = "POST",
                    .target = "/",
                    .fields = std::span(fields).first(count),
                    .body = {received_.data(), body.size()},
                    .peer = "127.0.0.1"},
                   exchange);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Broker> broker_;
  SqsShared shared_;
  std::unique_ptr<SqsFront> front_;
  std::vector<std::byte> received_;
  std::string target_;
};

std::string json_batch(size_t body_bytes) {
  std::string text = R"({"QueueUrl":"http://127.0.0.1:9324/000000000000/jobs","Entries":[)";
  for (int i = 0; i < kBatch; ++i)
    text += fmt::format(R"({}{{"Id":"{}","MessageBody":"{}"}})", i == 0 ? "" : ",", i,
                        std::string(body_bytes, 'x'));
  return text + "]}";
}

std::string form_batch(size_t body_bytes) {
  std::string text =
      "Action=SendMessageBatch&Version=2012-11-05&QueueUrl=http%3A%2F%2F127.0.0.1%3A9324%2F"
      "000000000000%2Fjobs";
  for (int i = 1; i <= kBatch; ++i)
    text += fmt::format(
        "&SendMessageBatchRequestEntry.{0}.Id={0}&SendMessageBatchRequestEntry.{0}.MessageBody={1}",
        i, std::string(body_bytes, 'x'));
  return text;
}

// Sends `request` over and over; the queue is emptied from time to time, which is not counted.
void send(benchmark::State& state, const char* action, const std::string& request, int messages) {
  Bench bench;
  std::vector<Exchange> exchanges(kInFlight);
  int64_t sent = 0;
  int64_t since_purge = 0;
  for (auto _ : state) {
    for (Exchange& exchange : exchanges) {
      if (action != nullptr)
        bench.ask(action, request, exchange);
      else
        bench.ask_form(request, exchange);
    }
    bench.until(exchanges.back());
    sent += static_cast<int64_t>(kInFlight) * messages;
    since_purge += static_cast<int64_t>(kInFlight * request.size());
    if (since_purge < (256 << 20)) continue;
    state.PauseTiming();
    since_purge = 0;
    Exchange purged;
    bench.ask("DeleteQueue", R"({"QueueUrl":"jobs"})", purged);
    bench.until(purged);
    bench.ask("CreateQueue", R"({"QueueName":"jobs"})", purged);
    bench.until(purged);
    for (int i = 0; i < 1'000; ++i)
      bench.port().tick();
    state.ResumeTiming();
  }
  for (const Exchange& exchange : exchanges)
    if (exchange.status != 200) state.SkipWithError("a request was refused");
  state.SetItemsProcessed(sent);
  state.counters["us_per_request"] =
      benchmark::Counter(static_cast<double>(sent / messages) / 1e6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void send_one(benchmark::State& state) {
  send(state, "SendMessage",
       fmt::format(R"({{"QueueUrl":"http://127.0.0.1:9324/000000000000/jobs","MessageBody":"{}"}})",
                   std::string(static_cast<size_t>(state.range(0)), 'x')),
       1);
}
BENCHMARK(send_one)->Arg(128)->Arg(1024)->Arg(65'536);

void send_batch(benchmark::State& state) {
  send(state, "SendMessageBatch", json_batch(static_cast<size_t>(state.range(0))), kBatch);
}
BENCHMARK(send_batch)->Arg(128)->Arg(1024);

void send_batch_as_form(benchmark::State& state) {
  send(state, nullptr, form_batch(static_cast<size_t>(state.range(0))), kBatch);
}
BENCHMARK(send_batch_as_form)->Arg(128)->Arg(1024);

// A batch sent, received and deleted, one request after the other.
void through(benchmark::State& state) {
  Bench bench;
  const std::string batch = json_batch(static_cast<size_t>(state.range(0)));
  Exchange exchange;
  Exchange received;
  received.keeps = true;
  std::string deletes;
  for (auto _ : state) {
    bench.ask("SendMessageBatch", batch, exchange);
    bench.until(exchange);
    bench.ask("ReceiveMessage", R"({"QueueUrl":"jobs","MaxNumberOfMessages":10})", received);
    bench.until(received);
    deletes = R"({"QueueUrl":"jobs","Entries":[)";
    constexpr std::string_view kHandle = "\"ReceiptHandle\":\"";
    int count = 0;
    for (size_t at = 0; (at = received.body.find(kHandle, at)) != std::string::npos; at += 1) {
      deletes += fmt::format(R"({}{{"Id":"{}","ReceiptHandle":"{}"}})", count == 0 ? "" : ",",
                             count, received.body.substr(at + kHandle.size(), 32));
      ++count;
    }
    if (count != kBatch) state.SkipWithError("messages were missing");
    deletes += "]}";
    bench.ask("DeleteMessageBatch", deletes, exchange);
    bench.until(exchange);
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(through)->Arg(128)->Arg(1024);

}  // namespace
}  // namespace millrace::net::sqs
