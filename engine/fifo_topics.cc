#include "engine/fifo_topics.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/each_bit.h"
#include "engine/limits.h"
#include "millrace/message_id.h"

namespace millrace::engine {
namespace {

// The token of what nobody waits for: the error, if there is one, comes at once.
constexpr uint64_t kStandard = 0;

}  // namespace

// --- asking ---

Errc FifoTopics::check(const OrderedPublishRequest& request) {
  const size_t messages = request.deduplication_ids.size();
  const PublishRequest& copies = request.copies;
  if (messages == 0) return Errc::batch_empty;
  if (messages > kSharedMessagesMax || copies.count > kSharedMessagesMax)
    return Errc::batch_too_large;
  if (request.forms.size() != copies.count ||
      (!copies.stamps.empty() && copies.stamps.size() != copies.count))
    return Errc::invalid_argument;
  const uint64_t all = copies.count == 0 ? 0 : ~uint64_t{0} >> (kSharedMessagesMax - copies.count);
  size_t offset = 0;
  for (const OrderedForm& form : request.forms) {
    if (copies.messages.size() - offset < sizeof(MessageHeader)) return Errc::malformed;
    const auto header = read_at<MessageHeader>(copies.messages, offset);
    if (copies.messages.size() - offset < message_stride(header)) return Errc::malformed;
    offset += message_stride(header);
    const auto fits = [&](uint32_t at, uint32_t bytes) {
      return at == 0 || uint64_t{at} + bytes <= header.body_bytes;
    };
    const size_t i = static_cast<size_t>(&form - request.forms.data());
    if (form.message >= messages || !fits(form.id_at, kUuidTextBytes) ||
        !fits(form.sequence_at, kSequenceTextBytes) ||
        !fits(copies.stamps.empty() ? 0 : copies.stamps[i], kUuidTextBytes))
      return Errc::invalid_argument;
  }
  if (offset != copies.messages.size()) return Errc::malformed;
  for (const PublishCopy& copy : copies.copies)
    if ((copy.messages & ~all) != 0) return Errc::invalid_argument;
  return Errc::ok;
}

void FifoTopics::publish(const OrderedPublishRequest& request, ReplyTo to) {
  const auto no = [&](Errc error) { to.sink->on_send(to.token, {.error = error}); };
  const TopicInfo* topic = topics_.find(request.copies.topic);
  if (topic == nullptr || !topic->attributes.fifo) return no(Errc::topic_not_found);
  if (const Errc error = check(request); error != Errc::ok) return no(error);
  if (under_way_ + mailed_.size() >= kGathersPerShardMax || bytes_ > kOrderedBytesMax)
    return no(Errc::throttled);
  auto publish = std::make_unique<OrderedPublish>();
  publish->topic = topic->id;
  publish->run.assign(request.copies.messages.begin(), request.copies.messages.end());
  publish->stamps.assign(request.copies.stamps.begin(), request.copies.stamps.end());
  publish->stamps.resize(request.copies.count);
  publish->copies.assign(request.copies.copies.begin(), request.copies.copies.end());
  publish->forms.assign(request.forms.begin(), request.forms.end());
  for (size_t offset = 0; publish->offsets.size() < request.copies.count;) {
    publish->offsets.push_back(offset);
    offset += message_stride(read_at<MessageHeader>(publish->run, offset));
  }
  for (const std::string_view id : request.deduplication_ids)
    publish->ids.push_back(parts_.state.names().of(as_bytes(id)));
  if (topic->home == parts_.mailbox.own()) {
    publish->to = to;
    return take(std::move(publish));
  }
  auto mail = std::make_unique<Mail>();
  mail->kind = MailKind::ordered;
  mail->job = next_++;
  mail->ordered = std::move(publish);
  mailed_[mail->job] = to;
  parts_.mailbox.post(topic->home, std::move(mail));
}

void FifoTopics::on_publish(Mail& mail) {
  mail.ordered->asker = mail.from;
  mail.ordered->job = mail.job;
  take(std::move(mail.ordered));
}

void FifoTopics::on_answer(const Mail& mail) {
  const auto found = mailed_.find(mail.job);
  if (found == mailed_.end()) return;
  const ReplyTo to = found->second;
  mailed_.erase(found);
  if (to.sink == nullptr) return;
  to.sink->on_send(to.token, {.error = mail.error,
                              .shard = mail.from,
                              .position = mail.position,
                              .shard_slots = mail.shard_slots});
}

void FifoTopics::cancel_all(const ReplySink* sink) {
  for (auto& [topic, line] : lines_) {
    for (const PublishPtr& publish : line.waiting)
      if (publish->to.sink == sink) publish->to.sink = nullptr;
    for (const PublishPtr& publish : line.round)
      if (publish->to.sink == sink) publish->to.sink = nullptr;
  }
  for (auto& [job, to] : mailed_)
    if (to.sink == sink) to.sink = nullptr;
}

// What other shards asked for they answer themselves.
void FifoTopics::fail_all(Errc error) {
  sent_.clear();
  const auto lines = std::exchange(lines_, {});
  const auto mailed = std::exchange(mailed_, {});
  bytes_ = under_way_ = 0;
  const auto tell = [&](const ReplyTo& to) {
    if (to.sink != nullptr) to.sink->on_send(to.token, {.error = error});
  };
  for (const auto& [topic, line] : lines) {
    for (const PublishPtr& publish : line.round)
      tell(publish->to);
    for (const PublishPtr& publish : line.waiting)
      tell(publish->to);
  }
  for (const auto& [job, to] : mailed)
    tell(to);
}

// --- rounds ---

void FifoTopics::take(PublishPtr publish) {
  const TopicId topic = publish->topic;
  ++under_way_;
  bytes_ += publish->bytes();
  Line& line = lines_[topic];
  line.waiting.push_back(std::move(publish));
  if (line.round.empty()) begin_round(topic);
}

void FifoTopics::begin_round(TopicId topic) {
  Line& line = lines_.at(topic);
  Partition* window = parts_.state.find(QueueId{raw(topic)});
  if (window == nullptr || parts_.state.log().fenced()) {
    const Errc error = window == nullptr ? Errc::topic_not_found : Errc::shard_fenced;
    std::deque<PublishPtr> waiting = std::move(line.waiting);
    lines_.erase(topic);
    for (PublishPtr& publish : waiting)
      refuse(std::move(publish), error);
    return;
  }
  size_t messages = 0;
  uint64_t bytes = 0;
  while (!line.waiting.empty()) {
    messages += line.waiting.front()->ids.size();
    bytes += line.waiting.front()->run.size();
    if (!line.round.empty() && (messages > kRoundMessagesMax || bytes > kRoundBytesMax)) break;
    line.round.push_back(std::move(line.waiting.front()));
    line.waiting.pop_front();
  }
  number(*window, line);
  send_round(topic, line);
}

// Gives each message its place: the next, or that of the one that it repeats.
void FifoTopics::number(const Partition& window, Line& line) {
  line.next = std::max(line.next, window.slot_end());
  std::map<base::Hash128, std::pair<Slot, size_t>> here;
  for (size_t p = 0; p < line.round.size(); ++p) {
    OrderedPublish& publish = *line.round[p];
    for (size_t i = 0; i < publish.ids.size(); ++i) {
      const base::Hash128& id = publish.ids[i];
      if (const DedupWindow::Entry* known = window.dedup().find(id, parts_.now)) {
        publish.slots.push_back(raw(known->slot));
        continue;
      }
      const auto [first, is_first] = here.try_emplace(id, line.next, p);
      publish.slots.push_back(raw(first->second.first));
      if (is_first) {
        publish.fresh |= uint64_t{1} << i;
        line.next = line.next + 1;
      } else if (first->second.second != p) {
        publish.repeats.push_back(first->second.second);
      }
    }
    uint64_t forms = 0;
    for (size_t f = 0; f < publish.forms.size(); ++f)
      forms |= (publish.fresh >> publish.forms[f].message & 1) << f;
    for (PublishCopy& copy : publish.copies)
      copy.messages &= forms;
  }
}

void FifoTopics::append_form(const OrderedPublish& publish, size_t form, const PublishCopy& copy,
                             std::vector<std::byte>* run) const {
  const size_t offset = publish.offsets[form];
  const auto header = read_at<MessageHeader>(publish.run, offset);
  const size_t begin = run->size();
  const Bytes message = Bytes(publish.run).subspan(offset, message_stride(header));
  run->insert(run->end(), message.begin(), message.end());
  std::byte* to = run->data() + begin;
  std::byte* body = to + sizeof header + header.properties_bytes;
  const OrderedForm& what = publish.forms[form];
  const uint64_t place = pack_shard_slot(parts_.mailbox.own(), Slot{publish.slots[what.message]});
  if (what.id_at != 0) {
    const std::string id = message_id_text({raw(publish.topic), place});
    std::memcpy(body + what.id_at, id.data(), kUuidTextBytes);
  }
  if (what.sequence_at != 0) {
    const std::string number = std::to_string(sequence_number(place));
    std::memcpy(body + what.sequence_at, number.data(), kSequenceTextBytes);
  }
  if (publish.stamps[form] != 0)
    put_stamp({reinterpret_cast<const std::byte*>(copy.stamp.data()), publish.stamps[form]}, to);
}

void FifoTopics::send_round(TopicId topic, Line& line) {
  std::map<QueueId, Part> parts;
  line.sends = 1;  // an answer that comes at once must not end it
  for (size_t p = 0; p < line.round.size(); ++p) {
    const OrderedPublish& publish = *line.round[p];
    // Form by form, as one queue may be there by several subscriptions.
    for (size_t f = 0; f < publish.forms.size(); ++f)
      for (const PublishCopy& copy : publish.copies) {
        if ((copy.messages >> f & 1) == 0) continue;
        const QueueInfo* queue = parts_.catalog.find(copy.queue);
        if (queue == nullptr || !queue->attributes.fifo) continue;
        Part& part = parts[copy.queue];
        if (part.count == kRoundMessagesMax || part.run.size() > kRoundBytesMax)
          send_part(topic, line, copy.queue, part);
        append_form(publish, f, copy, &part.run);
        ++part.count;
        if (part.publishes.empty() || part.publishes.back() != p) part.publishes.push_back(p);
      }
  }
  for (auto& [queue, part] : parts)
    send_part(topic, line, queue, part);
  if (--line.sends == 0) end_round(topic);
}

void FifoTopics::send_part(TopicId topic, Line& line, QueueId queue, Part& part) {
  const Part now = std::exchange(part, {});
  const uint64_t token = next_++;
  sent_[token] = {topic, now.publishes};
  ++line.sends;
  sends_.send({queue, now.count, now.run}, {this, token});
}

void FifoTopics::on_send(uint64_t token, const SendReply& reply) {
  if (token == kStandard) {
    standard_error_ = reply.error;
    return;
  }
  const auto found = sent_.find(token);
  if (found == sent_.end()) return;
  const Sent sent = std::move(found->second);
  sent_.erase(found);
  Line& line = lines_.at(sent.topic);
  // A queue that was deleted since wants nothing any more.
  if (reply.error != Errc::ok && reply.error != Errc::queue_not_found)
    for (const size_t p : sent.publishes)
      line.round[p]->error = reply.error;
  if (--line.sends == 0) end_round(sent.topic);
}

// The copies for standard queues, with one record. Its answer is not waited for: that of the
// publish comes later in the log.
Errc FifoTopics::store_standard(OrderedPublish& publish) {
  std::vector<PublishCopy> copies;
  uint64_t wanted = 0;
  for (const PublishCopy& copy : publish.copies) {
    const QueueInfo* queue = parts_.catalog.find(copy.queue);
    if (copy.messages == 0 || queue == nullptr || queue->attributes.fifo) continue;
    copies.push_back(copy);
    wanted |= copy.messages;
  }
  if (copies.empty()) return Errc::ok;
  // Only the forms that are wanted.
  std::vector<std::byte> run;
  std::vector<uint32_t> stamps;
  std::array<uint64_t, kSharedMessagesMax> bit_of{};
  base::each_bit(wanted, [&](size_t f) {
    bit_of[f] = uint64_t{1} << stamps.size();
    append_form(publish, f, {}, &run);
    stamps.push_back(publish.stamps[f]);
  });
  for (PublishCopy& copy : copies) {
    uint64_t messages = 0;
    base::each_bit(copy.messages, [&](size_t f) { messages |= bit_of[f]; });
    copy.messages = messages;
  }
  standard_error_ = Errc::ok;
  publishes_.publish({publish.topic, static_cast<uint32_t>(stamps.size()), run, stamps, copies},
                     {this, kStandard});
  return standard_error_;
}

void FifoTopics::end_round(TopicId topic) {
  Line& line = lines_.at(topic);
  std::vector<PublishPtr> round = std::move(line.round);
  line.round.clear();
  Partition* window = parts_.state.find(QueueId{raw(topic)});
  std::vector<DedupMark> marks;
  for (const PublishPtr& publish : round) {
    if (window == nullptr) publish->error = Errc::topic_not_found;
    for (const size_t first : publish->repeats)
      if (round[first]->error != Errc::ok) publish->error = round[first]->error;
    if (publish->error == Errc::ok) publish->error = store_standard(*publish);
    if (publish->error != Errc::ok) continue;
    base::each_bit(publish->fresh, [&](size_t i) {
      const base::Hash128& id = publish->ids[i];
      marks.push_back({id.low, id.high, publish->slots[i], parts_.now.value});
    });
  }
  Errc noted = Errc::ok;
  if (window != nullptr)
    noted = parts_.state.note_published(*window, marks, line.next, parts_.now).error();
  for (PublishPtr& publish : round) {
    if (publish->error == Errc::ok) publish->error = noted;
    if (publish->error != Errc::ok) {
      const Errc error = publish->error;
      refuse(std::move(publish), error);
      continue;
    }
    bool durable =
        parts_.durability == Durability::commit || parts_.state.log().durable() < safe_at_;
    for (const PublishCopy& copy : publish->copies)
      durable = durable || parts_.waits_durable(copy.queue);
    answer(std::move(publish), parts_.state.last_end(), durable);
  }
  // An answer may have asked for more.
  const auto after = lines_.find(topic);
  if (after == lines_.end() || !after->second.round.empty()) return;
  if (!after->second.waiting.empty()) begin_round(topic);
}

// --- answers ---

void FifoTopics::answer(PublishPtr publish, Position end, bool durable) {
  --under_way_;
  bytes_ -= publish->bytes();
  const ShardId own = parts_.mailbox.own();
  std::vector<uint64_t> places;
  for (const uint64_t slot : publish->slots)
    places.push_back(pack_shard_slot(own, Slot{slot}));
  Parked parked{.end = end, .kind = Parked::Kind::send, .to = publish->to};
  if (publish->job != 0) {
    auto mail = std::make_unique<Mail>();
    mail->kind = MailKind::ordered_answer;
    mail->job = publish->job;
    mail->position = end;
    mail->shard_slots = std::move(places);
    parked.kind = Parked::Kind::mail;
    parked.mail_to = publish->asker;
    parked.mail = std::move(mail);
  } else {
    if (publish->to.sink == nullptr) return;
    parked.send = {.durability = durable ? Durability::commit : parts_.durability,
                   .shard = own,
                   .position = end};
    parked.shard_slots = std::make_unique<std::vector<uint64_t>>(std::move(places));
  }
  parts_.commits.park(park_level(durable), std::move(parked));
}

void FifoTopics::refuse(PublishPtr publish, Errc error) {
  --under_way_;
  bytes_ -= publish->bytes();
  if (publish->job == 0) {
    if (publish->to.sink != nullptr) publish->to.sink->on_send(publish->to.token, {.error = error});
    return;
  }
  auto mail = std::make_unique<Mail>();
  mail->kind = MailKind::ordered_answer;
  mail->job = publish->job;
  mail->error = error;
  parts_.mailbox.post(publish->asker, std::move(mail));
}

}  // namespace millrace::engine
