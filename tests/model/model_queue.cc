#include "tests/model/model_queue.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::model {
namespace {

constexpr int64_t kDeduplicationMs = 300'000;

}  // namespace

std::string ModelQueue::send(const Sending& sending, uint64_t said, int64_t now) {
  const auto wrong = [&](uint64_t right) {
    return fmt::format("send {} answered as {}, is {}", sending.number, said, right);
  };
  if (!rules_.fifo && said != sending.number) return wrong(sending.number);
  if (rules_.fifo) {
    // An id that is given wins over the content.
    const std::string& id =
        sending.deduplication_id.empty() ? sending.body : sending.deduplication_id;
    const std::string kind = sending.deduplication_id.empty() ? "content " : "id ";
    std::vector<Accepted>& known = accepted_[kind + id];
    // Five minutes from the first acceptance; later ones do not make them longer.
    std::erase_if(known, [&](const Accepted& one) { return now >= one.at + kDeduplicationMs; });
    std::optional<uint64_t> repeats;
    bool may_be = said == sending.number;
    for (const Accepted& one : known) {
      const bool same_group = one.group == sending.group;
      const bool before = one.scope_changes != scope_changes_;
      if (same_group || (!before && !by_group_)) repeats = one.number;
      if ((same_group || before || !by_group_) && said == one.number) may_be = true;
    }
    if (!may_be || (repeats && said == sending.number))
      return wrong(repeats.value_or(sending.number));
    if (said != sending.number) return "";
    known.push_back({sending.group, now, sending.number, scope_changes_});
  }
  Message message;
  message.sent = sending;
  message.sent_at = now;
  set_expiry(message, now + rules_.retention);
  message.hidden_until = now + sending.delay.value_or(rules_.delay);
  messages_.push_back(std::move(message));
  return "";
}

void ModelQueue::set_scope(bool by_group) {
  if (by_group == by_group_) return;
  by_group_ = by_group;
  ++scope_changes_;
}

std::string ModelQueue::receive(const std::vector<Delivered>& given, uint32_t max, bool complete,
                                int64_t visibility, int64_t now) {
  forget_expired(now);
  if (given.size() > max) return fmt::format("{} messages, asked for {}", given.size(), max);
  const uint64_t due = deliverable(max, now);
  if (complete ? given.size() < due : given.empty() && due > 0)
    return fmt::format("{} messages, {} could be given", given.size(), due);
  std::set<uint64_t> numbers;
  for (const Delivered& one : given) {
    if (!numbers.insert(one.number).second)
      return fmt::format("{} twice in one answer", one.number);
    auto message = find(one.number);
    if (message == messages_.end()) message = find_moved(one.number, now);
    if (message == messages_.end()) return fmt::format("{} is not there", one.number);
    if (message->expires_at < now && !message->sent_at_is_new)
      return fmt::format("{} is over since {} ms", one.number, now - message->expires_at);
    if (message->hidden_until > now)
      return fmt::format("{} is {} for {} ms", one.number, message->leased ? "leased" : "delayed",
                         message->hidden_until - now);
    if (doomed(*message, now))
      return fmt::format("{} was received {} times already", one.number, message->receives);
    if (one.body != message->sent.body || one.group != message->sent.group)
      return fmt::format("{} came changed", one.number);
    if (message->sent_at_is_new && one.sent_at >= message->sent_at && one.sent_at <= now) {
      message->sent_at = one.sent_at;
      set_expiry(*message, one.sent_at + rules_.retention);
      message->sent_at_is_new = false;
    }
    if (one.sent_at != message->sent_at)
      return fmt::format("{} sent at {}, says {}", one.number, message->sent_at, one.sent_at);
    if (one.receives != message->receives + 1)
      return fmt::format("{} received {} times, says {}", one.number, message->receives + 1,
                         one.receives);
    if (rules_.fifo)
      if (std::string wrong = check_order(message, numbers, now); !wrong.empty()) return wrong;
  }
  if (rules_.turns)
    if (std::string wrong = check_turns(given, now); !wrong.empty()) return wrong;
  for (const Delivered& one : given) {
    const auto message = find(one.number);
    ++message->receives;
    message->leased = true;
    message->hidden_until = now + visibility;
  }
  // This receive may have come across any that was received too often.
  if (dead_letters_ != nullptr)
    for (Message& message : messages_)
      if (doomed(message, now)) message.may_have_moved = true;
  return {};
}

// All before it in its group must have been given with it, or be gone to the dead letters.
std::string ModelQueue::check_order(Messages::iterator message, const std::set<uint64_t>& given,
                                    int64_t now) {
  for (auto before = messages_.begin(); before != message; ++before)
    if (before->sent.group == message->sent.group && !given.contains(before->sent.number) &&
        !doomed(*before, now))
      return fmt::format("{} came before {} of the same group", message->sent.number,
                         before->sent.number);
  return {};
}

// A group is a tenant; one with more than a tenth of what is in flight, and at least 30, waits for
// the others. Of those that wait, the one with the fewest in flight goes first.
std::string ModelQueue::check_turns(const std::vector<Delivered>& given, int64_t now) {
  std::map<std::string, uint64_t> in_flight, came, left;
  uint64_t all_in_flight = 0;
  for (const Message& message : messages_) {
    if (message.hidden_until <= now) {
      ++left[message.sent.group];
    } else if (message.leased) {
      ++in_flight[message.sent.group];
      ++all_in_flight;
    }
  }
  for (const Delivered& one : given) {
    --left[std::string(one.group)];
    ++came[std::string(one.group)];
  }
  const auto noisy = [&](const std::string& group) {
    return !group.empty() && in_flight[group] >= 30 && in_flight[group] * 10 > all_in_flight;
  };
  bool some = false;
  for (const auto& [group, count] : came) {
    if (count == 0 || !noisy(group)) continue;
    some = true;
    for (const auto& [other, waiting] : left) {
      if (waiting == 0) continue;
      if (!noisy(other))
        return fmt::format("{} of {}, which has {} of {} in flight, came before {} of {}", count,
                           group, in_flight[group], all_in_flight, waiting, other);
      if (in_flight[group] + count - 1 > in_flight[other] + came[other])
        return fmt::format("{} of {}, which has {} in flight, came before {} of {}, which has {}",
                           count, group, in_flight[group], waiting, other, in_flight[other]);
    }
  }
  noisy_receives_ += some;
  return {};
}

// How many a receive has to give, counting only what must be here and stays here.
uint64_t ModelQueue::deliverable(uint32_t max, int64_t now) const {
  uint64_t count = 0;
  std::set<std::string> blocked;
  for (const Message& message : messages_) {
    if (count == max) break;
    if (doomed(message, now)) continue;
    if (rules_.fifo && blocked.contains(message.sent.group)) continue;
    if (message.hidden_until > now) {
      blocked.insert(message.sent.group);
    } else {
      ++count;
    }
  }
  return count;
}

bool ModelQueue::may_have_moved(uint64_t number) {
  const auto message = find(number);
  return message != messages_.end() && message->may_have_moved;
}

std::string ModelQueue::acknowledge(uint64_t number, uint32_t receives, Answer answer,
                                    int64_t now) {
  forget_expired(now);
  if (over_.contains(number) && !sources_.empty()) return {};
  if (may_have_moved(number)) {
    // Where it is a late receipt still counts; where it went it is about nothing.
    if (answer == Answer::done) find(number)->may_be_gone = true;
    if (answer == Answer::done || answer == Answer::expired) return {};
  }
  const Answer right = acknowledge(number, receives, now);
  return answer == right ? ""
                         : fmt::format("ack of {} answered {}, is {}", number,
                                       static_cast<int>(answer), static_cast<int>(right));
}

std::string ModelQueue::extend(uint64_t number, uint32_t receives, int64_t visibility,
                               Answer answer, int64_t now) {
  if (may_have_moved(number) && answer == Answer::gone) return {};
  // Among dead letters the oldest does not stand first, so the engine may come across it later.
  // Nobody is given it again.
  forget_expired(now);
  if (over_.contains(number) && !sources_.empty()) return {};
  const Answer right = extend(number, receives, visibility, now);
  // So it is here after all, and stays while it is hidden.
  if (answer == Answer::done && right == Answer::done) {
    Message& message = *find(number);
    message.may_have_moved = false;
    set_expiry(message, message.expires_at);  // it may be over
  }
  return answer == right ? ""
                         : fmt::format("extension of {} answered {}, is {}", number,
                                       static_cast<int>(answer), static_cast<int>(right));
}

size_t ModelQueue::size() const {
  return static_cast<size_t>(
      std::ranges::count_if(messages_, [](const Message& m) { return !m.may_be_gone; }));
}

Answer ModelQueue::acknowledge(uint64_t number, uint32_t receives, int64_t now) {
  forget_expired(now);
  const auto message = find(number);
  if (message == messages_.end()) return Answer::done;
  if (receives < message->receives) return Answer::expired;
  // On a standard queue the newest receipt counts however late it comes.
  if (rules_.fifo && message->hidden_until <= now) return Answer::expired;
  messages_.erase(message);
  return Answer::done;
}

Answer ModelQueue::extend(uint64_t number, uint32_t receives, int64_t visibility, int64_t now) {
  forget_expired(now);
  const auto message = find(number);
  if (message == messages_.end()) return Answer::gone;
  if (receives < message->receives) return Answer::expired;
  // The newest receipt hides its message again also when its time is over.
  message->hidden_until = now + visibility;
  return Answer::done;
}

void ModelQueue::purge() {
  // What may be among the dead letters may have escaped, and from a source may have come here.
  messages_.remove_if([](const Message& message) { return !message.may_have_moved; });
  for (Message& message : messages_)
    message.may_be_gone = true;
  for (ModelQueue* source : sources_)
    for (Message& message : source->messages_)
      if (message.may_have_moved) message.may_be_gone = true;
  accepted_.clear();
}

std::string ModelQueue::looked_at(const std::map<uint64_t, int64_t>& here, int64_t now) {
  forget_expired(now);
  for (ModelQueue* source : sources_) {
    // None of them leaves the source before its turn comes: what may have moved is not forgotten.
    std::vector<Messages::iterator> uncertain;
    for (auto message = source->messages_.begin(); message != source->messages_.end(); ++message)
      if (message->may_have_moved) uncertain.push_back(message);
    for (const auto message : uncertain) {
      const uint64_t number = message->sent.number;
      if (!here.contains(number))
        message->may_have_moved = message->may_be_gone;  // nobody knows of those
      else if (find_moved(number, now) == messages_.end())
        return fmt::format("{} moved before others of its group", number);
    }
  }
  std::set<uint64_t> known;
  for (Message& message : messages_) {
    known.insert(message.sent.number);
    const auto seen = here.find(message.sent.number);
    if (seen == here.end()) {
      if (!message.may_be_gone && !message.may_have_moved)
        return fmt::format("{} is missing", message.sent.number);
    } else if (message.sent_at_is_new) {
      message.sent_at = seen->second;
      set_expiry(message, seen->second + rules_.retention);
      message.sent_at_is_new = false;
    }
  }
  for (const auto& [number, sent_at] : here)
    if (!known.contains(number) && !over_.contains(number))
      return fmt::format("{} came from nowhere", number);
  forget_expired(now);
  return {};
}

bool ModelQueue::can_move_back() const {
  return std::ranges::none_of(messages_,
                              [](const Message& m) { return m.may_be_gone || m.may_have_moved; });
}

std::string ModelQueue::move_back(ModelQueue& there, uint64_t moved, int64_t now,
                                  std::set<uint64_t>* gone_back) {
  std::set<std::string> blocked;
  for (auto message = messages_.begin(); message != messages_.end();) {
    const auto next = std::next(message);
    if (message->hidden_until > now) {
      blocked.insert(message->sent.group);
    } else if (!rules_.fifo || !blocked.contains(message->sent.group)) {
      gone_back->insert(message->sent.number);
      message->sent_at = message->hidden_until = now;
      there.set_expiry(*message, now + there.rules_.retention);
      message->leased = false;
      message->receives = 0;
      there.messages_.splice(there.messages_.end(), messages_, message);
    }
    message = next;
  }
  if (gone_back->size() == moved) return {};
  return fmt::format("{} moved back, {} could be", moved, gone_back->size());
}

Counts ModelQueue::counts(int64_t now) const {
  Counts counts;
  for (const Message& message : messages_) {
    const bool hidden = message.hidden_until > now;
    ++(!hidden ? counts.ready : message.leased ? counts.leased : counts.delayed);
  }
  return counts;
}

void ModelQueue::set_expiry(Message& message, int64_t expires_at) {
  message.expires_at = expires_at;
  first_expiry_ = std::min(first_expiry_, expires_at);
}

void ModelQueue::forget_expired(int64_t now) {
  if (now <= first_expiry_) return;
  // What may be among the dead letters may live longer there.
  messages_.remove_if([&](const Message& message) {
    const bool over = message.expires_at < now && !message.may_have_moved;
    if (over) over_.insert(message.sent.number);
    return over;
  });
  first_expiry_ = kNever;
  for (Message& message : messages_) {
    // One that is over already is only looked at again when it turns out to have stayed.
    if (message.expires_at < now)
      message.may_be_gone = true;
    else
      first_expiry_ = std::min(first_expiry_, message.expires_at);
  }
}

bool ModelQueue::doomed(const Message& message, int64_t now) const {
  return dead_letters_ != nullptr && message.receives >= rules_.receives_max &&
         message.hidden_until <= now;
}

ModelQueue::Messages::iterator ModelQueue::find(uint64_t number) {
  return std::ranges::find_if(messages_,
                              [number](const Message& m) { return m.sent.number == number; });
}

ModelQueue::Messages::iterator ModelQueue::find_moved(uint64_t number, int64_t now) {
  for (ModelQueue* source : sources_) {
    source->forget_expired(now);
    const auto message = source->find(number);
    if (message == source->messages_.end() || !message->may_have_moved) continue;
    // They move in the order of their group.
    if (rules_.fifo)
      for (auto before = source->messages_.begin(); before != message; ++before)
        if (before->sent.group == message->sent.group && !before->may_be_gone)
          return messages_.end();
    messages_.splice(messages_.end(), source->messages_, message);
    message->may_have_moved = message->may_be_gone = false;
    message->leased = false;
    message->sent_at_is_new = rules_.fifo;
    set_expiry(*message, message->expires_at + rules_.retention - source->rules_.retention);
    return message;
  }
  return messages_.end();
}

}  // namespace millrace::model
