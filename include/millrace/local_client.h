// LocalClient: a blocking handle on a broker in the same process that runs its own threads
// (Broker::start_threads). For programs that embed Millrace without a loop of their own.
//
//   (*broker)->start_threads();
//   LocalClient client(**broker);
//   auto queue = client.create_queue("orders");
//   client.send(queue->id, "hello");
//   for (const auto& message : client.receive(queue->id, {.messages_max = 10, .wait_ms =
//   1000}).value())
//     client.ack(message.receipt);
//
// Each call runs on a shard's thread and the caller waits for its answer, which comes at the
// durability the queue asks for. Calls of several threads proceed side by side; sends and receives
// are spread over the shards. What batches well (send_batch, ack of a span) should be batched.
// After Broker::stop() every call answers shutting_down; the broker must outlive the client.
//
// Threads: any.  Memory: none but the calls'. Everything handed out is a copy.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"

namespace millrace {

struct LocalReceiveOptions {
  uint32_t messages_max = 1;
  uint32_t visibility_ms = kDelayQueueDefault;  // kDelayQueueDefault: the queue's own
  uint32_t wait_ms = kDelayQueueDefault;
};

class LocalClient {
 public:
  struct OutMessage {
    std::string_view body;
    uint32_t delay_ms = kDelayQueueDefault;
  };
  struct Sent {
    ShardId shard{};
    Slot first_slot{};
    Position position{};
    Durability durability{};  // the level that was reached
  };
  struct Message {
    Receipt receipt{};
    TimeMs sent_at{};
    uint32_t receive_count = 0;
    std::string properties;
    std::string body;
  };
  using ReceiveOptions = LocalReceiveOptions;

  // `broker` was made by Broker::open() and runs its own threads.
  explicit LocalClient(Broker& broker);

  // A queue that exists with exactly these attributes is answered.
  Result<QueueInfo> create_queue(std::string_view name, const QueueAttributes& attributes = {});
  Result<QueueInfo> find_queue(std::string_view name);
  Status set_queue(QueueId queue, const QueueSettings& settings);
  Status purge_queue(QueueId queue);
  Status delete_queue(QueueId queue);
  Result<QueueCounters> counters(QueueId queue);

  Result<Sent> send(QueueId queue, std::string_view body);
  // All or nothing.
  Result<Sent> send_batch(QueueId queue, std::span<const OutMessage> messages);
  // Empty: nothing came in time.
  Result<std::vector<Message>> receive(QueueId queue, const ReceiveOptions& options = {});
  Status ack(const Receipt& receipt);
  // One result a receipt.
  Result<std::vector<Errc>> ack(std::span<const Receipt> receipts);
  Status extend(const Receipt& receipt, uint32_t visibility_ms);
  // Message move tasks, as of ShardPort.
  Result<MoveTask> start_move(const MoveRequest& request);
  Result<MoveTask> cancel_move(QueueId source, uint64_t task = 0);
  Result<std::vector<MoveTask>> list_moves(QueueId source, uint32_t max = kMoveTasksKept);

 private:
  ShardId next_shard();

  Broker& broker_;
  std::atomic<uint32_t> turn_{0};  // relaxed: any spread will do
};

}  // namespace millrace
