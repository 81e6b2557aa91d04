// peer-load: the work of millrace-bench on another broker: messages of one size sent in batches
// over some connections, leased and acknowledged; one JSON object with the rate.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "bench/compare/peer.h"
#include "tools/common/parser.h"

namespace millrace::compare {

void demand(bool ok, const std::string& what) {
  if (ok) return;
  fmt::print(stderr, "peer-load: {}\n", what);
  std::exit(1);
}

const std::vector<PeerKind>& peer_kinds() {
  static const std::vector<PeerKind> kinds{{"redis-lists", open_redis_lists},
                                           {"redis-streams", open_redis_streams},
                                           {"nats", open_nats},
                                           {"beanstalkd", open_beanstalkd},
                                           {"rabbitmq", open_rabbitmq}};
  return kinds;
}

namespace {

constexpr uint32_t kEmptyRoundsMax = 10'000;

struct LoadOptions {
  std::string peer;
  std::string workload = "e2e";
  uint64_t messages = 1'000'000;
  uint64_t connections = 16;
  uint64_t size = 128;
  uint64_t batch = 100;
  uint64_t port = 0;
  std::string variant;
};

using Peers = std::vector<std::unique_ptr<Peer>>;

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options) {}

  int run() {
    const PeerKind* kind = nullptr;
    for (const PeerKind& known : peer_kinds())
      if (options_.peer == known.name) kind = &known;
    demand(kind != nullptr, fmt::format("--peer is '{}'; see --help", options_.peer));
    PeerOptions each;
    each.port = static_cast<uint16_t>(options_.port);
    each.variant = options_.variant;
    each.body = std::string(options_.size, 'm');
    each.batch_max = static_cast<uint32_t>(options_.batch);
    const auto open = [&](Peers& peers) {
      for (uint64_t i = 0; i < options_.connections; ++i, ++each.connection) {
        peers.push_back(kind->open(each));
        if (each.connection == 0) peers[0]->prepare();
      }
    };
    Peers senders;
    Peers takers;
    open(senders);
    open(takers);
    const bool fill = options_.workload == "consume";
    if (fill) send(senders);
    const auto from = std::chrono::steady_clock::now();
    if (options_.workload == "produce") {
      send(senders);
    } else if (fill) {
      take(takers);
    } else {
      std::thread producer([&] { send(senders); });
      take(takers);
      producer.join();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
    fmt::print(
        "{{\"peer\":\"{}\",\"workload\":\"{}\",\"messages\":{},\"seconds\":{:.3f},"
        "\"msgs_per_s\":{:.0f}}}\n",
        options_.peer, options_.workload, options_.messages, took.count(),
        static_cast<double>(options_.messages) / took.count());
    return 0;
  }

 private:
  uint32_t share(uint64_t left) const {
    return static_cast<uint32_t>(left < options_.batch ? left : options_.batch);
  }
  void send(Peers& peers) const {
    uint64_t left = options_.messages;
    while (left > 0) {
      std::vector<Peer*> asked;
      for (auto& peer : peers) {
        const uint32_t count = share(left);
        if (count == 0) break;
        peer->begin_send(count);
        left -= count;
        asked.push_back(peer.get());
      }
      for (Peer* peer : asked)
        peer->finish_send();
    }
  }
  void take(Peers& peers) const {
    uint64_t left = options_.messages;
    uint32_t empty = 0;
    while (left > 0) {
      for (auto& peer : peers)
        peer->begin_take(static_cast<uint32_t>(options_.batch));
      uint64_t taken = 0;
      for (auto& peer : peers)
        taken += peer->finish_take();
      for (auto& peer : peers)
        peer->finish_ack();
      demand(taken <= left, "more came than was sent");
      left -= taken;
      empty = taken == 0 ? empty + 1 : 0;
      demand(empty < kEmptyRoundsMax, fmt::format("{} messages never came", left));
    }
  }

  const LoadOptions options_;
};

}  // namespace
}  // namespace millrace::compare

int main(int argc, char** argv) {
  using namespace millrace::compare;
  LoadOptions options;
  millrace::tools::Parser parser("peer-load", "The work of millrace-bench on another broker.",
                                 MILLRACE_VERSION);
  parser.root()
      .option("--peer", "NAME", options.peer,
              "redis-lists, redis-streams, nats, beanstalkd or rabbitmq")
      .option("--port", "PORT", options.port, "where it listens on 127.0.0.1")
      .option("--variant", "NAME", options.variant, "rabbitmq: classic or quorum")
      .option("--workload", "NAME", options.workload,
              "produce (send), consume (fill, then lease and acknowledge), e2e (all at once)")
      .option("--messages", "N", options.messages, "")
      .option("--connections", "N", options.connections, "to send; and as many to receive")
      .option("--size", "BYTES", options.size, "of a message")
      .option("--batch", "N", options.batch, "messages under way on a connection");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  return Load(options).run();
}
