#include "net/metrics/metrics_front.h"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "net/metrics/metric_table.h"
#include "net/metrics/queue_figures.h"
#include "net/metrics/topic_figures.h"

namespace millrace::net {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// 0: the system does not say.
uint64_t resident_bytes() {
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128] = {};
  const ssize_t n = ::read(file, text, sizeof text - 1);
  ::close(file);
  unsigned long pages = 0;
  if (n <= 0 || std::sscanf(text, "%*u %lu", &pages) != 1) return 0;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

MetricsFront::MetricsFront(ShardPort& port, const ServerFigures& figures, MetricsSettings settings)
    : port_(port), figures_(figures), settings_(std::move(settings)) {}

void MetricsFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  if (request.method != "GET" && request.method != "HEAD") {
    constexpr HttpField kReads{"Allow", "GET, HEAD"};
    exchange.answer({.status = 405, .fields = {&kReads, 1}, .body = "GET is taken here\n"});
    return;
  }
  asked_.push_back(&exchange);
  if (scrape_ != nullptr) return;
  scrape_ = std::make_unique<Scrape>(Scrape{Exposition(metric_table())});
  port_.broker_stats({this, 0});
}

void MetricsFront::cancel(HttpExchange& exchange) {
  std::erase(asked_, &exchange);
  if (!asked_.empty() || scrape_ == nullptr) return;
  port_.cancel_all(this);
  scrape_.reset();
}

void MetricsFront::on_stats(uint64_t, const BrokerStatsReply& reply) {
  for (const ShardStats& shard : reply.shards) {
    write_shard(scrape_->text, shard);
    const std::string number = std::to_string(raw(shard.shard));
    scrape_->text.sample(kShardCpu, {"shard", number},
                         static_cast<double>(figures_.cpu_ns(shard.shard)) / 1e9);
  }
  if (!reply.shards.empty())
    scrape_->text.sample(kMemoryMax, {}, reply.shards.front().memory_bytes_max);
  write_process();
  if (reply.error != Errc::ok) return finish(false);
  ask_next();
}

void MetricsFront::ask_next() {
  port_.list_queues({}, scrape_->last, kQueuesAtOnce, {this, kList});
}

void MetricsFront::on_queues(uint64_t token, const QueueReply& reply) {
  if (reply.error != Errc::ok) return finish(false);
  if (token == kCount) {
    take(reply.queues);
    return ask_next();
  }
  if (reply.queues.empty()) return finish(true);
  std::array<QueueId, kQueuesAtOnce> ids{};
  size_t count = 0;
  for (const QueueInfo& queue : reply.queues)
    ids[count++] = queue.id;
  scrape_->last = reply.queues.back().name;
  port_.queue_stats(std::span(ids).first(count), {this, kCount});
}

void MetricsFront::take(std::span<const QueueInfo> queues) {
  for (const QueueInfo& queue : queues) {
    if (scrape_->queues++ < settings_.queues_max) {
      write_queue(scrape_->text, queue.name, queue.counters, port_.now());
    } else {
      ++scrape_->left_out;
      add_counters(scrape_->rest, queue.counters);
    }
  }
}

void MetricsFront::write_process() {
  Exposition& text = scrape_->text;
  for (const auto& [protocol, counts] :
       {std::pair{"binary", &figures_.binary}, std::pair{"http", &figures_.http}}) {
    const Label label{"protocol", protocol};
    text.sample(kConnections, label, counts->open());
    text.sample(kConnectionsAccepted, label, counts->accepted.load(std::memory_order_relaxed));
    text.sample(kConnectionsRefused, label, counts->refused.load(std::memory_order_relaxed));
    text.sample(kConnectionsDropped, label, counts->dropped.load(std::memory_order_relaxed));
  }
  for (const auto& [metric, requests] : {std::pair{kSqsRequests, settings_.sqs_requests},
                                         std::pair{kSnsRequests, settings_.sns_requests}}) {
    if (requests == nullptr) continue;
    requests->visit([&](std::string_view action, uint16_t status, uint64_t count) {
      text.sample(metric, {"action", action}, {"status", std::to_string(status)}, count);
    });
  }
  if (settings_.publishes != nullptr) write_topics(*settings_.publishes);
  const AuditLog* const audit = settings_.audit;
  text.sample(kAuditLines, {}, audit != nullptr ? audit->written() : uint64_t{0});
  text.sample(kAuditDropped, {}, audit != nullptr ? audit->dropped() : uint64_t{0});
  text.sample(kBuildInfo, {"version", settings_.version}, uint64_t{1});
  text.sample(kProcessStart, {}, static_cast<double>(figures_.started_ms()) / 1e3);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  text.sample(kProcessCpu, {}, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
  text.sample(kProcessMemory, {}, resident_bytes());
}

void MetricsFront::write_topics(const topics::PublishFigures& publishes) {
  constexpr uint32_t kTopicsAtOnce = 100;
  TopicSums rest;
  uint64_t count = 0;
  std::vector<TopicInfo> page;
  do {
    const std::string after = page.empty() ? std::string() : page.back().name;
    page.clear();
    port_.topics().list(after, kTopicsAtOnce, &page);
    for (const TopicInfo& topic : page) {
      TopicSums own;
      add_topic(count < settings_.queues_max ? own : rest, publishes.topics.find(topic.id).get());
      if (count++ < settings_.queues_max) write_topic(scrape_->text, topic.name, own);
    }
  } while (page.size() == kTopicsAtOnce);
  scrape_->text.sample(kTopics, {}, count);
  if (count > settings_.queues_max) write_topic(scrape_->text, {}, rest);
}

void MetricsFront::finish(bool complete) {
  // An answer may bring the next request.
  const std::unique_ptr<Scrape> scrape = std::move(scrape_);
  Exposition& text = scrape->text;
  if (complete) {
    text.sample(kQueues, {}, scrape->queues);
    text.sample(kQueuesWithoutSeries, {}, scrape->left_out);
    if (scrape->left_out > 0) write_queue(text, {}, scrape->rest, port_.now());
  }
  text.sample(kScrapeComplete, {}, uint64_t{complete});
  const std::string body = text.take();
  for (HttpExchange* const exchange : std::exchange(asked_, {}))
    exchange->answer({.content_type = kExpositionType, .body = body});
}

}  // namespace millrace::net
