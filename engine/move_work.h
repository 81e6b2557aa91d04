// MoveWork: what this shard does for the message move tasks that run (move_tasks.h): each turn it
// moves some of what was ready in its part of the source when the task started, oldest first, and
// tells the keeper how far it is.
//
// Bounded by kMovedPerTickMax and kMovedBytesPerTickMax a turn for all tasks, which take turns in
// going first. A task's rate is shared out evenly among the shards that still have something; each
// shard earns its share by the millisecond and can save up one second of it.
//
// If the destination is a FIFO queue that is named, a message's group may live on another shard. It
// goes there in the steps of moves_across.cc: hidden here and durable, told to its home
// (move_over), durable there (move_arrived), acknowledged here and durable, and then forgotten
// there (move_closed). At most kMovesOpenMax of a task are under way, and a task ends when none is.
//
// Threads: shard-local.  Memory: 200 bytes a task, 100 a message under way.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "engine/shard_parts.h"

namespace millrace::engine {

class MoveWork {
 public:
  explicit MoveWork(const ShardParts& parts) : parts_(parts) {}

  void on_start(const Mail& mail);
  void on_share(const Mail& mail);
  void on_stop(const Mail& mail);
  // Of another shard's task, and its answers.
  void on_over(const Mail& mail);
  void on_arrived(const Mail& mail);
  void on_closed(const Mail& mail);
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
    // Across shards.
    bool across = false;
    std::set<uint64_t> open{};  // slots that are hidden here
    struct ToSend {
      Position hidden_at{};  // to be durable before
      TimeMs due{};
      std::vector<uint64_t> slots{};
    };
    std::vector<ToSend> to_send{};
    struct Closing {
      Position through{};  // to be durable before
      ShardId home{};
      std::vector<uint64_t> slots{};
    };
    std::vector<Closing> closing{};
    bool has_under_way() const { return !open.empty() || !closing.empty(); }
  };
  void move_some(Task& task, uint32_t* messages, uint32_t* bytes,
                 const std::function<void(Partition&)>& ready);
  uint32_t allowed(Task& task, uint32_t max);
  void find_hidden(Task& task);
  ShardId home_of_message(const Task& task, Bytes properties) const;
  void send_over(Task& task, const Task::ToSend& batch);
  void tell_what_is_durable(Task& task);
  void end(Task& task, Errc error);
  void nothing_ready(Task& task, const Partition& source);
  void tell(Task& task);
  Task* find(uint64_t task);

  ShardParts parts_;
  std::vector<Task> tasks_;
  size_t first_ = 0;  // who goes first
};

}  // namespace millrace::engine
