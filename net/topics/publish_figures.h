// PublishFigures: what became of what was published, on all shards of a server, in all and of each
// topic.
//
// Threads: any. A topic's counts are found under a lock, once for each publish; counting takes
// none. Memory: some 150 bytes a topic, of TopicFigures::kTopicsMax at most.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "millrace/topics.h"

namespace millrace::net::topics {

struct PublishCounts {
  std::atomic<uint64_t> published{0};  // messages
  std::atomic<uint64_t> delivered{0};  // copies of them in queues and outboxes
  std::atomic<uint64_t> filtered{0};   // copies that a subscription did not want
  std::atomic<uint64_t> redriven{0};   // copies that went to a subscription's dead-letter queue
  std::atomic<uint64_t> dropped{0};    // copies that no queue could take
  // Over HTTP: copies that their endpoint took, tries that failed and were followed by another,
  // copies that went to a dead-letter queue in the end, or nowhere.
  std::atomic<uint64_t> posted{0};
  std::atomic<uint64_t> post_retried{0};
  std::atomic<uint64_t> post_redriven{0};
  std::atomic<uint64_t> post_dropped{0};
};

class TopicFigures {
 public:
  // As many topics as there may be. When they are full those that are gone are forgotten.
  static constexpr size_t kTopicsMax = 10'000;

  // A topic's counts, which begin at 0. `topics` says which there still are.
  std::shared_ptr<PublishCounts> of(TopicId topic, const TopicPort& topics) {
    const std::lock_guard lock(mutex_);
    if (counts_.size() >= kTopicsMax && !counts_.contains(topic))
      std::erase_if(counts_, [&](const auto& one) { return topics.find(one.first) == nullptr; });
    // With all of them there it is counted, and shown to nobody.
    if (counts_.size() >= kTopicsMax && !counts_.contains(topic))
      return std::make_shared<PublishCounts>();
    std::shared_ptr<PublishCounts>& counts = counts_[topic];
    if (counts == nullptr) counts = std::make_shared<PublishCounts>();
    return counts;
  }
  // Null: nothing was published to it.
  std::shared_ptr<const PublishCounts> find(TopicId topic) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(topic);
    return found == counts_.end() ? nullptr : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<TopicId, std::shared_ptr<PublishCounts>> counts_;
};

struct PublishFigures : PublishCounts {
  TopicFigures topics;

  // In all, and of one topic.
  void count(PublishCounts& of_topic, std::atomic<uint64_t> PublishCounts::*what, uint64_t more) {
    for (PublishCounts* counts : {static_cast<PublishCounts*>(this), &of_topic})
      (counts->*what).fetch_add(more, std::memory_order_relaxed);
  }
};

}  // namespace millrace::net::topics
