// Transport: how a load reaches a broker: connections over the network, or the library's own calls.
//
// A lane is one pipeline (a connection; embedded: a client of one shard). Requests are queued on a
// lane; turn() sends them, waits, and calls the events. One virtual call a batch, none a message.
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "millrace/message.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "tools/bench/options.h"

namespace millrace::tools {

struct Arrived {
  Receipt receipt;
  Bytes body;  // until the event returns
};

class LoadEvents {
 public:
  virtual ~LoadEvents() = default;
  virtual void on_sent(uint32_t lane, uint32_t token, Errc error) = 0;
  virtual void on_arrived(uint32_t lane, uint32_t subscription,
                          std::span<const Arrived> messages) = 0;
  virtual void on_acked(uint32_t lane, uint32_t count, uint32_t refused) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Set-up and figures; these wait for their answers.
  virtual Result<QueueId> make_queue(const std::string& name, const QueueSettings& settings) = 0;
  virtual Result<QueueId> find_queue(const std::string& name) = 0;
  virtual void delete_queue(QueueId queue) = 0;
  virtual Result<QueueCounters> counters(QueueId queue) = 0;
  virtual std::optional<Durability> durability() const = 0;  // nothing: the broker does not tell
  virtual std::string_view name() const = 0;                 // "tcp", "unix", "http", "embedded"
  virtual int64_t server_pid() const = 0;                    // 0: not known

  // The load. A request that cannot be queued is a failure of the run.
  virtual void set_events(LoadEvents* events) = 0;
  virtual Status send(uint32_t lane, QueueId queue, Bytes run, uint32_t count, uint32_t token) = 0;
  // A lane's subscriptions are 0, 1, 2, ..., in this order.
  virtual Status subscribe(uint32_t lane, uint32_t subscription, QueueId queue, uint32_t batch,
                           uint64_t credit) = 0;
  virtual Status add_credit(uint32_t lane, uint32_t subscription, uint64_t messages) = 0;
  virtual Status ack(uint32_t lane, std::span<const Receipt> receipts) = 0;
  // Sends what is queued and calls the events of what arrives, waiting for it at most `wait_ns`.
  virtual Status turn(int64_t wait_ns) = 0;
  // After a failure: one line.
  virtual const std::string& failure() const = 0;
};

std::unique_ptr<Transport> make_network_transport(const BenchOptions& options,
                                                  std::string* message);
std::unique_ptr<Transport> make_http_transport(const BenchOptions& options, std::string* message);
std::unique_ptr<Transport> make_embedded_transport(const BenchOptions& options,
                                                   std::string* message);

}  // namespace millrace::tools
