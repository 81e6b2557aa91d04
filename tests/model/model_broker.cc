#include "tests/model/model_broker.h"

#include <cstring>

#include "base/assert.h"
#include "engine/queue_attributes.h"
#include "millrace/properties.h"

namespace millrace::model {
namespace {

constexpr std::string_view kNumber = "number";
constexpr std::string_view kNumberType = "Number";
constexpr int kTurnsMax = 10'000;
constexpr uint32_t kSeenMax = 1'000;

void append_message(std::vector<std::byte>& run, const Sending& sending) {
  std::string properties;
  if (!sending.group.empty())
    append_property(properties, PropertyTag::group, as_bytes(sending.group));
  if (!sending.deduplication_id.empty())
    append_property(properties, PropertyTag::deduplication_id, as_bytes(sending.deduplication_id));
  // Not part of the body, which deduplication by content looks at.
  append_property(properties, PropertyTag::attribute, kNumber, kNumberType,
                  as_bytes(std::to_string(sending.number)));
  const MessageHeader header{
      static_cast<uint32_t>(sending.body.size()), static_cast<uint32_t>(properties.size()),
      sending.delay ? static_cast<uint32_t>(*sending.delay) : kDelayQueueDefault, 0};
  const size_t at = run.size();
  run.resize(at + message_stride(header));
  std::memcpy(run.data() + at, &header, sizeof header);
  const std::string content = properties + sending.body;
  std::memcpy(run.data() + at + sizeof header, content.data(), content.size());
}

Taken taken_from(const Delivery& delivery) {
  MessageHeader header;
  std::memcpy(&header, delivery.message.data(), sizeof header);
  const Bytes content = delivery.message.subspan(sizeof header);
  Taken taken{
      .receipt = delivery.receipt,
      .receives = delivery.receive_count,
      .sent_at = delivery.sent_at.value,
      .body = std::string(as_text(content.subspan(header.properties_bytes, header.body_bytes)))};
  PropertyReader reader(content.first(header.properties_bytes));
  while (const auto property = reader.next()) {
    if (property->tag == PropertyTag::group) taken.group = as_text(property->value);
    if (property->tag == PropertyTag::attribute && property->name == kNumber)
      taken.number = std::stoull(std::string(as_text(property->value)));
  }
  return taken;
}

}  // namespace

// Keeps the one answer that is waited for.
class ModelBroker::Sink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply& reply) override {
    answer(reply.error);
    if (reply.error != Errc::ok) return;
    places.assign(reply.shard_slots.begin(), reply.shard_slots.end());
    first = uint64_t{raw(reply.shard)} << 48 | raw(reply.first_slot);
  }
  void on_receive(uint64_t, const ReceiveReply& reply) override {
    answer(reply.error);
    for (const Delivery& delivery : reply.deliveries)
      taken.push_back(taken_from(delivery));
  }
  void on_results(uint64_t, const ResultsReply& reply) override {
    answer(reply.error != Errc::ok ? reply.error : reply.results[0]);
  }
  void on_peek(uint64_t, const PeekReply& reply) override {
    answer(reply.error);
    for (const PeekedMessage& one : reply.messages) {
      Delivery shown;
      shown.message = one.message;
      seen[taken_from(shown).number] = one.sent_at.value;
    }
    seen_count = reply.messages.size();
  }
  void on_moves(uint64_t, const MoveReply& reply) override {
    answer(reply.error);
    detail = reply.detail;
    tasks.assign(reply.tasks.begin(), reply.tasks.end());
  }
  void on_queues(uint64_t, const QueueReply& reply) override {
    answer(reply.error);
    detail = reply.detail;
    queues.assign(reply.queues.begin(), reply.queues.end());
  }
  void on_stats(uint64_t, const BrokerStatsReply& reply) override { answer(reply.error); }

  ReplyTo next() {
    error.reset();
    places.clear();
    taken.clear();
    queues.clear();
    seen.clear();
    return {this, ++token_};
  }

  std::optional<Errc> error;  // nothing yet
  std::vector<uint64_t> places;
  uint64_t first = 0;
  std::vector<Taken> taken;
  std::vector<QueueInfo> queues;
  std::map<uint64_t, int64_t> seen;
  size_t seen_count = 0;
  std::vector<MoveTask> tasks;
  std::string detail;

 private:
  void answer(Errc e) {
    MR_ASSERT(!error);
    error = e;
  }
  uint64_t token_ = 0;
};

ModelBroker::ModelBroker(uint16_t shards, uint64_t seed)
    : shards_(shards), environment_(image_, seed), prng_(seed), sink_(std::make_unique<Sink>()) {
  open();
}

ModelBroker::~ModelBroker() {
  image_.kill();
  environment_.forget_disks();
  broker_.reset();
}

void ModelBroker::open() {
  const BrokerOptions options{.data_directory = "model",
                              .shards = shards_,
                              .durability = Durability::none,
                              .segment_bytes = 64 << 10,
                              .disk_bytes_max = 1u << 30,
                              .accept_clock = true};
  std::string message;
  auto broker = Broker::open(options, environment_, &message);
  MR_ASSERT(broker.has_value());
  broker_ = std::move(*broker);
  for (uint16_t i = 0; i < shards_; ++i)
    broker_->shard(ShardId{i}).set_waker([] {});
  turn();
}

void ModelBroker::turn() {
  for (sim::SimDisk* disk : environment_.disks())
    while (disk->complete_one(prng_)) {
    }
  for (uint16_t i = 0; i < shards_; ++i) {
    broker_->shard(ShardId{i}).refresh_clock();
    broker_->shard(ShardId{i}).tick();
  }
}

bool ModelBroker::answered() {
  for (int i = 0; i < kTurnsMax && !sink_->error; ++i)
    turn();
  return sink_->error.has_value();
}

ShardPort& ModelBroker::any_shard() {
  return broker_->shard(ShardId{static_cast<uint16_t>(prng_.below(shards_))});
}

int64_t ModelBroker::now() {
  ShardPort& shard = broker_->shard(ShardId{0});
  shard.refresh_clock();
  return shard.now().value;
}

std::optional<QueueId> ModelBroker::create(std::string_view name,
                                           const QueueAttributes& attributes) {
  any_shard().create_queue(name, engine::settings_of(attributes), sink_->next());
  if (!answered() || sink_->error != Errc::ok) {
    detail_ = sink_->detail;
    return std::nullopt;
  }
  return sink_->queues.at(0).id;
}

Result<std::vector<uint64_t>> ModelBroker::send(QueueId queue, std::span<const Sending> messages) {
  std::vector<std::byte> run;
  for (const Sending& one : messages)
    append_message(run, one);
  any_shard().send({queue, static_cast<uint32_t>(messages.size()), run}, sink_->next());
  if (!answered()) return fail(Errc::timed_out);
  if (*sink_->error != Errc::ok) return fail(*sink_->error);
  std::vector<uint64_t> places = sink_->places;
  for (uint64_t i = 0; places.size() < messages.size(); ++i)
    places.push_back(sink_->first + i);
  return places;
}

Result<std::vector<Taken>> ModelBroker::receive(QueueId queue, uint32_t max, uint32_t visibility) {
  any_shard().receive(
      {.queue = queue, .messages_max = max, .visibility_ms = visibility, .wait_ms = 0},
      sink_->next());
  if (!answered()) return fail(Errc::timed_out);
  if (*sink_->error != Errc::ok) return fail(*sink_->error);
  return std::move(sink_->taken);
}

Errc ModelBroker::acknowledge(const Receipt& receipt) {
  any_shard().ack({{&receipt, 1}}, sink_->next());
  return answered() ? *sink_->error : Errc::timed_out;
}

Errc ModelBroker::extend(const Receipt& receipt, uint32_t visibility) {
  const ExtendEntry entry{receipt, visibility};
  any_shard().extend({{&entry, 1}}, sink_->next());
  return answered() ? *sink_->error : Errc::timed_out;
}

Errc ModelBroker::purge(QueueId queue) {
  any_shard().purge_queue(queue, sink_->next());
  return answered() ? *sink_->error : Errc::timed_out;
}

Errc ModelBroker::set_scope(QueueId queue, bool by_group) {
  any_shard().set_queue(
      queue, {.attributes = {{"DeduplicationScope", by_group ? "messageGroup" : "queue"}}},
      sink_->next());
  return answered() ? *sink_->error : Errc::timed_out;
}

std::optional<QueueCounters> ModelBroker::counters(QueueId queue) {
  any_shard().queue_stats({&queue, 1}, sink_->next());
  if (!answered() || *sink_->error != Errc::ok) return std::nullopt;
  return sink_->queues.at(0).counters;
}

std::optional<std::map<uint64_t, int64_t>> ModelBroker::look(QueueId queue) {
  // What was moved is shown when it is durable.
  for (int i = 0; i < 4; ++i)
    turn();
  any_shard().peek({.queue = queue, .messages_max = kSeenMax, .states = 0b111}, sink_->next());
  if (!answered() || *sink_->error != Errc::ok || sink_->seen_count == kSeenMax)
    return std::nullopt;
  return sink_->seen;
}

Result<MoveTask> ModelBroker::move_back(QueueId queue, QueueId destination, bool disturbed) {
  any_shard().start_move({.source = queue, .destination = destination}, sink_->next());
  if (!answered()) return fail(Errc::timed_out);
  if (*sink_->error != Errc::ok) return fail(*sink_->error);
  if (disturbed) restart(prng_.below(2) == 0);
  for (int i = 0; i < kTurnsMax; ++i) {
    turn();
    any_shard().list_moves(queue, 1, sink_->next());
    if (!answered()) return fail(Errc::timed_out);
    if (*sink_->error != Errc::ok) return fail(*sink_->error);
    if (sink_->tasks.at(0).state != MoveState::running) return sink_->tasks[0];
  }
  return fail(Errc::timed_out);
}

void ModelBroker::pass(int64_t ms) {
  environment_.advance(ms);
  turn();
}

void ModelBroker::restart(bool kill) {
  if (kill) {
    image_.kill();
  } else {
    (void)broker_->stop();
  }
  environment_.forget_disks();
  broker_.reset();
  open();
}

}  // namespace millrace::model
