#include "net/http/health_front.h"

#include <utility>

#include <fmt/format.h>

namespace millrace::net {

void HealthFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  if (request.method != "GET" && request.method != "HEAD") {
    constexpr HttpField kReads{"Allow", "GET, HEAD"};
    exchange.answer({.status = 405, .fields = {&kReads, 1}, .body = "GET is taken here\n"});
    return;
  }
  asked_.push_back({&exchange, request.path() == kReady});
  if (asked_.size() == 1) port_.broker_stats({this, 0});
}

void HealthFront::cancel(HttpExchange& exchange) {
  std::erase_if(asked_, [&](const Asked& asked) { return asked.exchange == &exchange; });
  if (asked_.empty()) port_.cancel_all(this);
}

void HealthFront::on_stats(uint64_t, const BrokerStatsReply& reply) {
  for (const Asked& asked : std::exchange(asked_, {})) {
    const std::string wrong = complaint(reply, asked.ready);
    asked.exchange->answer({.status = static_cast<uint16_t>(wrong.empty() ? 200 : 503),
                            .body = wrong.empty() ? "ok\n" : wrong});
  }
}

std::string HealthFront::complaint(const BrokerStatsReply& stats, bool ready) const {
  if (stats.error != Errc::ok) return std::string(errc_text(stats.error)) + "\n";
  for (const ShardStats& shard : stats.shards) {
    if (shard.fenced)
      return fmt::format(
          "shard {} is fenced: a write or a sync failed, nothing is acknowledged any more\n",
          raw(shard.shard));
  }
  if (!ready) return {};
  if (gate_.stop_asked()) return "the server is stopping\n";
  for (const ShardStats& shard : stats.shards) {
    if (shard.disk_full)
      return fmt::format("shard {} has no disk space: sends are refused\n", raw(shard.shard));
    if (shard.memory_full) return "the memory budget is used up: sends are refused\n";
  }
  return {};
}

}  // namespace millrace::net
