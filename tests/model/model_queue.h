// ModelQueue: what a queue means, in the plainest form there is: a list of messages, and rules read
// off the description of the API, one function each. It shares no code with the engine and little
// thought about speed.
//
// It does not foretell an answer, since some are free (which of many shards is asked first); it is
// told what the engine answered, says what is wrong with it, and takes it over. What must have
// happened and what may have happened are told apart where the engine may choose the moment: a
// message received too often moves at the next receive that would reach it.
//
// Not modelled: long polls and what two clients see of each other at the same time (tests/sim).
#pragma once

#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::model {

// All times are in milliseconds.
struct Rules {
  bool fifo = false;
  bool content_deduplication = false;
  bool deduplication_by_group = false;
  int64_t visibility = 30'000;
  int64_t delay = 0;
  int64_t retention = 345'600'000;
  uint32_t receives_max = 0;  // 0: no dead-letter queue
  bool turns = false;         // a standard queue of which it is looked at whose turn it is
};

struct Sending {
  uint64_t number = 0;  // the harness's name for this send; unlike all others
  std::string group, deduplication_id, body;
  std::optional<int64_t> delay;
};

// A message as a receiver was given it.
struct Delivered {
  uint64_t number = 0;
  uint32_t receives = 0;
  int64_t sent_at = 0;
  std::string_view group, body;
};

enum class Answer : uint8_t { done, expired, gone };

struct Counts {
  uint64_t ready = 0, leased = 0, delayed = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
};

class ModelQueue {
 public:
  // `dead_letters` outlives this; null if there are none.
  ModelQueue(const Rules& rules, ModelQueue* dead_letters)
      : rules_(rules), dead_letters_(dead_letters), by_group_(rules.deduplication_by_group) {
    if (dead_letters != nullptr) dead_letters->sources_.push_back(this);
  }
  ModelQueue(const ModelQueue&) = delete;
  ModelQueue& operator=(const ModelQueue&) = delete;

  // `said`: the number of the message that counts: its own, or that of the one it repeats. What is
  // wrong with that, or "".
  std::string send(const Sending& sending, uint64_t said, int64_t now);
  // Holds for what is sent from now on.
  void set_scope(bool by_group);
  // A receive asked for `max` and was given these. `complete`: all shards were asked, so nothing
  // that could be given was left out. The first thing that is wrong, or "".
  std::string receive(const std::vector<Delivered>& given, uint32_t max, bool complete,
                      int64_t visibility, int64_t now);
  // By the receipt of the receive that made the count `receives`; what was answered. What is wrong
  // with that, or "".
  std::string acknowledge(uint64_t number, uint32_t receives, Answer answer, int64_t now);
  std::string extend(uint64_t number, uint32_t receives, int64_t visibility, Answer answer,
                     int64_t now);
  void purge();
  // A look showed that these are here, with their sending times, and no others: what a source may
  // have let go is here or still there. What is wrong with that, or "".
  std::string looked_at(const std::map<uint64_t, int64_t>& here, int64_t now);
  // A move task to there has ended and said how many it moved. What is wrong, or "". `gone_back`
  // gets their numbers.
  std::string move_back(ModelQueue& there, uint64_t moved, int64_t now,
                        std::set<uint64_t>* gone_back);
  // Whether move_back() can tell which must have moved.
  bool can_move_back() const;
  // A crash of a process that had answered everything changes nothing, so there is no call for it.

  // Only where nothing is free: no message was ever received too often, none is near its end.
  Counts counts(int64_t now) const;
  // That must still be somewhere.
  size_t size() const;
  // Receives that gave messages of a tenant that had too much in flight.
  uint64_t noisy_receives() const { return noisy_receives_; }
  const Rules& rules() const { return rules_; }

 private:
  struct Message {
    Sending sent;
    int64_t sent_at = 0;
    int64_t expires_at = 0;
    int64_t hidden_until = 0;  // delayed or leased; later than now: hidden
    bool leased = false;       // by the last receive, if hidden
    uint32_t receives = 0;
    bool may_have_moved = false;
    bool may_be_gone = false;     // acknowledged when it may have moved, or may not have
    bool sent_at_is_new = false;  // moved to a FIFO queue, nobody saw when
  };
  using Messages = std::list<Message>;
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // All that says when a message is over says it here.
  void set_expiry(Message& message, int64_t expires_at);
  void forget_expired(int64_t now);
  bool doomed(const Message& message, int64_t now) const;
  Messages::iterator find(uint64_t number);
  // Moves it here if a source may have let it go. End if not.
  Messages::iterator find_moved(uint64_t number, int64_t now);
  std::string check_order(Messages::iterator message, const std::set<uint64_t>& given, int64_t now);
  std::string check_turns(const std::vector<Delivered>& given, int64_t now);
  Answer acknowledge(uint64_t number, uint32_t receives, int64_t now);
  Answer extend(uint64_t number, uint32_t receives, int64_t visibility, int64_t now);
  bool may_have_moved(uint64_t number);
  uint64_t deliverable(uint32_t max, int64_t now) const;

  const Rules rules_;
  ModelQueue* dead_letters_;
  std::vector<ModelQueue*> sources_;
  Messages messages_;  // oldest first
  // None of them is over sooner, but for those that were over and may have moved.
  int64_t first_expiry_ = kNever;
  std::set<uint64_t> over_;  // their retention
  uint64_t noisy_receives_ = 0;
  // Deduplication: who brought an id first, or by what content. What came before the scope was
  // changed last is known in its group for certain, and to the others in the old scope or in the
  // new.
  struct Accepted {
    std::string group;
    int64_t at = 0;
    uint64_t number = 0;
    uint64_t scope_changes = 0;
  };
  std::map<std::string, std::vector<Accepted>> accepted_;
  bool by_group_;
  uint64_t scope_changes_ = 0;
};

}  // namespace millrace::model
