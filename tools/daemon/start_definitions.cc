#include "tools/daemon/start_definitions.h"

#include <ctime>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/os_clock.h"

namespace millrace::tools {
namespace {

// A change waits for a sync; a disk that takes longer than this is not one to start on.
constexpr int64_t kAnswerNs = 30'000'000'000;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 100'000};
constexpr uint32_t kListPage = 1'000;

class ShardAdmin final : public QueueAdmin, public TopicAdmin, private ReplySink {
 public:
  using ArnOfQueue = std::function<std::string(const std::string& queue)>;
  ShardAdmin(Broker& broker, const ArnOfQueue& arn_of_queue)
      : broker_(broker), port_(broker.shard(ShardId{0})), arn_of_queue_(arn_of_queue) {}
  ~ShardAdmin() override { port_.cancel_all(this); }
  ShardAdmin(const ShardAdmin&) = delete;
  ShardAdmin& operator=(const ShardAdmin&) = delete;

  bool list(std::map<std::string, QueueAttributes>& queues, std::string* why) override {
    std::string after;
    do {
      if (!ask(why, [&] { port_.list_queues({}, after, kListPage, {this, 0}); })) return false;
      for (QueueInfo& queue : queues_) {
        after = queue.name;
        queues.emplace(std::move(queue.name), std::move(queue.attributes));
      }
    } while (queues_.size() == kListPage);
    return true;
  }
  bool create(const std::string& name, const QueueSettings& settings, std::string* why) override {
    return ask(why, [&] { port_.create_queue(name, settings, {this, 0}); });
  }
  bool set(const std::string& name, const QueueSettings& settings, std::string* why) override {
    return ask(why, [&] { port_.set_queue(port_.find_queue(name)->id, settings, {this, 0}); });
  }

  // This shard's own copy says what there is.
  bool list_topics(std::map<std::string, KnownTopic>& topics, std::string*) override {
    std::vector<TopicInfo> all;
    port_.topics().list({}, UINT32_MAX, &all);
    for (TopicInfo& topic : all) {
      KnownTopic& known = topics[topic.name];
      known.attributes = std::move(topic.attributes);
      for (SubscriptionInfo& one : subscriptions_of(topic.id))
        if (!one.queue.empty()) known.subscriptions[one.queue] = std::move(one.attributes);
    }
    return true;
  }
  bool create_topic(const std::string& name, const TopicSettings& settings,
                    std::string* why) override {
    return ask(why, [&] { port_.topics().create(name, settings, {this, 0}); });
  }
  bool set_topic(const std::string& name, const TopicSettings& settings,
                 std::string* why) override {
    return ask(why, [&] { port_.topics().set(topic_of(name), settings, {this, 0}); });
  }
  bool subscribe(const std::string& topic, const SubscriptionDefinition& subscription,
                 std::string* why) override {
    const std::string arn = arn_of_queue_(subscription.queue);
    return ask(why, [&] {
      port_.topics().subscribe({.topic = topic_of(topic),
                                .protocol = "sqs",
                                .endpoint = arn,
                                .queue = subscription.queue,
                                .settings = {.attributes = subscription.attributes}},
                               {this, 0});
    });
  }
  bool set_subscription(const std::string& topic, const SubscriptionDefinition& subscription,
                        std::string* why) override {
    SubscriptionId id{};
    for (const SubscriptionInfo& one : subscriptions_of(topic_of(topic)))
      if (one.queue == subscription.queue) id = one.id;
    return ask(why, [&] {
      port_.topics().set(id, {.attributes = subscription.attributes}, {this, 0});
    });
  }

 private:
  TopicId topic_of(const std::string& name) {
    const TopicInfo* topic = port_.topics().find(name);
    return topic == nullptr ? TopicId{} : topic->id;
  }
  std::vector<SubscriptionInfo> subscriptions_of(TopicId topic) {
    std::vector<SubscriptionInfo> found;
    port_.topics().list(topic, SubscriptionId{}, UINT32_MAX, &found);
    return found;
  }

  template <class Request>
  bool ask(std::string* why, Request request) {
    answered_ = false;
    port_.refresh_clock();
    request();
    const int64_t end_ns = base::os_monotonic_ns() + kAnswerNs;
    while (!answered_) {
      bool more = false;
      for (uint16_t shard = 0; shard < broker_.shard_count(); ++shard)
        more |= broker_.shard(ShardId{shard}).tick();
      if (answered_ || more) continue;
      if (base::os_monotonic_ns() > end_ns) {
        *why = "the disk does not answer";
        return false;
      }
      // Nobody wakes this thread: who drives the shards next sets the waker.
      ::nanosleep(&kPause, nullptr);
    }
    if (error_ != Errc::ok) *why = detail_.empty() ? std::string(errc_text(error_)) : detail_;
    return error_ == Errc::ok;
  }

  void on_queues(uint64_t, const QueueReply& reply) override {
    answered_ = true;
    error_ = reply.error;
    detail_ = reply.detail;
    queues_.assign(reply.queues.begin(), reply.queues.end());
  }
  void on_topics(uint64_t, const TopicReply& reply) override {
    answered_ = true;
    error_ = reply.error;
    detail_ = reply.detail;
  }
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  Broker& broker_;
  ShardPort& port_;
  const ArnOfQueue& arn_of_queue_;
  bool answered_ = false;
  Errc error_ = Errc::ok;
  std::string detail_;
  std::vector<QueueInfo> queues_;
};

}  // namespace

RunEnd apply_at_start(Broker& broker, const Definitions& definitions,
                      const std::function<std::string(const std::string& queue)>& arn_of_queue,
                      std::string* why) {
  ShardAdmin admin(broker, arn_of_queue);
  std::vector<DefinitionOutcome> outcomes;
  const RunEnd end = run_definitions(definitions, admin, admin, false, outcomes, why);
  if (end == RunEnd::done) *why = summary_of(outcomes);
  return end;
}

}  // namespace millrace::tools
