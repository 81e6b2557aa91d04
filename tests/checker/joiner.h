// Joiner: pairs each invocation of one file with its end and hands the operation to the History.
//
// The rules of the format are enforced here: numbers of a client rise, an end follows its
// invocation and names the same operation, the fields an operation needs are there. What breaks
// them makes the history unusable, since a wrong pairing would make every verdict about it
// worthless. Memory: one entry per operation in flight.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tests/checker/event.h"
#include "tests/checker/history.h"

namespace millrace::checker {

class Joiner {
 public:
  Joiner(History& history, uint32_t file) : history_(history), file_(file) {}

  // Returns what is wrong with the line, or an empty text.
  std::string take(const Event& event, uint32_t line);

  // The file has ended: what is still in flight has an unknown outcome. Returns as take() does.
  std::string finish();

 private:
  struct Pending {
    Nanoseconds t = 0;
    uint64_t hash = 0, receipt = 0, log_bytes = 0, group = 0, dedup = 0;
    uint32_t line = 0;
    KeyId key = 0;
    QueueId queue = 0;
    std::optional<QueueId> target;  // of a move task; none: where each message came from
    uint32_t visibility_ms = kAbsentMs, delay_ms = kAbsentMs;
    Durability durability;
    Op op{};
  };
  struct Client {
    uint64_t last_number = 0;
    bool any = false;
    std::unordered_map<uint64_t, Pending> in_flight;
    // The receive whose answer is being read: several ok lines, one after the other.
    Pending answered;
    uint64_t answered_number = 0;
    bool answering = false;
  };

  Client& client(std::string_view name);
  std::string begin(Client& client, const Event& event, uint32_t line);
  std::string end(Client& client, const Event& event, uint32_t line);
  std::string end_receive(const Pending& begun, const Event& event, uint32_t line);
  std::string close(const Pending& begun, const Event* event, uint32_t line);

  History& history_;
  uint32_t file_;
  std::map<std::string, Client, std::less<>> clients_;
  Client* last_client_ = nullptr;
  std::string last_name_;
};

}  // namespace millrace::checker
