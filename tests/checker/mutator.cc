#include "tests/checker/mutator.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

namespace millrace::checker {
namespace {

using History = std::vector<RandomOperation>;

bool acknowledged(const RandomOperation& operation) {
  return operation.ends.size() == 1 && operation.ends[0].phase == Phase::ok;
}

struct Delivery {
  RandomOperation* receive;
  RandomEnd* end;
};

// What the history says of one message, receives by end.
struct Story {
  RandomOperation* send = nullptr;
  std::vector<Delivery> deliveries;
  std::vector<RandomOperation*> calls;
  bool acked() const { return send != nullptr && acknowledged(*send); }
};

std::map<std::string, Story> stories(History& history) {
  std::map<std::string, Story> out;
  for (RandomOperation& operation : history) {
    if (operation.op == Op::send) out[operation.fields.k].send = &operation;
    if (operation.op == Op::del || operation.op == Op::vis) {
      out[operation.fields.k].calls.push_back(&operation);
    }
    if (operation.op != Op::recv) continue;
    for (RandomEnd& end : operation.ends) {
      if (!end.fields.k.empty()) out[end.fields.k].deliveries.push_back({&operation, &end});
    }
  }
  for (auto& [key, story] : out) {
    std::sort(story.deliveries.begin(), story.deliveries.end(),
              [](const Delivery& a, const Delivery& b) { return a.end->t < b.end->t; });
  }
  return out;
}

// One of the stories that fit, or null.
const Story* pick(const std::map<std::string, Story>& all, uint64_t chosen,
                  const std::function<bool(const Story&)>& fits) {
  std::vector<const Story*> found;
  for (const auto& [key, story] : all) {
    if (fits(story)) found.push_back(&story);
  }
  return found.empty() ? nullptr : found[chosen % found.size()];
}

const RandomOperation* only(const History& history, Op op) {
  const auto found = std::find_if(history.begin(), history.end(),
                                  [&](const RandomOperation& it) { return it.op == op; });
  return found == history.end() || !acknowledged(*found) ? nullptr : &*found;
}

Nanoseconds last_time(const History& history) {
  Nanoseconds t = 0;
  for (const RandomOperation& operation : history) {
    t = std::max(t, operation.t);
    for (const RandomEnd& end : operation.ends)
      t = std::max(t, end.t);
  }
  return t;
}

// Makes as if the message had never been delivered.
void erase_deliveries(History& history, const std::string& key) {
  std::erase_if(history, [&](RandomOperation& operation) {
    if (operation.op == Op::del || operation.op == Op::vis) return operation.fields.k == key;
    if (operation.op != Op::recv || operation.ends.empty()) return false;
    const size_t before = operation.ends.size();
    std::erase_if(operation.ends, [&](const RandomEnd& end) { return end.fields.k == key; });
    return before != 0 && operation.ends.empty();
  });
}

// A receive of the message, by a client of its own, after all that is known of it.
RandomOperation another_receive(const Story& story, Nanoseconds inv, Nanoseconds done) {
  const Delivery& last = story.deliveries.back();
  RandomOperation receive = *last.receive;
  receive.client = "extra";
  receive.t = inv;
  receive.ends = {*last.end};
  receive.ends[0].t = done;
  receive.ends[0].fields.r += "-again";
  *receive.ends[0].fields.n += 1;
  return receive;
}

bool lose(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return it.acked(); });
  if (story == nullptr) return false;
  const std::string key = story->send->fields.k;
  erase_deliveries(history, key);
  return true;
}

bool change_hash(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return !it.deliveries.empty(); });
  if (story == nullptr) return false;
  story->deliveries[chosen % story->deliveries.size()].end->fields.h += "0";
  return true;
}

bool invent(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return !it.deliveries.empty(); });
  if (story == nullptr) return false;
  story->deliveries[chosen % story->deliveries.size()].end->fields.k = "never sent";
  return true;
}

bool swap_queue(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) {
    return !it.deliveries.empty() && it.deliveries[0].receive->ends.size() == 1;
  });
  if (story == nullptr) return false;
  std::string& queue = story->deliveries[0].receive->fields.q;
  queue = queue == "q0" ? "q1" : "q0";
  return true;
}

bool repeat_message_id(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* first = pick(all, chosen, [](const Story& it) { return it.acked(); });
  const Story* second = pick(all, chosen + 1, [](const Story& it) { return it.acked(); });
  if (first == nullptr || first == second) return false;
  second->send->ends[0].fields.m = first->send->ends[0].fields.m;
  return true;
}

// The last delivery of a message whose lease of a second ran on undisturbed until it was deleted.
const RandomOperation* clean_delete(const Story& story) {
  if (story.deliveries.empty()) return nullptr;
  const Delivery& last = story.deliveries.back();
  const RandomOperation* found = nullptr;
  for (const RandomOperation* call : story.calls) {
    if (call->fields.r != last.end->fields.r) continue;
    if (call->op != Op::del || !acknowledged(*call) || found != nullptr) return nullptr;
    found = call;
  }
  const bool in_time = found != nullptr && *last.receive->fields.v == 1000 &&
                       found->ends[0].t < last.receive->t + 800 * kMillisecond;
  return in_time ? found : nullptr;
}

bool resurrect(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story =
      pick(all, chosen, [](const Story& it) { return clean_delete(it) != nullptr; });
  if (story == nullptr) return false;
  const Nanoseconds t = last_time(history) + kSecond;
  history.push_back(another_receive(*story, t, t + kMillisecond));
  return true;
}

bool deliver_early(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story =
      pick(all, chosen, [](const Story& it) { return clean_delete(it) != nullptr; });
  if (story == nullptr) return false;
  const Nanoseconds t = story->deliveries.back().end->t;
  history.push_back(another_receive(*story, t + kMillisecond, t + 2 * kMillisecond));
  return true;
}

bool deliver_twice(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story =
      pick(all, chosen, [](const Story& it) { return clean_delete(it) != nullptr; });
  if (story == nullptr) return false;
  const Delivery& last = story->deliveries.back();
  history.push_back(another_receive(*story, last.receive->t, last.end->t + kMillisecond));
  return true;
}

bool reset_count(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return it.deliveries.size() > 1; });
  if (story == nullptr) return false;
  story->deliveries.back().end->fields.n = 1;
  return true;
}

bool deliver_before_due(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return !it.deliveries.empty(); });
  if (story == nullptr) return false;
  const Nanoseconds took = story->deliveries[0].end->t - story->send->t;
  story->send->fields.dl = static_cast<uint32_t>(took / kMillisecond + 50);
  return true;
}

bool leave_something(History& history, uint64_t chosen) {
  std::vector<RandomOperation*> drains;
  for (RandomOperation& operation : history) {
    if (operation.op == Op::drain) drains.push_back(&operation);
  }
  drains[chosen % drains.size()]->ends[0].fields.n = 1 + chosen % 100;
  return true;
}

bool hang(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const Story* story = pick(all, chosen, [](const Story& it) { return it.acked(); });
  if (story == nullptr) return false;
  story->send->t -= 2500 * kMillisecond;
  return true;
}

bool deliver_purged(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const RandomOperation* purge = only(history, Op::purge);
  if (purge == nullptr) return false;
  const Story* story = pick(all, chosen, [&](const Story& it) {
    return it.acked() && it.send->fields.q == "q1" && it.send->ends[0].t < purge->t &&
           !it.deliveries.empty();
  });
  if (story == nullptr) return false;
  const Nanoseconds t = last_time(history) + kSecond;
  history.push_back(another_receive(*story, t, t + kMillisecond));
  return true;
}

// Loses a message that was acknowledged before the power loss, though one further down the same log
// was received after it.
bool make_hole(History& history, uint64_t chosen) {
  const auto all = stories(history);
  const RandomOperation* power = only(history, Op::power);
  if (power == nullptr) return false;
  const auto place = [](const Story& it) {
    const std::string& lsn = it.send->ends[0].fields.lsn;
    const size_t colon = lsn.find(':');
    return std::pair(lsn.substr(0, colon), std::stoull(lsn.substr(colon + 1)));
  };
  const auto survived = [&](const Story& it) {
    return it.acked() && it.send->ends[0].t < power->t && !it.deliveries.empty() &&
           it.deliveries.back().receive->t > power->ends[0].t;
  };
  const Story* story = pick(all, chosen, [&](const Story& it) {
    return survived(it) && std::any_of(all.begin(), all.end(), [&](const auto& other) {
             return survived(other.second) && place(other.second).first == place(it).first &&
                    place(other.second).second > place(it).second;
           });
  });
  if (story == nullptr) return false;
  const std::string key = story->send->fields.k;
  erase_deliveries(history, key);
  return true;
}

const RandomSettings kKills{.kills = 3};
const RandomSettings kQuiet{};
const RandomSettings kKnown{.lost_answers = false};  // every answer arrives
const RandomSettings kPurge{.purges = 1};
const RandomSettings kPowerNone{.durability = "none", .power_losses = 1};
const RandomSettings kPowerCommit{.kills = 1, .power_losses = 2};

const std::vector<Mutation> kMutations = {
    {"lose an acked message", {Rule::c1}, kKills, lose},
    {"lose an acked message at a power loss", {Rule::c1}, kPowerCommit, lose},
    {"lose from the middle of a log", {Rule::c13}, kPowerNone, make_hole},
    {"change a hash", {Rule::c2}, kKills, change_hash},
    {"invent a message", {Rule::c2}, kKills, invent},
    {"deliver from another queue", {Rule::c2}, kKills, swap_queue},
    {"repeat a MessageId", {Rule::c2}, kKills, repeat_message_id},
    {"deliver after the delete", {Rule::c3}, kKills, resurrect},
    {"deliver after the delete and a power loss", {Rule::c3}, kPowerCommit, resurrect},
    {"deliver before the lease ends", {Rule::c4}, kKills, deliver_early},
    {"deliver to two at once", {Rule::c5}, kQuiet, deliver_twice},
    {"reset a receive count", {Rule::c8}, kKills, reset_count},
    {"deliver after the purge", {Rule::c10}, kPurge, deliver_purged},
    {"deliver before it is due", {Rule::c11}, kKills, deliver_before_due},
    {"leave something in a drained queue", {Rule::c12}, kKills, leave_something},
    {"let a send hang", {Rule::c12}, kKnown, hang},
};

}  // namespace

std::span<const Mutation> mutations() {
  return kMutations;
}

}  // namespace millrace::checker
