#include "tools/daemon/start_definitions.h"

#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "base/os_clock.h"

namespace millrace::tools {
namespace {

// A change waits for a sync; a disk that takes longer than this is not one to start on.
constexpr int64_t kAnswerNs = 30'000'000'000;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 100'000};
constexpr uint32_t kListPage = 1'000;

class ShardAdmin final : public QueueAdmin, private ReplySink {
 public:
  explicit ShardAdmin(Broker& broker) : broker_(broker), port_(broker.shard(ShardId{0})) {}
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

 private:
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
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  Broker& broker_;
  ShardPort& port_;
  bool answered_ = false;
  Errc error_ = Errc::ok;
  std::string detail_;
  std::vector<QueueInfo> queues_;
};

}  // namespace

RunEnd apply_at_start(Broker& broker, std::span<const QueueDefinition> definitions,
                      std::string* why) {
  ShardAdmin admin(broker);
  std::vector<DefinitionOutcome> outcomes;
  const RunEnd end = run_definitions(definitions, admin, false, outcomes, why);
  if (end == RunEnd::done) *why = summary_of(outcomes);
  return end;
}

}  // namespace millrace::tools
