// Receives: finding messages for those who want them: receive, long poll, subscription, and the
// same for other shards' waiters.
//
// Own partition first. If it is empty, the other shards are asked, one at a time for a waiter. A
// shard that answers "nothing" remembers who asked and says so once when it has something again
// (something_ready); until then it need not be asked, so an idle queue costs no mail however many
// wait for it. A receive is answered empty only when no shard may have anything: a shard posts
// something_ready before it answers the send, so who saw the send's answer gets the message.
//
// A lease that comes back for a waiter that is gone is given back at once.
//
// When no lease can be given at all (a full disk, no timer left), a receive that is due is told so;
// whoever can wait goes on waiting, and the queue is served again once leases can be given. So it
// is with a queue that has as many leased as it may (a long poll then ends empty).
//
// Threads: shard-local.  Memory: Waiters'.
#pragma once

#include <vector>

#include "engine/shard_parts.h"
#include "engine/waiters.h"

namespace millrace::engine {

class Receives {
 public:
  Receives(const ShardParts& parts, TimeMs wheel_start) : parts_(parts), waiters_(wheel_start) {}

  void receive(const ReceiveRequest& request, ReplyTo to);
  Status subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo to);
  Status add_credit(ReplyTo to, uint64_t messages);
  Status unsubscribe(ReplyTo to);
  void cancel(ReplyTo to);
  void cancel_all(const ReplySink* sink);

  // Visible messages of this partition became ready: its waiters are served this turn, others told.
  void something_ready(Partition& partition);
  // These were asked to go: what stood behind them in their groups may be ready now.
  void acknowledged(std::span<const Receipt> receipts);
  // These were asked for; those that end a lease at once make its message ready.
  void extended(std::span<const ExtendEntry> entries);
  void queue_created(Partition& partition);
  void queue_deleted(QueueId queue);
  // Ends every waiter with `error`.
  void fail_all(Errc error);

  void on_receive(Mail& mail);
  void on_answer(Mail& mail);
  void on_give_back(const Mail& mail);
  void on_something_ready(const Mail& mail);
  // Makes leases ready again for whom nobody waits; receive counts stay.
  void give_back(std::span<const Delivery> deliveries);

  // Ends waits that are over; true if there is more to do.
  bool expire();
  // Serves the lines that have a reason, as far as the tick's bytes go; the others come first in
  // the next tick. Returns whether leases were appended.
  bool serve();
  // Tells the shards that asked about a queue that it has something, after own waiters took theirs.
  void tell_interested();
  // The tick's last step: answers the waits that ended without messages. Sinks are called from here
  // and on_answer() only, never from within the serving of a line.
  void answer_ended();
  bool has_work() const { return !dirty_.empty() || !ready_.empty() || !ended_.empty(); }
  TimeMs next_deadline() const { return waiters_.next_deadline(); }
  size_t asks_under_way() const { return asks_under_way_; }
  size_t waiting() const { return waiters_.size(); }

 private:
  const QueueInfo* queue_of(const ReceiveRequest& request) const;
  void park(Parked parked, const Partition& partition);
  // Adds to the turn's deliveries; as ShardState::lease(), or repeat() of an attempt that holds.
  Result<std::optional<Position>> lease(Partition& partition, const ReceivePlan& plan,
                                        uint32_t messages_max);
  // The latter only.
  Result<std::optional<Position>> repeat(Partition& partition, const ReceivePlan& plan);

  void mark_dirty(QueueId queue, WaiterLine& line);
  bool serve_line(QueueId queue);
  bool ask_another(WaiterLine& line, Waiter& waiter);
  void answer_due(QueueId queue, WaiterLine& line, Errc error);
  void starve(QueueId queue);
  void serve_starved();
  struct Ended {
    ReplyTo to;
    Errc error;
  };
  void end(WaiterId id, Errc error);
  void return_leases(ShardId shard, std::span<const Delivery> deliveries);

  ShardParts parts_;
  Waiters waiters_;
  std::vector<QueueId> dirty_;    // lines to serve
  std::vector<QueueId> serving_;  // reused
  std::vector<QueueId> ready_;    // partitions to tell others about
  std::vector<QueueId> starved_;  // partitions that could give no lease, each once
  std::vector<Ended> ended_;
  std::vector<Ended> answering_;  // reused
  size_t asks_under_way_ = 0;
  uint64_t served_bytes_ = 0;  // leased by serve() in this tick
  uint16_t next_shard_ = 0;
};

}  // namespace millrace::engine
