// What a publish costs on one shard, from the messages of a PUBLISH frame to the record in the log:
// by how many queues get it, and by how many subscriptions there are that do not want it.
//
// FanOut: batches of 10 with 128-byte bodies, raw, to so many queues. items_per_second counts
// copies; `log` is what a batch takes in the log, as a multiple of its messages and a reference (48
// bytes) for each queue. Filtered: one message that two of so many subscriptions want; 200 beside 2
// is the ratio that counts.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/assert.h"
#include "engine/broker.h"
#include "engine/os_environment.h"
#include "millrace/properties.h"
#include "net/aws/allow_all.h"
#include "net/topics/publishing_desk.h"
#include "storage/real_disk.h"
#include "tests/support/temporary_directory.h"

namespace millrace {
namespace {

constexpr uint32_t kBatch = 10;
constexpr size_t kBodyBytes = 128;
constexpr uint64_t kReferenceBytes = 48;
// Then the queues are emptied, so that the log stays small.
constexpr int kPublishesBetweenPurges = 200;

class Answers final : public ReplySink, public net::PublishListener {
 public:
  void on_send(uint64_t, const SendReply& reply) override { note(reply.error); }
  void on_receive(uint64_t, const ReceiveReply& reply) override { note(reply.error); }
  void on_results(uint64_t, const ResultsReply& reply) override { note(reply.error); }
  void on_peek(uint64_t, const PeekReply& reply) override { note(reply.error); }
  void on_queues(uint64_t, const QueueReply& reply) override {
    note(reply.error);
    if (!reply.queues.empty()) queue = reply.queues[0].id;
  }
  void on_stats(uint64_t, const BrokerStatsReply& reply) override { note(reply.error); }
  void on_topics(uint64_t, const TopicReply& reply) override { note(reply.error); }
  void on_published(uint64_t, const net::PublishOutcome& outcome) override {
    note(outcome.error);
    for (const net::PublishEntryResult& one : outcome.results)
      if (one.error != Errc::ok) ++failures;
  }

  uint64_t answers = 0;
  uint64_t failures = 0;
  QueueId queue{};

 private:
  void note(Errc error) {
    ++answers;
    if (error != Errc::ok) ++failures;
  }
};

class Bench {
 public:
  Bench() {
    BrokerOptions options{.data_directory = directory_.path() + "/data"};
    options.durability = Durability::none;
    std::string why;
    auto broker = engine::BrokerOnDisk::open_directory(options, environment_, &why);
    MR_ASSERT(broker);
    broker_ = std::move(*broker);
    auto disk = storage::RealDisk::open_directory(directory_.path() + "/keys", {});
    signer_ = net::topics::Signer::open(std::move(*disk), &why);
    MR_ASSERT(signer_ != nullptr);
    desk_.emplace(net::topics::DeskParts{
        .port = port(),
        .signer = *signer_,
        .wake = [] {},
        .authorizer = std::make_unique<net::AllowAll>("000000000000", "us-east-1"),
        .seed = 7,
        .account = "000000000000",
        .region = "us-east-1",
        .base_url = "http://here:9324"});
    ask([&](ReplyTo to) { port().topics().create("events", {}, to); });
  }

  // `policy`: empty: wants all.
  void subscribe_queue(int number, std::string_view policy) {
    const std::string name = fmt::format("queue-{}", number);
    ask([&](ReplyTo to) { port().create_queue(name, {}, to); });
    queues_.push_back(answers_.queue);
    SubscribeRequest request;
    std::string kept;
    MR_ASSERT(desk_->read_endpoint("sqs", name, &request, &kept).empty());
    request.topic = port().topics().find("events")->id;
    request.settings.attributes = {{"RawMessageDelivery", "true"}};
    if (!policy.empty())
      request.settings.attributes.push_back({"FilterPolicy", std::string(policy)});
    ask([&](ReplyTo to) { port().topics().subscribe(request, to); });
  }
  // Answered when it returns.
  void publish(std::span<const net::PublishEntry> entries) {
    const uint64_t before = answers_.answers;
    desk_->publish("events", entries, answers_, 0);
    while (answers_.answers == before)
      port().tick();
  }
  void purge_all() {
    for (const QueueId queue : queues_)
      ask([&](ReplyTo to) { port().purge_queue(queue, to); });
  }
  uint64_t log_end() { return broker_->shard_at(ShardId{0}).state().log().end().value; }
  uint64_t failures() const { return answers_.failures; }

 private:
  ShardPort& port() { return broker_->shard_at(ShardId{0}); }
  template <class Ask>
  void ask(Ask&& how) {
    const uint64_t before = answers_.answers;
    how(ReplyTo{&answers_, 0});
    while (answers_.answers == before)
      port().tick();
  }

  TemporaryDirectory directory_;
  engine::OsEnvironment environment_;
  Answers answers_;
  std::unique_ptr<engine::BrokerOnDisk> broker_;
  std::unique_ptr<net::topics::Signer> signer_;
  std::optional<net::topics::PublishingDesk> desk_;
  std::vector<QueueId> queues_;
};

void fan_out(benchmark::State& state) {
  Bench bench;
  const auto queues = state.range(0);
  for (int i = 0; i < queues; ++i)
    bench.subscribe_queue(i, "");
  const std::string body(kBodyBytes, 'x');
  const std::vector<net::PublishEntry> entries(kBatch, {.message = body});
  const uint64_t begin = bench.log_end();
  bench.publish(entries);
  const auto bytes = static_cast<double>(bench.log_end() - begin);
  int since_purge = 0;
  for (auto _ : state) {
    bench.publish(entries);
    if (++since_purge < kPublishesBetweenPurges) continue;
    since_purge = 0;
    state.PauseTiming();
    bench.purge_all();
    state.ResumeTiming();
  }
  const uint64_t message = message_stride({kBodyBytes, 0, 0, 0});
  state.counters["log"] =
      bytes /
      static_cast<double>(kBatch * message + static_cast<uint64_t>(queues) * kReferenceBytes);
  state.counters["failures"] = static_cast<double>(bench.failures());
  state.SetItemsProcessed(state.iterations() * queues * kBatch);
}
BENCHMARK(fan_out)->ArgName("queues")->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

void filtered(benchmark::State& state) {
  Bench bench;
  const auto subscriptions = state.range(0);
  for (int i = 0; i < subscriptions; ++i)
    bench.subscribe_queue(
        i, i < 2 ? R"({"color":["red"],"size":[{"numeric":[">",5]}]})"
                 : fmt::format(R"({{"color":["color-{}"],"size":[{{"numeric":[">",5]}}]}})", i));
  std::string properties;
  append_property(properties, PropertyTag::attribute, "color", "String",
                  as_bytes(std::string_view("red")));
  append_property(properties, PropertyTag::attribute, "size", "Number",
                  as_bytes(std::string_view("7")));
  const std::string body(kBodyBytes, 'x');
  const net::PublishEntry entry{.message = body, .properties = as_bytes(properties)};
  int since_purge = 0;
  for (auto _ : state) {
    bench.publish({&entry, 1});
    if (++since_purge < 20 * kPublishesBetweenPurges) continue;
    since_purge = 0;
    state.PauseTiming();
    bench.purge_all();
    state.ResumeTiming();
  }
  state.counters["failures"] = static_cast<double>(bench.failures());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(filtered)->ArgName("subscriptions")->Arg(2)->Arg(200);

}  // namespace
}  // namespace millrace
