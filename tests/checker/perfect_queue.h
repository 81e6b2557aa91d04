// PerfectQueue: a queue server in a few lines, right by construction, for making legal histories.
//
// Messages live in shards; each shard is a log, and the state is the fold of the logs. A kill
// changes nothing. A power loss cuts each log at a place of its own choosing behind what the mode
// promised, and folds again. Time is passed in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/checker/event.h"

namespace millrace::checker {

class PerfectQueue {
 public:
  static constexpr uint32_t kShards = 3;

  struct Delivery {
    std::string key;
    uint64_t receipt = 0;  // rises with every lease, never used again
    uint32_t n = 0;
  };

  LogPlace send(Nanoseconds now, uint32_t shard, const std::string& queue, const std::string& key,
                Nanoseconds delay);
  // Leases up to `max` visible messages of the queue.
  std::vector<Delivery> receive(Nanoseconds now, const std::string& queue, size_t max,
                                Nanoseconds visibility);
  // True if the message is gone or the receipt is of a past lease, in which case nothing is done.
  // False if the receipt is of a lease that a power loss took: answering yes without an effect
  // would be a lie.
  bool remove(Nanoseconds now, const std::string& key, uint64_t receipt);
  // False, and nothing done, unless the lease is the newest one and runs.
  bool change(Nanoseconds now, const std::string& key, uint64_t receipt, Nanoseconds visibility);
  void purge(Nanoseconds now, const std::string& queue);

  // What was acknowledged about this message until now, or about everything, must outlive a power
  // loss.
  void promise(const std::string& key);
  void promise_all();
  // Everything older than `t` must outlive a power loss.
  void promise_older_than(Nanoseconds t);

  // `choose(n)` gives a number in 0..n: how many of the n records without promise a shard keeps.
  void lose_power(const std::function<size_t(size_t)>& choose);

  size_t count(const std::string& queue) const;

 private:
  enum class Kind : uint8_t { send, lease, change, remove, purge };
  struct Record {
    Kind kind{};
    Nanoseconds now = 0;
    std::string queue, key;
    uint64_t receipt = 0;
    Nanoseconds until = 0;  // visible again, or first visible
  };
  struct Shard {
    std::vector<Record> log;
    size_t promised = 0;  // records
  };
  struct Message {
    std::string queue;
    uint64_t receipt = 0;
    uint32_t shard = 0, n = 0;
    Nanoseconds visible_at = 0;
  };

  void append(uint32_t shard, Record record);
  void apply(uint32_t shard, size_t at);

  std::vector<Shard> shards_ = std::vector<Shard>(kShards);
  std::map<std::string, Message> messages_;
  std::map<std::string, uint32_t> shard_by_key_;
  uint64_t receipts_ = 0;
};

}  // namespace millrace::checker
