// History: all operations of a run, grouped by message.
//
// Filled line by line by Joiner, then sealed: sealing sorts everything once (O(n log n)) and bounds
// what an operation of unknown outcome can have done by the death of its process. Afterwards it is
// read only and the rules walk it message by message.
// Memory: about 50 bytes a line (README.md has the measured figure); text is not kept, lines are
// read again from their files for the report.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/checker/faults.h"
#include "tests/checker/key_table.h"
#include "tests/checker/queue_facts.h"
#include "tests/checker/records.h"

namespace millrace::checker {

// How often an operation was begun and how it ended. A recv that brings three messages is one ok.
struct OpCounts {
  uint64_t begun = 0, ok = 0, fail = 0, info = 0;
  uint64_t unfinished() const { return begun - ok - fail - info; }
};

class History {
 public:
  // --- filling ---
  KeyId key_id(std::string_view key) { return keys_.id(key); }
  bool key_is(KeyId id, std::string_view key) const { return keys_.is(id, key); }
  QueueId queue_id(std::string_view queue);
  // False if the key was sent before: a key names one send, a retry takes a new one.
  bool add(const Send& send);
  void add(const Receive& receive) { receives_.push_back(receive); }
  void add(const LeaseCall& call) { calls_.push_back(call); }
  void add_hidden_receive(QueueId queue, Nanoseconds inv);
  QueueFacts& facts(QueueId queue) { return queues_[queue]; }
  Faults& faults() { return faults_; }
  std::array<OpCounts, kOps>& counts() { return counts_; }

  // Call once, after the last line.
  void seal();

  // --- reading ---
  uint32_t messages() const { return keys_.size(); }
  const Send* send_of(KeyId key) const;
  // Of one message, in the order its leases were given as far as that can be told: by end, and by
  // receive count where two receives overlap.
  std::span<const uint32_t> receives_of(KeyId key) const { return receive_groups_.of(key); }
  // Deletes and visibility changes of one message, and those of one of its leases, the latter by
  // begin.
  std::span<const uint32_t> calls_of(KeyId key) const { return call_groups_.of(key); }
  std::span<const uint32_t> calls_of(KeyId key, uint64_t receipt) const;
  const Receive& receive(uint32_t at) const { return receives_[at]; }
  const LeaseCall& call(uint32_t at) const { return calls_[at]; }
  const std::deque<Send>& sends() const { return sends_; }
  const std::deque<Receive>& receives() const { return receives_; }
  const QueueFacts& facts(QueueId queue) const { return queues_[queue]; }
  const std::deque<QueueFacts>& queues() const { return queues_; }
  const Faults& faults() const { return faults_; }
  // Whether messages of `from` may come to `to` as dead letters.
  bool leads_to(QueueId from, QueueId to) const;
  // Whether a move task may have taken a message that was sent to `queue` by `t`: it is a new one
  // then, with another MessageId, another place and no receives.
  bool may_be_moved(QueueId queue, Nanoseconds t) const;
  // Where messages sent to `queue` may come to, by dead-lettering and move tasks; itself among
  // them.
  std::vector<QueueId> reach(QueueId queue) const;
  const std::array<OpCounts, kOps>& counts() const { return counts_; }

 private:
  // Indices of records, those of one message side by side.
  struct Groups {
    std::vector<uint32_t> starts, indices;
    std::span<const uint32_t> of(KeyId key) const {
      return std::span(indices).subspan(starts[key], starts[key + 1] - starts[key]);
    }
    std::span<uint32_t> of(KeyId key) {
      return std::span(indices).subspan(starts[key], starts[key + 1] - starts[key]);
    }
  };
  template <typename Record>
  static Groups group(const std::deque<Record>& records, uint32_t keys);
  bool leased_before(uint32_t a, uint32_t b) const;
  void order_receives(std::span<uint32_t> indices) const;

  KeyTable keys_;
  std::map<std::string, QueueId, std::less<>> queue_ids_;
  std::deque<QueueFacts> queues_;
  std::deque<Send> sends_;
  std::vector<uint32_t> send_by_key_;  // index + 1; 0: never sent
  std::deque<Receive> receives_;
  std::deque<LeaseCall> calls_;
  struct HiddenReceive {
    QueueId queue;
    Nanoseconds inv;
  };
  std::vector<HiddenReceive> hidden_;
  Groups receive_groups_, call_groups_;
  Faults faults_;
  std::array<OpCounts, kOps> counts_{};
};

}  // namespace millrace::checker
