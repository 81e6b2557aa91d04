// Gathers: requests that several shards answer together: ack and extend of receipts of any shard,
// peek, purge, repeated receives, counters and shard figures.
//
// The shard that was asked mails a part to each shard concerned (itself included), each does its
// part and answers at its own log's pace, and the last answer completes the whole. Requests about
// this shard alone never come here (Shard::ack).
//
// Threads: shard-local.  Memory: the request's and the parts' arrays while under way; at most
// kGathersPerShardMax.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/receives.h"
#include "engine/shard_parts.h"

namespace millrace::engine {

class Gathers {
 public:
  Gathers(const ShardParts& parts, Receives& receives) : parts_(parts), receives_(receives) {}

  void ack(std::span<const Receipt> receipts, std::vector<Errc> results, ReplyTo to);
  void extend(const ExtendRequest& request, std::vector<Errc> results, ReplyTo to);
  void peek(const PeekRequest& request, ReplyTo to);
  void purge(QueueId queue, ReplyTo to);
  // A receive with an attempt id of a queue that lies on several shards: whichever knows the
  // attempt repeats it. If none does it is a receive as any.
  void repeat(const ReceiveRequest& request, ReplyTo to);
  void counters(std::vector<QueueInfo> queues, ReplyTo to);
  void shard_stats(Durability durability, ReplyTo to);
  void cancel_all(const ReplySink* sink);
  void cancel(ReplyTo to);
  // Answers all that are under way with `error`.
  void fail_all(Errc error);
  size_t under_way() const { return gathers_.size(); }

  // A part asked of this shard.
  void on_ack(Mail& mail);
  void on_extend(Mail& mail);
  void on_peek(const Mail& mail);
  void on_purge(const Mail& mail);
  void on_repeat(const Mail& mail);
  void on_counters(const Mail& mail);
  void on_shard_stats(const Mail& mail, const ShardStats& stats);
  // An answer to this shard.
  void on_part(MailPtr mail);

 private:
  struct Gather {
    MailKind kind{};
    ReplyTo to{};
    uint32_t parts_left = 0;
    Errc error = Errc::ok;
    std::vector<Errc> results{};
    std::vector<std::vector<uint32_t>>
        order{};                      // ack, extend: entry of each part's result, by shard
    std::vector<MailPtr> answers{};   // peek, repeat
    ReceiveRequest receive{};         // repeat
    std::string attempt_id{};         // what its attempt_id views
    uint32_t messages_max = 0;        // peek
    std::vector<QueueInfo> queues{};  // counters
    std::vector<ShardStats> stats{};
    Durability durability{};
  };

  template <class Entry>
  void scatter(MailKind kind, std::span<const Entry> entries, std::vector<Entry> Mail::*part,
               std::vector<Errc> results, ReplyTo to, uint32_t holder = 0);
  uint64_t start(Gather gather);
  bool full() const;
  // Mails a part to every shard; `fill` completes each.
  void ask_all(uint64_t job, MailKind kind, const std::function<void(Mail&)>& fill);
  MailPtr answer_to(const Mail& mail) const;
  // At once with an error or if there is nothing to wait for.
  void answer_when(Errc error, ShardState::Wait wait, const Mail& asked, MailPtr answer);
  void finish(Gather& gather);

  ShardParts parts_;
  Receives& receives_;
  std::unordered_map<uint64_t, Gather> gathers_;
  uint64_t next_job_ = 1;
};

// What one shard's partition shows to a peek: visible messages in slot order.
void peek_partition(ShardState& state, Partition& partition, uint32_t messages_max, uint8_t states,
                    Mail* mail);

}  // namespace millrace::engine
