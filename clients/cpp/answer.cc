#include "clients/cpp/answer.h"

#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "clients/cpp/setting_texts.h"

namespace millrace::client {
namespace {

using wire::Opcode;

constexpr size_t kCount = sizeof(wire::CountBody);

QueueDescription to_description(const wire::QueueItem& item) {
  QueueDescription queue;
  queue.id = QueueId{item.queue_id};
  queue.first_shard = ShardId{item.first_shard};
  queue.created_at_ms = item.created_at_ms;
  queue.modified_at_ms = item.modified_at_ms;
  queue.counters.ready = item.ready;
  queue.counters.leased = item.leased;
  queue.counters.delayed = item.delayed;
  queue.counters.bytes = item.bytes;
  queue.counters.sent = item.sent;
  queue.counters.received = item.received;
  queue.counters.acked = item.acked;
  queue.counters.expired = item.expired;
  queue.counters.empty_receives = item.empty_receives;
  queue.counters.oldest_sent_at_ms = item.oldest_sent_at_ms;
  queue.counters.redelivered = item.redelivered;
  queue.counters.dead_lettered = item.dead_lettered;
  queue.counters.aged_out = item.aged_out;
  return queue;
}

// Whether a message lies whole in `run` at `offset`.
bool message_fits(Bytes run, uint32_t offset) {
  if (offset % 8 != 0 || offset > run.size() || run.size() - offset < sizeof(MessageHeader))
    return false;
  return message_stride(take<MessageHeader>(run.data() + offset)) <= run.size() - offset;
}

bool delivery_fits(Bytes body) {
  if (body.size() < sizeof(wire::DeliveryHeader)) return false;
  const auto header = take<wire::DeliveryHeader>(body.data());
  const uint64_t entries = uint64_t{header.count} * sizeof(wire::DeliveryEntry);
  if (sizeof header + entries + header.run_bytes != body.size()) return false;
  const Bytes run = body.subspan(sizeof header + entries);
  const std::byte* entry = body.data() + sizeof header;
  for (uint32_t i = 0; i < header.count; ++i, entry += sizeof(wire::DeliveryEntry)) {
    const auto offset = take<uint32_t>(entry + offsetof(wire::DeliveryEntry, run_offset));
    if (!message_fits(run, offset)) return false;
  }
  return true;
}

bool peek_fits(Bytes body) {
  if (body.size() < kCount) return false;
  const uint64_t count = take<wire::CountBody>(body.data()).count;
  const uint64_t items = count * sizeof(wire::PeekItem);
  if (kCount + items > body.size()) return false;
  const Bytes run = body.subspan(kCount + items);
  for (uint64_t i = 0; i < count; ++i) {
    const auto item = take<wire::PeekItem>(body.data() + kCount + i * sizeof(wire::PeekItem));
    if (!message_fits(run, item.run_offset)) return false;
    if (uint64_t{item.holder_offset} + item.holder_bytes > run.size()) return false;
  }
  return true;
}

bool results_fit(Bytes body) {
  if (body.size() < sizeof(wire::ResultsAnswer)) return false;
  const auto answer = take<wire::ResultsAnswer>(body.data());
  const uint64_t listed = answer.failed == 0 ? 0 : padded8(uint64_t{answer.count} * 2);
  return body.size() == sizeof answer + listed;
}

bool sent_fits(Bytes body) {
  if (body.size() < sizeof(wire::SendAnswer)) return false;
  const auto sent = take<wire::SendAnswer>(body.data());
  const uint64_t listed = sent.scattered == 0 ? 0 : uint64_t{sent.count} * sizeof(uint64_t);
  return body.size() == sizeof sent + listed;
}

std::shared_ptr<const QueueTimes> to_times(const wire::QueueTimesItem& item) {
  auto times = std::make_shared<QueueTimes>();
  const auto fill = [](DurationHistogram& to, const wire::TimesItem& from) {
    to.sum_ms = from.sum_ms;
    std::copy(std::begin(from.counts), std::end(from.counts), to.counts.begin());
  };
  fill(times->wait, item.wait);
  fill(times->lease, item.lease);
  return times;
}

// Nothing if the bytes do not fit.
std::optional<std::vector<QueueDescription>> take_queues(Bytes body) {
  if (body.size() < kCount) return std::nullopt;
  const uint32_t count = take<wire::CountBody>(body.data()).count;
  Bytes rest = body.subspan(kCount);
  std::vector<QueueDescription> queues;
  for (uint32_t i = 0; i < count; ++i) {
    if (rest.size() < sizeof(wire::QueueItem)) return std::nullopt;
    const auto item = take<wire::QueueItem>(rest.data());
    rest = rest.subspan(sizeof item);
    if (padded8(item.text_bytes) > rest.size() || item.name_bytes > item.text_bytes)
      return std::nullopt;
    QueueDescription queue = to_description(item);
    queue.name = as_text(rest.first(item.name_bytes));
    Bytes texts = rest.subspan(item.name_bytes, item.text_bytes - item.name_bytes);
    if (!take_texts(&texts, item.attributes, &queue.attributes) ||
        !take_texts(&texts, item.tags, &queue.tags) || !texts.empty())
      return std::nullopt;
    rest = rest.subspan(padded8(item.text_bytes));
    if (item.times > 1) return std::nullopt;
    if (item.times == 1) {
      if (rest.size() < sizeof(wire::QueueTimesItem)) return std::nullopt;
      queue.counters.times = to_times(take<wire::QueueTimesItem>(rest.data()));
      rest = rest.subspan(sizeof(wire::QueueTimesItem));
    }
    queues.push_back(std::move(queue));
  }
  if (!rest.empty()) return std::nullopt;
  return queues;
}

std::optional<std::vector<MoveTask>> take_moves(Bytes body) {
  if (body.size() < kCount) return std::nullopt;
  const uint32_t count = take<wire::CountBody>(body.data()).count;
  Bytes rest = body.subspan(kCount);
  std::vector<MoveTask> tasks;
  for (uint32_t i = 0; i < count; ++i) {
    if (rest.size() < sizeof(wire::MoveTaskItem)) return std::nullopt;
    const auto item = take<wire::MoveTaskItem>(rest.data());
    rest = rest.subspan(sizeof item);
    const size_t texts = padded8(size_t{item.name_bytes} + item.failure_bytes);
    if (texts > rest.size() || item.state > static_cast<uint8_t>(MoveState::failed))
      return std::nullopt;
    const std::string_view text = as_text(rest);
    tasks.push_back({.id = item.task,
                     .source = QueueId{item.source},
                     .destination = QueueId{item.destination},
                     .rate = item.rate,
                     .state = MoveState{item.state},
                     .moved = item.moved,
                     .to_move = item.to_move,
                     .started_at_ms = item.started_at_ms,
                     .ended_at_ms = item.ended_at_ms,
                     .destination_name = std::string(text.substr(0, item.name_bytes)),
                     .failure = std::string(text.substr(item.name_bytes, item.failure_bytes))});
    rest = rest.subspan(texts);
  }
  if (!rest.empty()) return std::nullopt;
  return tasks;
}

bool shards_fit(Bytes body) {
  return body.size() >= kCount &&
         body.size() ==
             kCount + uint64_t{take<wire::CountBody>(body.data()).count} * sizeof(wire::ShardItem);
}

std::optional<BackupDescription> take_backup(Bytes body) {
  if (body.size() < sizeof(wire::BackupAnswer)) return std::nullopt;
  const auto head = take<wire::BackupAnswer>(body.data());
  Bytes rest = body.subspan(sizeof head);
  BackupDescription backup{head.backup, TimeMs{head.server_time_ms}, {}};
  for (uint32_t i = 0; i < head.logs; ++i) {
    if (rest.size() < sizeof(wire::BackupLogItem)) return std::nullopt;
    const auto item = take<wire::BackupLogItem>(rest.data());
    rest = rest.subspan(sizeof item);
    if (rest.size() / sizeof(wire::BackupFileItem) < item.files) return std::nullopt;
    BackupLog log{item.log_id, {item.head}, {item.end}, item.segment_bytes, {}};
    for (uint32_t n = 0; n < item.files; ++n) {
      const auto file = take<wire::BackupFileItem>(rest.data());
      log.files.push_back({file.sequence, file.bytes});
      rest = rest.subspan(sizeof file);
    }
    backup.logs.push_back(std::move(log));
  }
  if (!rest.empty()) return std::nullopt;
  return backup;
}

bool backup_bytes_fit(Bytes body) {
  return body.size() >= sizeof(wire::BackupBytes) &&
         body.size() == sizeof(wire::BackupBytes) +
                            padded8(uint64_t{take<wire::BackupBytes>(body.data()).bytes});
}

bool answer_fits(Opcode opcode, Bytes body) {
  switch (opcode) {
    case Opcode::echo:
      return true;
    case Opcode::hello:
      return body.size() == sizeof(wire::Welcome);
    case Opcode::login:
      return body.size() == sizeof(wire::LoginChallenge);
    case Opcode::login_proof:
      return body.size() == sizeof(wire::LoginAnswer);
    case Opcode::resolve:
    case Opcode::queue_create:
      return body.size() == sizeof(wire::QueueRef);
    case Opcode::send:
      return sent_fits(body);
    case Opcode::receive:
    case Opcode::deliver:
      return delivery_fits(body);
    case Opcode::ack:
    case Opcode::extend:
      return results_fit(body);
    case Opcode::subscribe:
      return body.size() == sizeof(wire::SubscriptionRef);
    case Opcode::peek:
      return peek_fits(body);
    case Opcode::queue_list:
    case Opcode::queue_stats:
      return take_queues(body).has_value();
    case Opcode::server_stats:
      return shards_fit(body);
    case Opcode::move_start:
    case Opcode::move_cancel: {
      const auto tasks = take_moves(body);
      return tasks && tasks->size() == 1;
    }
    case Opcode::move_list:
      return take_moves(body).has_value();
    case Opcode::backup_start:
      return take_backup(body).has_value();
    case Opcode::backup_read:
      return backup_bytes_fit(body);
    case Opcode::topic_create:
    case Opcode::topic_show: {
      const auto topics = take_topics(body);
      return topics && topics->size() == 1;
    }
    case Opcode::topic_list:
      return take_topics(body).has_value();
    case Opcode::topic_subscribe: {
      const auto subscriptions = take_subscriptions(body);
      return subscriptions && subscriptions->size() == 1;
    }
    case Opcode::subscription_list:
      return take_subscriptions(body).has_value();
    case Opcode::publish:
      return take_published(body).has_value();
    case Opcode::topic_set:
    case Opcode::topic_delete:
    case Opcode::subscription_set:
    case Opcode::topic_unsubscribe:
    case Opcode::backup_end:
    case Opcode::credit:
    case Opcode::unsubscribe:
    case Opcode::queue_set:
    case Opcode::queue_purge:
    case Opcode::queue_delete:
    case Opcode::cancel:
      return body.empty();
    case Opcode::error:
      return false;
  }
  return false;
}

}  // namespace

Result<Answer> Answer::parse(Opcode request, const Frame& frame) {
  Answer answer;
  answer.opcode_ = request;
  answer.correlation_ = frame.header.correlation;
  answer.error_ = static_cast<Errc>(frame.header.status);
  answer.body_ = frame.body;
  if (answer.error_ == Errc::ok) {
    if (!answer_fits(request, frame.body)) return fail(Errc::malformed);
    return answer;
  }
  answer.text_ = errc_text(answer.error_);
  const bool explained =
      (frame.header.opcode & ~wire::kReplyBit) == static_cast<uint8_t>(Opcode::error);
  if (explained) {
    if (frame.body.size() < sizeof(wire::ErrorBody)) return fail(Errc::malformed);
    const auto error = take<wire::ErrorBody>(frame.body.data());
    if (error.text_bytes > frame.body.size() - sizeof error) return fail(Errc::malformed);
    answer.entry_index_ = error.entry_index;
    if (error.text_bytes > 0)
      answer.text_ = as_text(frame.body.subspan(sizeof error, error.text_bytes));
  }
  return answer;
}

Answer Answer::failed(Opcode request, uint64_t correlation, Errc error, std::string_view text) {
  Answer answer;
  answer.opcode_ = request;
  answer.correlation_ = correlation;
  answer.error_ = error;
  answer.text_ = text;
  return answer;
}

Receipt Messages::receipt(uint32_t index) const {
  MR_ASSERT(index < size());
  return take<Receipt>(delivery_.data() + sizeof(wire::DeliveryHeader) +
                       index * sizeof(wire::DeliveryEntry));
}

ReceivedMessage Messages::operator[](uint32_t index) const {
  const uint32_t count = size();
  MR_ASSERT(index < count);
  const std::byte* entries = delivery_.data() + sizeof(wire::DeliveryHeader);
  const auto entry = take<wire::DeliveryEntry>(entries + index * sizeof(wire::DeliveryEntry));
  const std::byte* message = entries + count * sizeof(wire::DeliveryEntry) + entry.run_offset;
  const auto header = take<MessageHeader>(message);
  const std::byte* properties = message + sizeof header;
  return {entry.receipt,
          TimeMs{entry.sent_at_ms},
          entry.receive_count,
          {properties, header.properties_bytes},
          {properties + header.properties_bytes, header.body_bytes}};
}

QueueId Answer::queue() const {
  return QueueId{take<wire::QueueRef>(body_.data()).queue_id};
}

wire::SendAnswer Answer::sent() const {
  return take<wire::SendAnswer>(body_.data());
}

uint64_t Answer::sent_shard_slot(uint32_t index) const {
  const wire::SendAnswer all = sent();
  MR_ASSERT(index < all.count);
  if (all.scattered == 0) return all.shard_slot + index;
  return take<uint64_t>(body_.data() + sizeof all + size_t{index} * sizeof(uint64_t));
}

uint32_t Answer::results_size() const {
  return take<wire::ResultsAnswer>(body_.data()).count;
}

uint32_t Answer::results_failed() const {
  return take<wire::ResultsAnswer>(body_.data()).failed;
}

Errc Answer::result(uint32_t index) const {
  MR_ASSERT(index < results_size());
  if (results_failed() == 0) return Errc::ok;
  return static_cast<Errc>(take<uint16_t>(body_.data() + sizeof(wire::ResultsAnswer) + index * 2));
}

uint32_t Answer::peeked_size() const {
  return take<wire::CountBody>(body_.data()).count;
}

PeekedBody Answer::peeked(uint32_t index) const {
  const uint32_t count = peeked_size();
  MR_ASSERT(index < count);
  const std::byte* items = body_.data() + kCount;
  const auto item = take<wire::PeekItem>(items + index * sizeof(wire::PeekItem));
  const std::byte* run = items + count * sizeof(wire::PeekItem);
  const std::byte* message = run + item.run_offset;
  const auto header = take<MessageHeader>(message);
  const std::byte* properties = message + sizeof header;
  return {item,
          {properties, header.properties_bytes},
          {properties + header.properties_bytes, header.body_bytes},
          as_text({run + item.holder_offset, item.holder_bytes})};
}

std::vector<QueueDescription> Answer::queues() const {
  return std::move(*take_queues(body_));
}

std::vector<MoveTask> Answer::moves() const {
  return std::move(*take_moves(body_));
}

std::vector<TopicDescription> Answer::topics() const {
  return std::move(*take_topics(body_));
}

std::vector<TopicSubscription> Answer::subscriptions() const {
  return std::move(*take_subscriptions(body_));
}

std::vector<PublishedMessage> Answer::published() const {
  return std::move(*take_published(body_));
}

BackupDescription Answer::backup() const {
  return std::move(*take_backup(body_));
}

Bytes Answer::backup_bytes() const {
  return body_.subspan(sizeof(wire::BackupBytes), take<wire::BackupBytes>(body_.data()).bytes);
}

std::span<const wire::ShardItem> Answer::shards() const {
  return {reinterpret_cast<const wire::ShardItem*>(body_.data() + kCount),
          take<wire::CountBody>(body_.data()).count};
}

}  // namespace millrace::client
