// /metrics, on a fake shard.
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/metrics/metric_table.h"
#include "net/metrics/metrics_front.h"
#include "net/metrics/queue_figures.h"
#include "tests/net/fake_exchange.h"
#include "tests/net/fake_port.h"
#include "tests/net/fake_topics.h"

namespace millrace::net::test {
namespace {

struct Scraped final : FakeExchange {
  // What the line says that begins so; empty: there is none.
  std::string value(const std::string& series) const {
    const size_t at = ("\n" + body).find("\n" + series + " ");
    if (at == std::string::npos) return {};
    const size_t from = at + series.size() + 1;
    return body.substr(from, body.find('\n', from) - from);
  }
};

HttpRequest get(std::string_view method = "GET") {
  HttpRequest made;
  made.method = method;
  made.target = MetricsFront::kPath;
  return made;
}

class Metrics : public testing::Test {
 protected:
  Scraped scrape() {
    Scraped noted;
    front_.handle(get(), noted);
    return noted;
  }
  void SetUp() override { port_.topic_port = &topics_; }
  FakePort port_;
  FakeTopics topics_;
  topics::PublishFigures publishes_;
  ServerFigures figures_{4};
  RequestFigures requests_{{"SendMessage", "unknown"}};
  RequestFigures of_topics_{{"Publish", "unknown"}};
  MetricsFront front_{port_,
                      figures_,
                      {.version = "1.2.3",
                       .queues_max = 40,
                       .sqs_requests = &requests_,
                       .sns_requests = &of_topics_,
                       .publishes = &publishes_}};
};

TEST_F(Metrics, ShowsShardsConnectionsAndTheProcess) {
  figures_.http.accepted = 5;
  figures_.http.closed = 2;
  const Scraped noted = scrape();
  EXPECT_EQ(noted.status, 200);
  EXPECT_EQ(noted.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(noted.value("millrace_shard_fenced{shard=\"3\"}"), "0");
  EXPECT_EQ(noted.value("millrace_shard_commit_seconds_count{shard=\"3\"}"), "0");
  EXPECT_EQ(noted.value("millrace_connections{protocol=\"http\"}"), "3");
  EXPECT_EQ(noted.value("millrace_connections_accepted_total{protocol=\"http\"}"), "5");
  EXPECT_EQ(noted.value("millrace_build_info{version=\"1.2.3\"}"), "1");
  EXPECT_GT(std::stoull(noted.value("process_resident_memory_bytes")), 1u << 20);
  EXPECT_GT(std::stod(noted.value("process_start_time_seconds")), 1e9);
  EXPECT_EQ(noted.value("millrace_queues"), "0");
  EXPECT_EQ(noted.value("millrace_scrape_complete"), "1");
  EXPECT_EQ(noted.body.find("millrace_queue_ready_messages"), std::string::npos);
}

TEST_F(Metrics, RequestsOfAllFrontsAreAddedUpByActionAndStatus) {
  RequestFigures::Table& one = requests_.add();
  RequestFigures::Table& other = requests_.add();
  one.count(0, 200);
  other.count(0, 200);
  other.count(0, 403);
  other.count(1, 418);
  const Scraped noted = scrape();
  const auto count = [&](const char* labels) {
    return noted.value(std::string("millrace_sqs_requests_total{action=") + labels + "}");
  };
  EXPECT_EQ(count("\"SendMessage\",status=\"200\""), "2");
  EXPECT_EQ(count("\"SendMessage\",status=\"403\""), "1");
  EXPECT_EQ(count("\"SendMessage\",status=\"500\""), "");
  EXPECT_EQ(count("\"unknown\",status=\"200\""), "0");
  EXPECT_EQ(count("\"unknown\",status=\"400\""), "1");
}

TEST_F(Metrics, OfEachQueueUpToABoundAndOfTheRestTogether) {
  for (int i = 0; i < 100; ++i)
    port_.add_queue(fmt::format("queue-{:03}", i));
  const Scraped noted = scrape();
  EXPECT_EQ(noted.value("millrace_queues"), "100");
  EXPECT_EQ(noted.value("millrace_queues_without_series"), "60");
  EXPECT_EQ(noted.value("millrace_queue_ready_messages{queue=\"queue-039\"}"), "0");
  EXPECT_EQ(noted.value("millrace_queue_ready_messages{queue=\"queue-040\"}"), "");
  EXPECT_EQ(noted.value("millrace_queue_ready_messages{queue=\"\"}"), "0");
}

TEST_F(Metrics, OfEachTopic) {
  EXPECT_EQ(scrape().value("millrace_topic_messages_published_total{topic=\"orders\"}"), "0");
  const auto counts = publishes_.topics.of(TopicId{7}, topics_);
  counts->published += 3;
  counts->dropped += 2;
  publishes_.topics.of(TopicId{99}, topics_)->published += 50;  // it is gone
  const Scraped noted = scrape();
  EXPECT_EQ(noted.value("millrace_topics"), "1");
  EXPECT_EQ(noted.value("millrace_topic_messages_published_total{topic=\"orders\"}"), "3");
  EXPECT_EQ(noted.value("millrace_topic_copies_total{topic=\"orders\",result=\"dropped\"}"), "2");
  EXPECT_EQ(noted.value("millrace_topic_copies_total{topic=\"orders\",result=\"delivered\"}"), "0");
  EXPECT_EQ(noted.value("millrace_topic_messages_published_total{topic=\"\"}"), "");
}

TEST(TopicFigures, OfTopicsThatAreGoneAreForgottenWhenThereAreTooMany) {
  FakeTopics there;  // 7
  topics::TopicFigures figures;
  figures.of(TopicId{7}, there)->published += 1;
  for (uint32_t id = 100; id < 100 + topics::TopicFigures::kTopicsMax; ++id)
    figures.of(TopicId{id}, there)->published += 1;
  EXPECT_EQ(figures.find(TopicId{7})->published, 1u);
  EXPECT_EQ(figures.find(TopicId{100}), nullptr);
}

TEST_F(Metrics, EveryFamilyIsExplainedOnceAndInOnePiece) {
  port_.add_queue("a");
  port_.add_queue("b");
  const Scraped noted = scrape();
  std::vector<std::string> explained;
  std::istringstream lines(noted.body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      explained.push_back(line.substr(7, line.find(' ', 7) - 7));
    } else if (!line.starts_with("# TYPE ")) {
      ASSERT_FALSE(explained.empty());
      const std::string name = line.substr(0, line.find_first_of("{ "));
      const std::string rest = name.substr(std::min(explained.back().size(), name.size()));
      EXPECT_TRUE(name.starts_with(explained.back())) << line;
      EXPECT_TRUE(rest.empty() || rest == "_bucket" || rest == "_sum" || rest == "_count") << line;
    }
  }
  std::vector<std::string> all;
  for (const MetricFamily& family : metric_table())
    all.emplace_back(family.name);
  EXPECT_EQ(explained, all);
}

TEST_F(Metrics, WhoAsksMeanwhileGetsTheSameAnswerAndWhoLeavesIsForgotten) {
  port_.held_stats = true;
  Scraped first;
  Scraped second;
  Scraped gone;
  for (Scraped* noted : {&first, &second, &gone})
    front_.handle(get(), *noted);
  ASSERT_EQ(port_.answers.size(), 1u);
  front_.cancel(gone);
  port_.release(0);
  EXPECT_EQ(first.answers, 1);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(gone.answers, 0);
  front_.handle(get(), gone);
  front_.cancel(gone);
  EXPECT_EQ(port_.cancel_alls, 1u);
  port_.held_stats = false;
  EXPECT_EQ(scrape().status, 200);
}

TEST_F(Metrics, IsReadOnly) {
  Scraped noted;
  front_.handle(get("POST"), noted);
  EXPECT_EQ(noted.status, 405);
}

TEST(QueueFigures, TimesAreToldInBucketsThatContainTheOnesBefore) {
  auto times = std::make_shared<QueueTimes>();
  times->wait.add(0);      // under 1 ms
  times->wait.add(3);      // under 4 ms
  times->wait.add(3'999);  // under 4.096 s
  times->wait.add(INT64_C(1) << 40);
  QueueCounters counters;
  counters.oldest_sent_at_ms = 1'500;
  counters.times = times;
  Exposition text(metric_table());
  write_queue(text, "q", counters, TimeMs{4'000});
  const std::string body = text.take();
  for (const char* line :
       {"wait_seconds_bucket{queue=\"q\",le=\"0.001\"} 1\n",
        "wait_seconds_bucket{queue=\"q\",le=\"0.004\"} 2\n",
        "wait_seconds_bucket{queue=\"q\",le=\"1.024\"} 2\n",
        "wait_seconds_bucket{queue=\"q\",le=\"4.096\"} 3\n",
        "wait_seconds_bucket{queue=\"q\",le=\"268435.456\"} 3\n",
        "wait_seconds_bucket{queue=\"q\",le=\"+Inf\"} 4\n", "wait_seconds_count{queue=\"q\"} 4\n",
        "lease_seconds_count{queue=\"q\"} 0\n", "oldest_message_age_seconds{queue=\"q\"} 2.5\n"})
    EXPECT_NE(body.find(std::string("\nmillrace_queue_") + line), std::string::npos) << line;
}

TEST(QueueFigures, AShardTellsHowLongCommitsTookAndHowFarTheDiskIsBehind) {
  auto commits = std::make_shared<CommitTimes>();
  commits->add(70'000, 2);
  commits->add(1'000'000, 1);
  ShardStats stats;
  stats.end = {5'000};
  stats.durable = {4'000};
  stats.disk_full = true;
  stats.commits = commits;
  Exposition text(metric_table());
  write_shard(text, stats);
  const std::string body = text.take();
  for (const char* line : {"commit_seconds_bucket{shard=\"0\",le=\"5e-05\"} 0\n",
                           "commit_seconds_bucket{shard=\"0\",le=\"0.0001\"} 2\n",
                           "commit_seconds_bucket{shard=\"0\",le=\"0.0016\"} 3\n",
                           "commit_seconds_sum{shard=\"0\"} 0.00114\n",
                           "durable_lag_bytes{shard=\"0\"} 1000\n", "disk_full{shard=\"0\"} 1\n"})
    EXPECT_NE(body.find(std::string("\nmillrace_shard_") + line), std::string::npos) << line;
}

TEST(QueueFigures, OfTwoQueuesTogetherTheOlderMessageIsTheOldest) {
  auto times = std::make_shared<QueueTimes>();
  times->lease.add(5);
  QueueCounters sum;
  add_counters(sum, {.ready = 1, .sent = 2, .oldest_sent_at_ms = 50});
  add_counters(sum, {.ready = 3, .oldest_sent_at_ms = 40, .times = times});
  add_counters(sum, {.dead_lettered = 7, .times = times});
  EXPECT_EQ(sum.ready, 4u);
  EXPECT_EQ(sum.sent, 2u);
  EXPECT_EQ(sum.dead_lettered, 7u);
  EXPECT_EQ(sum.oldest_sent_at_ms, 40);
  EXPECT_EQ(sum.times->lease.count(), 2u);
}

}  // namespace
}  // namespace millrace::net::test
