#include "tests/blackbox/crash_queues.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::blackbox {

std::vector<Queue> crash_queues() {
  std::vector<Queue> queues;
  const auto add = [&queues](Queue queue) {
    queues.push_back(std::move(queue));
    return queues.size() - 1;
  };
  add({.name = "plain", .subscribed = true});
  add({.name = "delayed", .delay_ms = 150, .subscribed = true, .purged = true});
  add({.name = "again", .purged = true, .made_again = true});
  add({.name = "strict.fifo", .fifo = true, .purged = true});
  add({.name = "groups.fifo", .fifo = true, .spread = true});
  // A dead-letter chain of each kind that only receives drain, and one that move tasks drain too.
  for (const bool fifo : {false, true}) {
    const std::string end = fifo ? ".fifo" : "";
    const size_t dead = add({.name = "dead" + end, .fifo = fifo, .sent_to = false});
    add({.name = "work" + end,
         .fifo = fifo,
         .receives_max = 3,
         .dead_letters = dead,
         .subscribed = !fifo});
    // Of a FIFO chain, to one shard from all of them: that takes moves across shards.
    int target = Queue::kBack;
    if (fifo)
      target = static_cast<int>(add({.name = "redriven.fifo", .fifo = true, .sent_to = false}));
    const size_t failed = add({.name = "failed" + end,
                               .fifo = fifo,
                               .spread = fifo,
                               .sent_to = false,
                               .moved_to = target});
    add({.name = "tried" + end,
         .fifo = fifo,
         .spread = fifo,
         .receives_max = 2,
         .dead_letters = failed,
         .subscribed = !fifo});
  }
  return queues;
}

QueueSettings settings_of(const std::vector<Queue>& queues, const Queue& queue) {
  QueueSettings settings;
  const auto set = [&settings](const char* name, std::string value) {
    settings.attributes.push_back({name, std::move(value)});
  };
  if (queue.fifo) set("FifoQueue", "true");
  set("VisibilityTimeout", fmt::format("{:.3f}", kVisibilityMsOfQueues / 1000.0));
  if (queue.delay_ms > 0) set("DelaySeconds", fmt::format("{:.3f}", queue.delay_ms / 1000.0));
  if (queue.spread) {
    set("DeduplicationScope", "messageGroup");
    set("FifoThroughputLimit", "perMessageGroupId");
  }
  if (queue.receives_max > 0)
    set("RedrivePolicy", fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":{}}})",
                                     queues[queue.dead_letters].name, queue.receives_max));
  return settings;
}

checker::HistoryFields fields_of(const std::vector<Queue>& queues, const Queue& queue) {
  checker::HistoryFields fields;
  fields.q = queue.name;
  fields.v = kVisibilityMsOfQueues;
  fields.dl = queue.delay_ms;
  if (queue.receives_max > 0) {
    fields.dq = queues[queue.dead_letters].name;
    fields.mr = queue.receives_max;
  }
  return fields;
}

std::string World::key_of(std::string_view body, size_t queue) const {
  std::string key(body.substr(0, body.find(' ')));
  if (!key.starts_with(kPublishedKey)) return key;
  // One chain of dead letters each, so a dead letter's queue says where it was published to.
  for (size_t source = 0; source < queues.size(); ++source)
    if (queues[source].receives_max > 0 && queues[source].dead_letters == queue)
      return key + "@" + queues[source].name;
  return key + "@" + queues[queue].name;
}

bool World::steady(size_t queue) const {
  const Queue& at = queues[queue];
  if (at.purged || at.made_again || at.moved_to != Queue::kNowhere) return false;
  if (at.receives_max > 0) return steady(at.dead_letters);
  return std::none_of(queues.begin(), queues.end(), [queue](const Queue& other) {
    return other.moved_to == static_cast<int>(queue);
  });
}

}  // namespace millrace::blackbox
