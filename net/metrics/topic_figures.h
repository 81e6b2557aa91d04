// A topic's figures as samples of an exposition.
//
// Threads: any; no state.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/metrics/exposition.h"
#include "net/metrics/metric_table.h"
#include "net/topics/publish_figures.h"

namespace millrace::net {

inline constexpr std::array<std::string_view, 4> kTopicResults{"delivered", "filtered", "redriven",
                                                               "dropped"};

inline constexpr std::array<std::string_view, 4> kPostResults{"delivered", "retried", "redriven",
                                                              "dropped"};

// Of one topic, or of several together.
struct TopicSums {
  uint64_t published = 0;
  std::array<uint64_t, kTopicResults.size()> copies{};  // in the order of kTopicResults
  std::array<uint64_t, kPostResults.size()> posts{};    // of kPostResults
};

// `counts`: null: nothing was published to it.
inline void add_topic(TopicSums& sum, const topics::PublishCounts* counts) {
  if (counts == nullptr) return;
  const auto now = [](const std::atomic<uint64_t>& count) {
    return count.load(std::memory_order_relaxed);
  };
  sum.published += now(counts->published);
  size_t at = 0;
  for (const auto* one :
       {&counts->delivered, &counts->filtered, &counts->redriven, &counts->dropped})
    sum.copies[at++] += now(*one);
  at = 0;
  for (const auto* one :
       {&counts->posted, &counts->post_retried, &counts->post_redriven, &counts->post_dropped})
    sum.posts[at++] += now(*one);
}

inline void write_topic(Exposition& to, std::string_view name, const TopicSums& sums) {
  const Label label{"topic", name};
  to.sample(kTopicPublished, label, sums.published);
  for (size_t i = 0; i < sums.copies.size(); ++i)
    to.sample(kTopicCopies, label, {"result", kTopicResults[i]}, sums.copies[i]);
  for (size_t i = 0; i < sums.posts.size(); ++i)
    to.sample(kTopicPosts, label, {"result", kPostResults[i]}, sums.posts[i]);
}

}  // namespace millrace::net
