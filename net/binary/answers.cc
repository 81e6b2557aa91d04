#include "net/binary/answers.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "net/binary/settings.h"

namespace millrace::net {
namespace {

constexpr uint8_t reply_to(wire::Opcode opcode) {
  return static_cast<uint8_t>(opcode) | wire::kReplyBit;
}

// Says who holds leased messages, each holder once.
class HolderTexts {
 public:
  struct Place {
    uint32_t offset = 0;
    uint16_t bytes = 0;
  };
  explicit HolderTexts(const Holders* holders) : holders_(holders) {}
  Place of(const PeekedMessage& message) {
    if (holders_ == nullptr || message.state != MessageState::leased) return {};
    const auto [known, added] = places_.try_emplace(message.holder);
    if (added) {
      const std::string text = holders_->text(message.holder);
      known->second = {static_cast<uint32_t>(all_.size()), static_cast<uint16_t>(text.size())};
      all_ += text;
    }
    return known->second;
  }
  const std::string& all() const { return all_; }

 private:
  const Holders* holders_;
  std::string all_;
  std::unordered_map<uint32_t, Place> places_;
};

// Appends messages that lie one after the other in memory with one copy.
class RunCopier {
 public:
  explicit RunCopier(std::byte* to) : to_(to) {}
  void add(Bytes message) {
    if (message.data() == stretch_.data() + stretch_.size()) {
      stretch_ = {stretch_.data(), stretch_.size() + message.size()};
      return;
    }
    finish();
    stretch_ = message;
  }
  void finish() {
    if (stretch_.empty()) return;
    std::memcpy(to_, stretch_.data(), stretch_.size());
    to_ += stretch_.size();
    stretch_ = {};
  }

 private:
  std::byte* to_;
  Bytes stretch_;
};

wire::ShardItem to_item(const ShardStats& shard) {
  wire::ShardItem item{};
  item.shard = raw(shard.shard);
  item.fenced = shard.fenced ? 1 : 0;
  item.disk_full = shard.disk_full ? 1 : 0;
  item.head = shard.head.value;
  item.end = shard.end.value;
  item.durable = shard.durable.value;
  item.live_bytes = shard.live_bytes;
  item.disk_bytes = shard.disk_bytes;
  item.bytes_written = shard.bytes_written;
  item.syncs = shard.syncs;
  item.index_bytes = shard.index_bytes;
  item.ticks = shard.ticks;
  item.busy_ticks = shard.busy_ticks;
  return item;
}

}  // namespace

void answer_error(OutputBuffer& out, const ErrorAnswer& error) {
  const std::string_view text = error.text.substr(0, 1000);
  const size_t bytes = sizeof(wire::ErrorBody) + padded8(text.size());
  std::byte* body = begin_frame(out, static_cast<uint8_t>(wire::Opcode::error), error.code,
                                error.correlation, bytes);
  const wire::ErrorBody head{static_cast<uint16_t>(error.code), static_cast<uint16_t>(text.size()),
                             error.entry_index};
  put_padded(put(body, head), as_bytes(text));
  seal_frame(body, bytes);
}

void answer_empty(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation) {
  seal_frame(begin_frame(out, reply_to(opcode), Errc::ok, correlation, 0), 0);
}

void answer_echo(OutputBuffer& out, uint64_t correlation, Bytes bytes) {
  std::byte* body =
      begin_frame(out, reply_to(wire::Opcode::echo), Errc::ok, correlation, bytes.size());
  if (!bytes.empty()) std::memcpy(body, bytes.data(), bytes.size());
  seal_frame(body, bytes.size());
}

void answer_send(OutputBuffer& out, uint64_t correlation, uint32_t count, const SendReply& reply) {
  const std::span<const uint64_t> scattered = reply.shard_slots;
  MR_ASSERT(scattered.empty() || scattered.size() == count);
  const uint64_t first = scattered.empty()
                             ? uint64_t{raw(reply.shard)} << 48 | raw(reply.first_slot)
                             : scattered.front();
  const size_t bytes = sizeof(wire::SendAnswer) + scattered.size_bytes();
  std::byte* body = begin_frame(out, reply_to(wire::Opcode::send), Errc::ok, correlation, bytes);
  std::byte* rest = put(body, wire::SendAnswer{reply.position.value,
                                               first,
                                               count,
                                               static_cast<uint8_t>(reply.durability),
                                               scattered.empty() ? uint8_t{0} : uint8_t{1},
                                               {}});
  if (!scattered.empty()) std::memcpy(rest, scattered.data(), scattered.size_bytes());
  seal_frame(body, bytes);
}

void answer_deliveries(OutputBuffer& out, uint8_t opcode, uint64_t correlation,
                       std::span<const Delivery> deliveries) {
  size_t run_bytes = 0;
  for (const Delivery& delivery : deliveries)
    run_bytes += delivery.message.size();
  const size_t entries_bytes = deliveries.size() * sizeof(wire::DeliveryEntry);
  const size_t bytes = sizeof(wire::DeliveryHeader) + entries_bytes + run_bytes;
  std::byte* body = begin_frame(out, opcode, Errc::ok, correlation, bytes);
  std::byte* entry = put(body, wire::DeliveryHeader{static_cast<uint32_t>(deliveries.size()),
                                                    static_cast<uint32_t>(run_bytes)});
  std::byte* const first_copy = entry + entries_bytes;
  RunCopier run(first_copy);
  bool stamped = false;
  uint32_t run_offset = 0;
  for (const Delivery& delivery : deliveries) {
    entry = put(entry, wire::DeliveryEntry{delivery.receipt, delivery.sent_at.value,
                                           delivery.receive_count, run_offset});
    run.add(delivery.message);
    stamped |= delivery.stamp.uuid != nullptr;
    run_offset += static_cast<uint32_t>(delivery.message.size());
  }
  run.finish();
  if (stamped) {
    std::byte* copy = first_copy;
    for (const Delivery& delivery : deliveries) {
      put_stamp(delivery.stamp, copy);
      copy += delivery.message.size();
    }
  }
  seal_frame(body, bytes);
}

void answer_results(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                    std::span<const Errc> results) {
  const auto failed = static_cast<uint32_t>(
      std::count_if(results.begin(), results.end(), [](Errc e) { return e != Errc::ok; }));
  const Bytes codes = failed > 0 ? std::as_bytes(results) : Bytes{};
  const size_t bytes = sizeof(wire::ResultsAnswer) + padded8(codes.size());
  std::byte* body = begin_frame(out, reply_to(opcode), Errc::ok, correlation, bytes);
  put_padded(put(body, wire::ResultsAnswer{static_cast<uint32_t>(results.size()), failed}), codes);
  seal_frame(body, bytes);
}

void answer_peek(OutputBuffer& out, uint64_t correlation, std::span<const PeekedMessage> messages,
                 const Holders* holders) {
  size_t run_bytes = 0;
  size_t count = 0;
  while (count < messages.size() && run_bytes + messages[count].message.size() <= kBatchBytesMax) {
    run_bytes += messages[count++].message.size();
  }
  HolderTexts texts(holders);
  std::vector<HolderTexts::Place> places;
  for (const PeekedMessage& message : messages.first(count))
    places.push_back(texts.of(message));
  const size_t items_bytes = count * sizeof(wire::PeekItem);
  const size_t texts_bytes = padded8(texts.all().size());
  const size_t bytes = sizeof(wire::CountBody) + items_bytes + run_bytes + texts_bytes;
  std::byte* body = begin_frame(out, reply_to(wire::Opcode::peek), Errc::ok, correlation, bytes);
  std::byte* item = put(body, wire::CountBody{static_cast<uint32_t>(count), 0});
  RunCopier run(item + items_bytes);
  uint32_t run_offset = 0;
  for (size_t i = 0; i < count; ++i) {
    const PeekedMessage& message = messages[i];
    wire::PeekItem peeked{};
    peeked.shard_slot = message.shard_slot;
    peeked.sent_at_ms = message.sent_at.value;
    peeked.due_ms = message.due.value;
    peeked.receive_count = message.receive_count;
    peeked.state = static_cast<uint8_t>(message.state);
    peeked.run_offset = run_offset;
    peeked.holder_bytes = places[i].bytes;
    peeked.holder_offset = static_cast<uint32_t>(run_bytes) + places[i].offset;
    peeked.first_received_at_ms = message.first_received_at.value;
    peeked.last_received_at_ms = message.last_received_at.value;
    item = put(item, peeked);
    run.add(message.message);
    run_offset += static_cast<uint32_t>(message.message.size());
  }
  run.finish();
  put_padded(body + bytes - texts_bytes, as_bytes(texts.all()));
  seal_frame(body, bytes);
}

bool answer_queues(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                   std::span<const QueueInfo> queues, bool with_details) {
  std::vector<wire::QueueItem> items;
  items.reserve(queues.size());
  std::string texts;
  size_t bytes = sizeof(wire::CountBody);
  for (const QueueInfo& queue : queues) {
    items.push_back(queue_item(queue, with_details, &texts));
    bytes += sizeof(wire::QueueItem) + padded8(items.back().text_bytes) +
             items.back().times * sizeof(wire::QueueTimesItem);
    if (bytes + kFrameHeaderBytes > wire::kFrameBytesMax) return false;
  }
  std::byte* body = begin_frame(out, reply_to(opcode), Errc::ok, correlation, bytes);
  std::byte* to = put(body, wire::CountBody{static_cast<uint32_t>(queues.size()), 0});
  std::string_view rest = texts;
  for (size_t i = 0; i < items.size(); ++i) {
    to = put_padded(put(to, items[i]), as_bytes(rest.substr(0, items[i].text_bytes)));
    rest.remove_prefix(items[i].text_bytes);
    if (items[i].times != 0) to = put(to, times_item(*queues[i].counters.times));
  }
  seal_frame(body, bytes);
  return true;
}

void answer_stats(OutputBuffer& out, uint64_t correlation, std::span<const ShardStats> shards) {
  const size_t bytes = sizeof(wire::CountBody) + shards.size() * sizeof(wire::ShardItem);
  std::byte* body =
      begin_frame(out, reply_to(wire::Opcode::server_stats), Errc::ok, correlation, bytes);
  std::byte* to = put(body, wire::CountBody{static_cast<uint32_t>(shards.size()), 0});
  for (const ShardStats& shard : shards) {
    to = put(to, to_item(shard));
  }
  seal_frame(body, bytes);
}

void answer_moves(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                  std::span<const MoveTask> tasks) {
  size_t bytes = sizeof(wire::CountBody);
  for (const MoveTask& task : tasks)
    bytes +=
        sizeof(wire::MoveTaskItem) + padded8(task.destination_name.size() + task.failure.size());
  std::byte* body = begin_frame(out, reply_to(opcode), Errc::ok, correlation, bytes);
  std::byte* to = put(body, wire::CountBody{static_cast<uint32_t>(tasks.size()), 0});
  for (const MoveTask& task : tasks) {
    const wire::MoveTaskItem item{task.id,
                                  raw(task.source),
                                  raw(task.destination),
                                  task.rate,
                                  static_cast<uint8_t>(task.state),
                                  0,
                                  static_cast<uint16_t>(task.destination_name.size()),
                                  static_cast<uint16_t>(task.failure.size()),
                                  0,
                                  0,
                                  task.moved,
                                  task.to_move,
                                  task.started_at_ms,
                                  task.ended_at_ms};
    to = put_padded(put(to, item), as_bytes(task.destination_name + task.failure));
  }
  seal_frame(body, bytes);
}

}  // namespace millrace::net
