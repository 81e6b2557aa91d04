// FirstPart: what a receive got from its own shard, while the others are asked for the rest.
//
// A shard answers a receive with what it has itself, if that is anything. Clients of a queue that
// holds a few messages expect one receive of ten to bring them all.
//
// Threads: shard-local.   Memory: a copy of the messages, at most kBytesMax and one message.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "engine/deliveries.h"
#include "millrace/engine.h"

namespace millrace::net::sqs {

class FirstPart {
 public:
  // With more there is little room for others in an answer.
  static constexpr size_t kBytesMax = 256 << 10;

  explicit FirstPart(std::span<const Delivery> deliveries) {
    engine::copy_deliveries(deliveries, &bytes_, &deliveries_);
  }
  FirstPart(const FirstPart&) = delete;
  FirstPart& operator=(const FirstPart&) = delete;

  std::span<const Delivery> deliveries() const { return deliveries_; }

  // Both, as far as can be told in the order they were sent: within a message group of a FIFO queue
  // the order is right, since a group lives on one shard and its clock never goes back.
  std::vector<Delivery> with(std::span<const Delivery> rest) const {
    std::vector<Delivery> all(deliveries_);
    all.insert(all.end(), rest.begin(), rest.end());
    std::stable_sort(all.begin(), all.end(),
                     [](const Delivery& a, const Delivery& b) { return a.sent_at < b.sent_at; });
    return all;
  }

 private:
  std::vector<std::byte> bytes_;
  std::vector<Delivery> deliveries_;
};

}  // namespace millrace::net::sqs
