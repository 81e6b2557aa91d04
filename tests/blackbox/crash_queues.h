// The queues of a crash run, what its clients share, and what they owe each other: Obligations.
//
// Queues of every kind at once. Some are left alone so that every promise about them can be asked
// for; others are purged, deleted and created again, or emptied by move tasks.
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "millrace/engine.h"
#include "tests/checker/history_writer.h"

namespace millrace::blackbox {

inline constexpr uint32_t kVisibilityMsLongest = 1000;
inline constexpr uint32_t kVisibilityMsOfQueues = 600;
inline constexpr uint32_t kDelayMsLongest = 300;

struct Queue {
  static constexpr int kNowhere = -2, kBack = -1;

  std::string name;
  QueueId id{};
  bool fifo = false;
  bool spread = false;  // FIFO by group, on all shards; its deduplication ids too are of a group
  uint32_t delay_ms = 0;
  uint32_t receives_max = 0;  // then to `dead_letters`
  size_t dead_letters = 0;
  bool sent_to = true;
  bool subscribed = false;  // to the topic, raw
  bool purged = false;
  bool made_again = false;  // deleted and created again
  int moved_to =
      kNowhere;  // what move tasks do: back to where it came from, or the index of a queue
};

inline constexpr const char* kTopic = "orders";
inline constexpr std::string_view kPublishedKey = "t-";  // begins one

std::vector<Queue> crash_queues();
QueueSettings settings_of(const std::vector<Queue>& queues, const Queue& queue);
// Of its mkq line.
checker::HistoryFields fields_of(const std::vector<Queue>& queues, const Queue& queue);

// What must be, and what must not be, in the queues after a crash. Keys as key_of() makes them.
struct Obligations {
  std::set<std::string> present;   // send acknowledged, delete not asked for
  std::set<std::string> absent;    // delete acknowledged
  std::set<std::string> deleting;  // delete asked for: may be gone from then on
};

// A lease as its client keeps it; whoever has it may end it, over either protocol.
struct Held {
  std::string key;
  size_t queue = 0;
  Receipt receipt{};
};

struct World {
  std::vector<Queue> queues = crash_queues();
  Obligations obligations;
  std::string durability = "commit";  // what answers promise now, for the `dur` fields
  std::deque<Held> handed_over;       // leases that one client leaves to another
  int64_t unfinished = 0;             // messages sent and not deleted, as far as is known
  // Deduplication ids to be used again, of each queue: group and id.
  std::vector<std::deque<std::pair<std::string, std::string>>> ids{queues.size()};

  // A body's own, and in a subscribed queue or behind one with that queue's name: what is published
  // comes into all of them.
  std::string key_of(std::string_view body, size_t queue) const;
  // Whether what was acknowledged there has to be there, and what was deleted not, at any time.
  bool steady(size_t queue) const;
};

}  // namespace millrace::blackbox
