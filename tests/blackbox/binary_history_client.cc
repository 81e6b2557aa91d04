#include "tests/blackbox/binary_history_client.h"

#include <utility>

#include <fmt/format.h>

#include "millrace/message_id.h"

namespace millrace::blackbox {
namespace {

End end_of(Errc error) {
  switch (error) {
    case Errc::ok:
      return End::ok;
    case Errc::connection_closed:
    case Errc::shard_fenced:
    case Errc::shutting_down:
      return End::info;
    default:
      return End::fail;
  }
}

std::string_view name_of(Errc error) {
  return error == Errc::ok ? std::string_view() : errc_name(error);
}

}  // namespace

const HistoryClient::Manner& BinaryHistoryClient::manner() const {
  static constexpr Manner kManner{.batch_max = 100,
                                  .receive_max = 20,
                                  .under_way_max = 6,
                                  .administers = true,
                                  .whole_seconds = false};
  return kManner;
}

bool BinaryHistoryClient::connect(const std::string& address) {
  complain({});
  std::string why;
  auto connected = client::Client::connect(address, {}, &why);
  if (!connected) {
    complain(why);
    return false;
  }
  client_ = std::move(*connected);
  return true;
}

bool BinaryHistoryClient::exchange() {
  if (client_->flush() && client_->receive() && client_->open()) return true;
  client_->close();
  client_.reset();
  return false;
}

bool BinaryHistoryClient::asked(const Result<client::RequestId>& request, const char* what) {
  if (!request && request.error() != Errc::connection_closed)
    complain(fmt::format("a {} was refused: {}", what, errc_name(request.error())));
  return request.has_value();
}

void BinaryHistoryClient::ask_send(size_t queue, std::vector<Outgoing> messages) {
  client::MessageBatch batch;
  const Queue& to = world().queues[queue];
  for (const Outgoing& message : messages) {
    std::string properties;
    if (to.fifo) {
      append_property(properties, PropertyTag::group, as_bytes(message.group));
      append_property(properties, PropertyTag::deduplication_id, as_bytes(message.id));
    }
    const bool own_delay = !to.fifo && to.delay_ms == 0;
    if (!batch.add(as_bytes(message.body), own_delay ? message.delay_ms : kDelayQueueDefault,
                   as_bytes(properties)))
      return complain("a batch is too large");
  }
  const QueueId id = to.id;
  const bool fifo = to.fifo;
  asked(client_->send(
            id, batch,
            [this, queue, id, fifo, messages = std::move(messages)](const client::Answer& answer) {
              for (size_t i = 0; i < messages.size(); ++i) {
                if (!answer) {
                  sent(messages[i], queue, end_of(answer.error()), {}, 0, {},
                       name_of(answer.error()));
                  continue;
                }
                const wire::SendAnswer told = answer.sent();
                const uint64_t slot = answer.sent_shard_slot(static_cast<uint32_t>(i));
                // Of a FIFO queue's batch each message may have gone to another shard.
                const std::string place =
                    fifo ? std::string()
                         : fmt::format("{}:{}", told.shard_slot >> 48, told.position);
                sent(messages[i], queue, End::ok, message_id_text({raw(id), slot}),
                     fifo ? slot + 1 : 0, place, {});
              }
            }),
        "send");
}

void BinaryHistoryClient::ask_receive(size_t queue, uint64_t number, uint32_t visibility_ms,
                                      uint32_t wait_ms, uint32_t messages_max) {
  const auto take = [this, queue, number](const client::Answer& answer) {
    if (!answer) return ended(number, "recv", end_of(answer.error()), name_of(answer.error()));
    std::vector<Incoming> messages;
    for (const client::ReceivedMessage message : answer.messages())
      messages.push_back(
          {as_text(message.body),
           message_id_text(message_id(message.receipt.queue_id, message.receipt.shard_slot,
                                      message.properties)),
           message.receipt, message.receive_count,
           world().queues[queue].fifo ? message.receipt.shard_slot + 1 : 0});
    received(queue, number, messages);
  };
  asked(client_->receive({.queue = world().queues[queue].id,
                          .messages_max = messages_max,
                          .visibility_ms = visibility_ms,
                          .wait_ms = wait_ms},
                         take),
        "receive");
}

void BinaryHistoryClient::ask_remove(std::vector<Held> held, std::vector<uint64_t> numbers) {
  std::vector<Receipt> receipts;
  for (const Held& one : held)
    receipts.push_back(one.receipt);
  asked(client_->ack(receipts,
                     [this, held = std::move(held),
                      numbers = std::move(numbers)](const client::Answer& answer) {
                       for (size_t i = 0; i < held.size(); ++i) {
                         const Errc result =
                             answer ? answer.result(static_cast<uint32_t>(i)) : answer.error();
                         removed(held[i], numbers[i], end_of(result), true, name_of(result));
                       }
                     }),
        "delete");
}

void BinaryHistoryClient::ask_visibility(const Held& held, uint64_t number,
                                         uint32_t visibility_ms) {
  const ExtendEntry entry{held.receipt, visibility_ms, 0};
  asked(client_->extend({&entry, 1},
                        [this, number](const client::Answer& answer) {
                          const Errc result = answer ? answer.result(0) : answer.error();
                          ended(number, "vis", end_of(result), name_of(result));
                        }),
        "change of visibility");
}

void BinaryHistoryClient::ask_change() {
  const size_t queue = prng().below(world().queues.size());
  const Queue& at = world().queues[queue];
  if (at.moved_to != Queue::kNowhere) return ask_move(queue);
  if (at.made_again && prng().chance(1, 4)) return ask_again(queue);
  if (at.purged && prng().chance(1, 3)) return ask_purge(queue);
}

void BinaryHistoryClient::ask_publish(std::vector<Copies> messages) {
  client::PublishBatch batch;
  for (const Copies& copies : messages)
    if (!batch.add({.message = copies.front().second.body}))
      return complain("a publish is too large");
  asked(client_->publish(kTopic, batch,
                         [this, messages = std::move(messages)](const client::Answer& answer) {
                           std::vector<client::PublishedMessage> results;
                           if (answer) results = answer.published();
                           for (size_t i = 0; i < messages.size(); ++i) {
                             const Errc error = !answer              ? answer.error()
                                                : i < results.size() ? results[i].error
                                                                     : Errc::malformed;
                             for (const auto& [queue, copy] : messages[i])
                               sent(copy, queue, end_of(error), {}, 0, {}, name_of(error));
                           }
                         }),
        "publish");
}

void BinaryHistoryClient::ask_purge(size_t queue) {
  checker::HistoryFields fields;
  fields.q = world().queues[queue].name;
  const uint64_t number = history().begin("purge", fields);
  asked(client_->purge_queue(world().queues[queue].id,
                             [this, number](const client::Answer& answer) {
                               ended(number, "purge", end_of(answer.error()),
                                     name_of(answer.error()), world().durability);
                             }),
        "purge");
}

void BinaryHistoryClient::ask_again(size_t queue) {
  checker::HistoryFields fields;
  fields.q = world().queues[queue].name;
  const uint64_t number = history().begin("rmq", fields);
  asked(client_->delete_queue(world().queues[queue].id,
                              [this, number, queue](const client::Answer& answer) {
                                ended(number, "rmq", end_of(answer.error()),
                                      name_of(answer.error()), world().durability);
                                if (answer) ask_creation(queue);
                              }),
        "deletion");
}

void BinaryHistoryClient::ask_creation(size_t queue) {
  const Queue& wanted = world().queues[queue];
  const uint64_t number = history().begin("mkq", fields_of(world().queues, wanted));
  asked(client_->create_queue(wanted.name, settings_of(world().queues, wanted),
                              [this, number, queue](const client::Answer& answer) {
                                ended(number, "mkq", end_of(answer.error()),
                                      name_of(answer.error()));
                                if (answer) world().queues[queue].id = answer.queue();
                              }),
        "creation");
}

void BinaryHistoryClient::ask_move(size_t queue) {
  const Queue& from = world().queues[queue];
  const Queue* to =
      from.moved_to == Queue::kBack ? nullptr : &world().queues[static_cast<size_t>(from.moved_to)];
  checker::HistoryFields fields;
  fields.q = from.name;
  if (to != nullptr) fields.dq = to->name;
  const uint64_t number = history().begin("move", fields);
  // Half of them so slow that they are killed under way.
  const uint32_t rate = prng().chance(1, 2) ? static_cast<uint32_t>(prng().between(50, 500)) : 0;
  asked(client_->start_move({from.id, to != nullptr ? to->id : QueueId{}, rate},
                            [this, number](const client::Answer& answer) {
                              ended(number, "move", end_of(answer.error()),
                                    name_of(answer.error()));
                            }),
        "move task");
}

}  // namespace millrace::blackbox
