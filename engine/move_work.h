// MoveWork: what this shard does for the message move tasks that run (move_tasks.h): each turn it
// moves some of what was ready in its part of the source when the task started, oldest first, and
// tells the keeper how far it is.
//
// Bounded by kMovedPerTickMax and kMovedBytesPerTickMax a turn for all tasks, which take turns in
// going first. A task's rate is shared out evenly among the shards that still have something; each
// shard earns its share by the millisecond and can save up one second of it.
//
// Threads: shard-local.  Memory: 120 bytes a task.
#pragma once

#include <functional>
#include <vector>

#include "engine/shard_parts.h"

namespace millrace::engine {

class MoveWork {
 public:
  explicit MoveWork(const ShardParts& parts) : parts_(parts) {}

  void on_start(const Mail& mail);
  void on_share(const Mail& mail);
  void on_stop(const Mail& mail);
  // This turn's share; calls ready(Partition&) where something behind what was taken may be had
  // now. True if there is more to do at once.
  bool step(const std::function<void(Partition&)>& ready);
  TimeMs next_deadline() const;

 private:
  struct Task {
    MovePart part{};
    QueueId source{};
    Slot end{};           // what came later stays
    uint64_t credit = 0;  // billionths of a message
    TimeMs credited_at{};
    TimeMs due{};       // when to go on
    TimeMs told_at{};   // how far it is
    uint64_t told = 0;  // moved
    Errc error = Errc::ok;
    bool ended = false;  // what it moved is not durable yet
    Position through{};  // if so
  };
  void move_some(Task& task, uint32_t* messages, uint32_t* bytes,
                 const std::function<void(Partition&)>& ready);
  uint32_t allowed(Task& task, uint32_t max);
  void end(Task& task, Errc error);
  void tell(Task& task);
  Task* find(uint64_t task);

  ShardParts parts_;
  std::vector<Task> tasks_;
  size_t first_ = 0;  // who goes first
};

}  // namespace millrace::engine
