// Sends: a producer's run finds the shards its messages belong to.
//
// Standard queues take it where it arrives. A FIFO queue lives on one shard, or, spread by group,
// on several: what belongs elsewhere is mailed there, is stored and answered at that log's pace,
// and the last answer completes the whole. Mail between two shards keeps its order, so runs of one
// connection stay in order within a group.
//
// Threads: shard-local.  Memory: for each run under way elsewhere its copy, and 12 bytes a message;
// at most kGathersPerShardMax runs.
#pragma once

#include <unordered_map>
#include <vector>

#include "engine/send_gate.h"
#include "engine/shard_parts.h"

namespace millrace::engine {

class Sends {
 public:
  // `safe_at`: until the log is durable there, every send waits for a sync.
  Sends(const ShardParts& parts, const Position& safe_at, SendGate& gate)
      : parts_(parts), safe_at_(safe_at), gate_(gate) {}

  void send(const SendRequest& request, ReplyTo to);
  // A part of another shard's run, and the answer to one.
  void on_send(const Mail& mail);
  void on_sent(const Mail& mail);
  void cancel_all(const ReplySink* sink);
  void fail_all(Errc error);
  size_t under_way() const { return forwarded_.size(); }
  // Of the runs under way elsewhere; each lies there for a turn or two.
  uint64_t memory_bytes() const { return forwarded_bytes_; }

 private:
  struct Part {
    std::vector<std::byte> run;
    std::vector<uint32_t> order;  // which message of the whole run each is
  };
  struct Forwarded {
    ReplyTo to{};
    uint32_t parts_left = 0;
    uint64_t bytes = 0;
    SendReply reply{};
    std::vector<uint64_t> shard_slots{};
    std::vector<std::vector<uint32_t>> order{};  // by shard
  };
  struct Stored {
    Position end;
    bool durable;
    Durability level;
    Slot first;
    std::span<const Slot> slots;  // empty: consecutive
  };
  Result<Stored> store(const QueueInfo& queue, Bytes run, uint32_t count);
  void store_and_answer(const QueueInfo& queue, const SendRequest& request, ReplyTo to);
  void forward(const QueueInfo& queue, const SendRequest& request, ReplyTo to);

  ShardParts parts_;
  const Position& safe_at_;
  SendGate& gate_;
  std::unordered_map<uint64_t, Forwarded> forwarded_;
  uint64_t forwarded_bytes_ = 0;
  uint64_t next_job_ = 1;
  std::vector<ShardId> homes_;  // reused: of each message of a run
};

// The shard that a FIFO queue's messages with these properties live on.
ShardId home_of(const QueueInfo& queue, const base::KeyedHash& names, Bytes properties,
                uint16_t shards);

}  // namespace millrace::engine
