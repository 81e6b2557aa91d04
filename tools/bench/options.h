// What a run of millrace-bench was told; all of it is in the result's "config".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/types.h"
#include "tools/common/login.h"

namespace millrace::tools {

enum class Workload : uint8_t { produce, consume, e2e, latency, echo };
std::string_view workload_name(Workload workload);

struct BenchOptions {
  std::string server = "127.0.0.1:7411";
  Workload workload = Workload::e2e;
  std::string queue;         // empty: of its own
  uint32_t queues = 1;       // of its own
  uint64_t messages = 0;     // 0: until the time is over
  uint64_t duration_ms = 0;  // 0: until all messages are done
  uint32_t size = 128;       // bytes of a body
  uint32_t batch = 100;      // messages in a request
  uint32_t connections = 4;
  uint32_t inflight = 8;    // requests under way per connection
  double rate = 0;          // messages a second, open loop; 0: as fast as answers come
  bool spin = false;        // never sleep
  bool fifo = false;        // a queue of its own is a FIFO queue
  uint32_t groups = 0;      // message groups, spread over the connections; 0: no group ids
  bool by_content = false;  // FIFO: deduplication by content, not by ids
  std::vector<std::string> attributes;  // NAME=VALUE, of a queue of its own
  std::vector<uint32_t> pin;
  std::string json;
  std::string plot;
  int64_t server_pid = 0;
  bool http = false;
  bool sign = false;  // http: with a key of the environment
  std::string sign_id, sign_secret, sign_token;
  std::string region = "us-east-1";
  LoginFlags login;  // not http
  bool embedded = false;
  std::string data;                            // embedded: empty: a temporary directory
  uint16_t shards = 1;                         // embedded
  Durability durability = Durability::commit;  // embedded
};

// The options, or the exit code (0 after --help, 2 after one line on standard error).
std::optional<int> read_bench_options(int argc, char** argv, BenchOptions& options);

}  // namespace millrace::tools
