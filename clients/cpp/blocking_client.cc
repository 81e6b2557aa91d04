#include "clients/cpp/blocking_client.h"

#include <algorithm>
#include <utility>

#include "base/os_clock.h"

namespace millrace::client {
namespace {

constexpr uint32_t kListPage = 1000;
constexpr uint64_t kQueueWaitMsMax = 20'000;

std::vector<Errc> copy_results(const Answer& answer) {
  std::vector<Errc> results;
  for (uint32_t i = 0; i < answer.results_size(); ++i)
    results.push_back(answer.result(i));
  return results;
}

}  // namespace

Result<std::unique_ptr<BlockingClient>> BlockingClient::connect(std::string_view address,
                                                                const ClientOptions& options,
                                                                std::string* message) {
  Result<std::unique_ptr<Client>> client = Client::connect(address, options, message);
  if (!client) return fail(client.error());
  return std::unique_ptr<BlockingClient>(new BlockingClient(std::move(*client)));
}

template <class Start, class Use>
Status BlockingClient::call(uint64_t extra_ms, Start start, Use use) {
  bool done = false;
  Errc error = Errc::ok;
  error_text_.clear();
  error_index_ = 0xFFFFFFFF;
  Result<RequestId> request = start([&](const Answer& answer) {
    done = true;
    error = answer.error();
    error_text_ = answer.text();
    error_index_ = answer.entry_index();
    if (answer) use(answer);
  });
  if (!request) {
    error_text_ = request.error() == Errc::connection_closed ? client_->failure_text()
                                                             : errc_text(request.error());
    return fail(request.error());
  }
  const int64_t deadline_ms =
      base::os_monotonic_ns() / 1'000'000 + timeout_ms_ + static_cast<int64_t>(extra_ms);
  while (!done) {
    const int64_t left_ms = deadline_ms - base::os_monotonic_ns() / 1'000'000;
    if (left_ms <= 0) {
      client_->close();  // calls the callback, which lives no longer than this call
      error_text_ = errc_text(Errc::timed_out);
      return fail(Errc::timed_out);
    }
    // A connection that ends calls the callback too.
    if (!client_->poll(static_cast<int>(std::min<int64_t>(left_ms, 1'000'000)))) break;
  }
  if (error != Errc::ok) return fail(error);
  return {};
}

Result<QueueId> BlockingClient::resolve(std::string_view name) {
  QueueId queue{};
  Status done = call([&](Callback callback) { return client_->resolve(name, std::move(callback)); },
                     [&](const Answer& answer) { queue = answer.queue(); });
  if (!done) return fail(done.error());
  return queue;
}

Result<wire::SendAnswer> BlockingClient::send(QueueId queue, const MessageBatch& batch) {
  wire::SendAnswer sent{};
  Status done =
      call([&](Callback callback) { return client_->send(queue, batch, std::move(callback)); },
           [&](const Answer& answer) { sent = answer.sent(); });
  if (!done) return fail(done.error());
  return sent;
}

Result<wire::SendAnswer> BlockingClient::send(QueueId queue, std::string_view body) {
  MessageBatch batch;
  if (Status added = batch.add(body); !added) {
    error_text_ = errc_text(added.error());
    return fail(added.error());
  }
  return send(queue, batch);
}

Result<std::vector<OwnedMessage>> BlockingClient::receive(const ReceiveRequest& request) {
  const uint64_t wait_ms =
      request.wait_ms == kDelayQueueDefault ? kQueueWaitMsMax : request.wait_ms;
  std::vector<OwnedMessage> messages;
  Status done = call(
      wait_ms, [&](Callback callback) { return client_->receive(request, std::move(callback)); },
      [&](const Answer& answer) {
        for (const ReceivedMessage m : answer.messages())
          messages.push_back({m.receipt, m.sent_at, m.receive_count,
                              std::string(as_text(m.properties)), std::string(as_text(m.body))});
      });
  if (!done) return fail(done.error());
  return messages;
}

Result<std::vector<Errc>> BlockingClient::ack(std::span<const Receipt> receipts) {
  std::vector<Errc> results;
  Status done = call([&](Callback callback) { return client_->ack(receipts, std::move(callback)); },
                     [&](const Answer& answer) { results = copy_results(answer); });
  if (!done) return fail(done.error());
  return results;
}

Result<std::vector<Errc>> BlockingClient::extend(std::span<const ExtendEntry> entries) {
  std::vector<Errc> results;
  Status done =
      call([&](Callback callback) { return client_->extend(entries, std::move(callback)); },
           [&](const Answer& answer) { results = copy_results(answer); });
  if (!done) return fail(done.error());
  return results;
}

Result<std::vector<OwnedPeek>> BlockingClient::peek(const PeekRequest& request) {
  std::vector<OwnedPeek> peeked;
  Status done =
      call([&](Callback callback) { return client_->peek(request, std::move(callback)); },
           [&](const Answer& answer) {
             for (uint32_t i = 0; i < answer.peeked_size(); ++i) {
               const PeekedBody one = answer.peeked(i);
               peeked.push_back({one.item, std::string(as_text(one.properties)),
                                 std::string(as_text(one.body)), std::string(one.holder)});
             }
           });
  if (!done) return fail(done.error());
  return peeked;
}

Result<QueueId> BlockingClient::create_queue(std::string_view name, const QueueSettings& settings) {
  QueueId queue{};
  Status done = call(
      [&](Callback callback) { return client_->create_queue(name, settings, std::move(callback)); },
      [&](const Answer& answer) { queue = answer.queue(); });
  if (!done) return fail(done.error());
  return queue;
}

Status BlockingClient::set_queue(QueueId queue, const QueueSettings& settings) {
  return call(
      [&](Callback callback) { return client_->set_queue(queue, settings, std::move(callback)); },
      [](const Answer&) {});
}

Status BlockingClient::purge_queue(QueueId queue) {
  return call([&](Callback callback) { return client_->purge_queue(queue, std::move(callback)); },
              [](const Answer&) {});
}

Status BlockingClient::delete_queue(QueueId queue) {
  return call([&](Callback callback) { return client_->delete_queue(queue, std::move(callback)); },
              [](const Answer&) {});
}

Result<std::vector<QueueDescription>> BlockingClient::list_queues(std::string_view prefix) {
  std::vector<QueueDescription> queues;
  for (;;) {
    const std::string after = queues.empty() ? "" : queues.back().name;
    size_t found = 0;
    Status done = call(
        [&](Callback callback) {
          return client_->list_queues(prefix, after, kListPage, std::move(callback));
        },
        [&](const Answer& answer) {
          for (QueueDescription& queue : answer.queues()) {
            queues.push_back(std::move(queue));
            ++found;
          }
        });
    if (!done) return fail(done.error());
    if (found < kListPage) return queues;
  }
}

Result<std::vector<QueueDescription>> BlockingClient::queue_stats(std::span<const QueueId> queues,
                                                                  bool with_details) {
  std::vector<QueueDescription> infos;
  Status done = call(
      [&](Callback callback) {
        return client_->queue_stats(queues, with_details, std::move(callback));
      },
      [&](const Answer& answer) { infos = answer.queues(); });
  if (!done) return fail(done.error());
  return infos;
}

Result<std::vector<wire::ShardItem>> BlockingClient::server_stats() {
  std::vector<wire::ShardItem> shards;
  Status done = call(
      [&](Callback callback) { return client_->server_stats(std::move(callback)); },
      [&](const Answer& answer) { shards.assign(answer.shards().begin(), answer.shards().end()); });
  if (!done) return fail(done.error());
  return shards;
}

Result<MoveTask> BlockingClient::start_move(const MoveRequest& request) {
  MoveTask task;
  Status done =
      call([&](Callback callback) { return client_->start_move(request, std::move(callback)); },
           [&](const Answer& answer) { task = std::move(answer.moves().front()); });
  if (!done) return fail(done.error());
  return task;
}

Result<MoveTask> BlockingClient::cancel_move(QueueId source, uint64_t task) {
  MoveTask ended;
  Status done = call(
      [&](Callback callback) { return client_->cancel_move(source, task, std::move(callback)); },
      [&](const Answer& answer) { ended = std::move(answer.moves().front()); });
  if (!done) return fail(done.error());
  return ended;
}

Result<std::vector<MoveTask>> BlockingClient::list_moves(QueueId source, uint32_t max) {
  std::vector<MoveTask> tasks;
  Status done =
      call([&](Callback callback) { return client_->list_moves(source, max, std::move(callback)); },
           [&](const Answer& answer) { tasks = answer.moves(); });
  if (!done) return fail(done.error());
  return tasks;
}

Result<TopicDescription> BlockingClient::create_topic(std::string_view name,
                                                      const TopicSettings& settings) {
  TopicDescription topic;
  Status done = call(
      [&](Callback callback) { return client_->create_topic(name, settings, std::move(callback)); },
      [&](const Answer& answer) { topic = std::move(answer.topics().front()); });
  if (!done) return fail(done.error());
  return topic;
}

Status BlockingClient::set_topic(std::string_view name, const TopicSettings& settings) {
  return call(
      [&](Callback callback) { return client_->set_topic(name, settings, std::move(callback)); },
      [](const Answer&) {});
}

Status BlockingClient::delete_topic(std::string_view name) {
  return call([&](Callback callback) { return client_->delete_topic(name, std::move(callback)); },
              [](const Answer&) {});
}

Result<TopicDescription> BlockingClient::show_topic(std::string_view name) {
  TopicDescription topic;
  Status done =
      call([&](Callback callback) { return client_->show_topic(name, std::move(callback)); },
           [&](const Answer& answer) { topic = std::move(answer.topics().front()); });
  if (!done) return fail(done.error());
  return topic;
}

Result<std::vector<TopicDescription>> BlockingClient::list_topics(std::string_view prefix) {
  std::vector<TopicDescription> topics;
  for (size_t before = 0;; before = topics.size()) {
    const std::string after = topics.empty() ? "" : topics.back().name;
    Status done = call(
        [&](Callback callback) {
          return client_->list_topics(prefix, after, kListPage, std::move(callback));
        },
        [&](const Answer& answer) {
          for (TopicDescription& topic : answer.topics())
            topics.push_back(std::move(topic));
        });
    if (!done) return fail(done.error());
    if (topics.size() == before) return topics;
  }
}

Result<TopicSubscription> BlockingClient::subscribe_topic(std::string_view topic,
                                                          std::string_view protocol,
                                                          std::string_view endpoint,
                                                          std::span<const NamedText> attributes) {
  TopicSubscription made;
  Status done = call(
      [&](Callback callback) {
        return client_->subscribe_topic(topic, protocol, endpoint, attributes, std::move(callback));
      },
      [&](const Answer& answer) { made = std::move(answer.subscriptions().front()); });
  if (!done) return fail(done.error());
  return made;
}

Status BlockingClient::set_subscription(const Uuid& subscription,
                                        std::span<const NamedText> attributes) {
  return call(
      [&](Callback callback) {
        return client_->set_subscription(subscription, attributes, std::move(callback));
      },
      [](const Answer&) {});
}

Status BlockingClient::unsubscribe_topic(const Uuid& subscription) {
  return call(
      [&](Callback callback) {
        return client_->unsubscribe_topic(subscription, std::move(callback));
      },
      [](const Answer&) {});
}

Result<std::vector<TopicSubscription>> BlockingClient::list_subscriptions(std::string_view topic,
                                                                          bool with_attributes) {
  std::vector<TopicSubscription> all;
  for (size_t before = 0;; before = all.size()) {
    const SubscriptionId after = all.empty() ? SubscriptionId{} : all.back().id;
    Status done = call(
        [&](Callback callback) {
          return client_->list_subscriptions(topic, after, kListPage, with_attributes,
                                             std::move(callback));
        },
        [&](const Answer& answer) {
          for (TopicSubscription& one : answer.subscriptions())
            all.push_back(std::move(one));
        });
    if (!done) return fail(done.error());
    if (all.size() == before) return all;
  }
}

Result<std::vector<PublishedMessage>> BlockingClient::publish(std::string_view topic,
                                                              const PublishBatch& batch) {
  std::vector<PublishedMessage> messages;
  Status done =
      call([&](Callback callback) { return client_->publish(topic, batch, std::move(callback)); },
           [&](const Answer& answer) { messages = answer.published(); });
  if (!done) return fail(done.error());
  return messages;
}

Result<BackupDescription> BlockingClient::start_backup() {
  BackupDescription backup;
  Status done = call([&](Callback callback) { return client_->start_backup(std::move(callback)); },
                     [&](const Answer& answer) { backup = answer.backup(); });
  if (!done) return fail(done.error());
  return backup;
}

Status BlockingClient::end_backup(uint64_t backup) {
  return call([&](Callback callback) { return client_->end_backup(backup, std::move(callback)); },
              [](const Answer&) {});
}

Result<std::string> BlockingClient::echo(std::string_view bytes) {
  std::string echoed;
  Status done =
      call([&](Callback callback) { return client_->echo(as_bytes(bytes), std::move(callback)); },
           [&](const Answer& answer) { echoed = as_text(answer.echoed()); });
  if (!done) return fail(done.error());
  return echoed;
}

}  // namespace millrace::client
