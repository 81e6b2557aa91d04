// ReceiveAttempts: what was given for each receive attempt id, so that a receive whose answer was
// lost can be asked again and gets the same messages.
//
// An attempt is kept for five minutes. It holds as long as none of its messages was acknowledged,
// moved, too old or had its lease changed or ended; who asks again then is given other messages.
// Leases that nobody waits for any more are given back to the queue, but not those of an attempt.
// Only in memory: after a restart the messages come back when their leases end.
//
// Threads: shard-local.  Memory: about 100 bytes an attempt and 16 a message, of the newest
// kReceiveAttemptsMax.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"
#include "millrace/types.h"

namespace millrace::engine {

// Of a queue and a receive attempt id; zero: none was given.
using AttemptKey = base::Hash128;

class ReceiveAttempts {
 public:
  static constexpr int64_t kKeptMs = 300'000;

  struct Given {
    Slot slot{};
    uint32_t generation = 0;
  };
  struct Attempt {
    TimeMs until{};  // when its leases end, if nothing changed them
    std::vector<Given> given;
    TimeMs forgotten_at{};
  };

  // Null if it is unknown or too old. Valid until the next call.
  Attempt* find(const AttemptKey& key, TimeMs now);
  void put(const AttemptKey& key, TimeMs until, std::vector<Given> given, TimeMs now);
  void forget(const AttemptKey& key) { attempts_.erase(key); }
  size_t size() const { return attempts_.size(); }

 private:
  struct Hash {
    size_t operator()(const AttemptKey& key) const { return key.low; }
  };

  std::unordered_map<AttemptKey, Attempt, Hash> attempts_;
  std::deque<std::pair<TimeMs, AttemptKey>> oldest_;  // when each is forgotten
};

}  // namespace millrace::engine
