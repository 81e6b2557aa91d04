// BlockingClient: one request at a time, answered before the call returns. For scripts and tools.
//
// A thin layer over Client, reachable as async(). What an answer holds is copied out of the receive
// buffer. After an error, error_text() is one line for people, the server's own if it sent one.
// A request that is not answered in `timeout_ms` (a receive: that much past its wait) ends the
// connection: nobody could say any more whether it was done.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/client.h"

namespace millrace::client {

struct OwnedMessage {
  Receipt receipt{};
  TimeMs sent_at{};
  uint32_t receive_count = 0;
  std::string properties;
  std::string body;
};

struct OwnedPeek {
  wire::PeekItem item{};
  std::string properties;
  std::string body;
  std::string holder;
};

class BlockingClient {
 public:
  static Result<std::unique_ptr<BlockingClient>> connect(std::string_view address,
                                                         const ClientOptions& options,
                                                         std::string* message);

  Result<QueueId> resolve(std::string_view name);
  Result<wire::SendAnswer> send(QueueId queue, const MessageBatch& batch);
  Result<wire::SendAnswer> send(QueueId queue, std::string_view body);
  // Waits as long as the request says; the queue's own wait is at most 20 s.
  Result<std::vector<OwnedMessage>> receive(const ReceiveRequest& request);
  // One Errc a receipt, in the order given.
  Result<std::vector<Errc>> ack(std::span<const Receipt> receipts);
  Result<std::vector<Errc>> extend(std::span<const ExtendEntry> entries);
  Result<std::vector<OwnedPeek>> peek(const PeekRequest& request);
  Result<QueueId> create_queue(std::string_view name, const QueueSettings& settings);
  Status set_queue(QueueId queue, const QueueSettings& settings);
  Status purge_queue(QueueId queue);
  Status delete_queue(QueueId queue);
  // All that start with `prefix`, by name, in as many requests as it takes.
  Result<std::vector<QueueDescription>> list_queues(std::string_view prefix);
  // With attributes, tags and times if `with_details`.
  Result<std::vector<QueueDescription>> queue_stats(std::span<const QueueId> queues,
                                                    bool with_details = false);
  Result<std::vector<wire::ShardItem>> server_stats();
  // Message move tasks (millrace/engine.h).
  Result<MoveTask> start_move(const MoveRequest& request);
  Result<MoveTask> cancel_move(QueueId source, uint64_t task = 0);
  Result<std::vector<MoveTask>> list_moves(QueueId source, uint32_t max = kMoveTasksKept);
  // Topics (client.h).
  Result<TopicDescription> create_topic(std::string_view name, const TopicSettings& settings = {});
  Status set_topic(std::string_view name, const TopicSettings& settings);
  Status delete_topic(std::string_view name);
  Result<TopicDescription> show_topic(std::string_view name);
  // All that start with `prefix`, by name, in as many requests as it takes.
  Result<std::vector<TopicDescription>> list_topics(std::string_view prefix);
  Result<TopicSubscription> subscribe_topic(std::string_view topic, std::string_view protocol,
                                            std::string_view endpoint,
                                            std::span<const NamedText> attributes = {});
  Status set_subscription(const Uuid& subscription, std::span<const NamedText> attributes);
  Status unsubscribe_topic(const Uuid& subscription);
  // Of a topic, or of all if it is empty: every one, in as many requests as it takes.
  Result<std::vector<TopicSubscription>> list_subscriptions(std::string_view topic,
                                                            bool with_attributes = false);
  // One result for each message, in the order given.
  Result<std::vector<PublishedMessage>> publish(std::string_view topic, const PublishBatch& batch);
  // Its files are read through async().
  Result<BackupDescription> start_backup();
  Status end_backup(uint64_t backup);
  Result<std::string> echo(std::string_view bytes);

  std::string_view error_text() const { return error_text_; }
  // With an error about one message of a batch, which.
  uint32_t error_index() const { return error_index_; }
  Client& async() { return *client_; }
  void set_timeout_ms(int timeout_ms) { timeout_ms_ = timeout_ms; }

 private:
  explicit BlockingClient(std::unique_ptr<Client> client) : client_(std::move(client)) {}
  // Makes a request by `start(callback)` and waits for its answer; `use(answer)` takes what is
  // wanted from it.
  template <class Start, class Use>
  Status call(uint64_t extra_ms, Start start, Use use);
  template <class Start, class Use>
  Status call(Start start, Use use) {
    return call(0, start, use);
  }

  std::unique_ptr<Client> client_;
  std::string error_text_;
  uint32_t error_index_ = 0xFFFFFFFF;
  int timeout_ms_ = 30'000;
};

}  // namespace millrace::client
