// SequenceCheck: what became of every message of a run, by its producer and sequence number.
//
// Every body starts with a Stamp. A producer's numbers are 0, 1, 2, ...; one bit each says that its
// send was acknowledged, one that it was received. Lost is what was acknowledged and not received
// once the queue has been drained; a duplicate is a number received again. Out of order is counted
// per producer and consumer: a number below one that this consumer had from this producer before
// (a standard queue may do that; it is a figure, not an error). With groups, number i of a producer
// is in its group i % groups, and out of order is counted in each group, whoever consumes it: a
// FIFO queue never does that.
// Memory: 2 bits a message, one number per producer and consumer, or group.  Threads: one.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "millrace/types.h"

namespace millrace::tools {

// What every message's body starts with.
struct Stamp {
  uint32_t run;         // 0  tells this run's messages from what else is in the queue
  uint32_t producer;    // 4
  uint64_t sequence;    // 8
  int64_t intended_ns;  // 16  when it was to be sent, CLOCK_MONOTONIC
};
static_assert(sizeof(Stamp) == 24);

class SequenceCheck {
 public:
  // `groups` of each producer; 0: none.
  SequenceCheck(uint32_t run, uint32_t producers, uint32_t consumers, uint32_t groups = 0);

  // Numbers [first, first + count) of a producer were acknowledged.
  void acknowledged(uint32_t producer, uint64_t first, uint32_t count);
  // A message came. True if it is of this run and came for the first time. `stamp` is its own if it
  // is of this run, else zero.
  bool received(uint32_t consumer, Bytes body, Stamp& stamp);

  uint64_t lost() const;
  uint64_t duplicates() const { return duplicates_; }
  uint64_t out_of_order() const { return out_of_order_; }
  uint64_t foreign() const { return foreign_; }  // of another run
  uint64_t distinct_received() const { return received_; }

 private:
  using Bits = std::vector<uint64_t>;
  static void reach(Bits& bits, uint64_t number);

  uint32_t run_;
  uint32_t consumers_;
  uint32_t groups_;
  std::vector<Bits> acknowledged_;  // by producer
  std::vector<Bits> seen_;          // by producer
  std::vector<uint64_t> next_;      // by producer and consumer, or group: one above the highest had
  uint64_t received_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t out_of_order_ = 0;
  uint64_t foreign_ = 0;
};

}  // namespace millrace::tools
