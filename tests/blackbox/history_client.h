// HistoryClient: one connection's worth of random work, with every request and answer in a history
// (tests/checker/README.md).
//
// Also keeps, in memory, what the answers so far oblige the server to: Obligations, for power-loss
// images that are examined while the run goes on. Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "clients/cpp/client.h"
#include "tests/checker/history_writer.h"

namespace millrace::blackbox {

struct Queue {
  std::string name;
  QueueId id{};
};

// What must be, and what must not be, in the queues after a crash. Keys are the bodies' own.
struct Obligations {
  std::set<std::string> present;   // send acknowledged, delete not asked for
  std::set<std::string> absent;    // delete acknowledged
  std::set<std::string> deleting;  // delete asked for: may be gone from then on
};

inline constexpr uint32_t kVisibilityMsLongest = 1500;
inline constexpr uint32_t kDelayMsLongest = 400;

class HistoryClient {
 public:
  // `durability` is what the server promises: "commit", "interval=MS" or "none", for the `dur`
  // fields.
  HistoryClient(std::string name, const std::string& folder, uint64_t seed, std::string durability,
                Obligations* obligations);

  // Connects after each start of the server. False if it cannot.
  bool connect(const std::string& address, const std::vector<Queue>& queues);
  // Makes requests until enough are under way and waits at most `timeout_ms` for answers. False
  // once the connection is gone; what was under way is in the history as unknown.
  bool turn(int timeout_ms);
  // Ends the connection; what is under way becomes unknown.
  void disconnect();
  bool failed() const { return history_.failed(); }
  const std::string& complaint() const { return complaint_; }

  uint64_t sends() const { return sends_; }
  uint64_t receives() const { return receives_; }
  uint64_t deletes() const { return deletes_; }

  // Receives and deletes until three receives in a row, each waiting longer than any lease or delay
  // of the run, brought nothing.
  bool drain(const Queue& queue, uint64_t deliveries_max);

 private:
  struct Held {
    std::string key;
    size_t queue = 0;
    Receipt receipt{};
  };

  void request();
  void send();
  void receive(size_t queue, uint32_t visibility_ms, uint32_t wait_ms, uint32_t messages_max);
  void remove(std::vector<Held> held);
  void change_visibility();
  void take(size_t queue, uint64_t number, const client::Answer& answer);

  std::string name_;
  base::Prng prng_;
  std::string durability_;
  Obligations* obligations_;
  checker::HistoryWriter history_;
  std::unique_ptr<client::Client> client_;
  std::vector<Queue> queues_;
  std::vector<Held> held_;
  std::string complaint_;
  uint64_t next_key_ = 1;
  uint64_t sends_ = 0, receives_ = 0, deletes_ = 0;
  bool drained_something_ = false;
};

}  // namespace millrace::blackbox
