// ReferenceDedup: what deduplication promises (promises.md a9, C7), kept plainly beside the engine.
//
// An id that was accepted stands for five minutes of server time for the message that brought it
// first: sends with it are answered with that message's place, and store nothing. What a crash left
// open may have been accepted or not; then an answer may show its place. So a place is a set of
// attempts, one of which lies there, until a delivery says which.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/sim/reference_message.h"

namespace millrace::sim {

// What makes two sends the same: the queue, the group where that is the scope, and the first send
// that had the id or the content.
struct DedupId {
  uint32_t queue = 0;
  uint64_t group = 0;
  Key root = 0;
  bool by_content = false;
  friend auto operator<=>(const DedupId&, const DedupId&) = default;
};

class ReferenceDedup {
 public:
  static constexpr int64_t kWindowMs = 300'000;

  struct Attempt {
    Key key = 0;
    TimeMs asked_at{};
    uint64_t asked_event = 0;
    bool answered = false;  // with the place that it is a candidate of
  };
  struct Place {
    uint64_t at = kNoPlace;
    std::vector<Attempt> candidates = {};  // one of them lies there; the first stands for it
    TimeMs accepted_by{};
    uint64_t shown_event = 0;
    bool certain = true;  // no power loss, no lie may have taken it
    TimeMs accepted_from() const;
    bool may_be(Key key) const;
  };

  void asked(const DedupId& id, const Attempt& attempt) { open_[id].push_back(attempt); }
  // Refused, or known to be a duplicate, or lies somewhere: it is no candidate any more.
  void closed(const DedupId& id, Key key);

  Place* find(const DedupId& id, uint64_t at);
  // Who else may lie where `key` may: if that one went elsewhere, perhaps nobody is left there.
  std::vector<Key> in_its_place(const DedupId& id, Key key);
  // A place that was not known: what an answer to `attempt` showed, or where it was delivered from
  // (`sure`). The first thing that is wrong, or "".
  std::string accepted(const DedupId& id, const Attempt& attempt, uint64_t at, bool sure,
                       TimeMs now, uint64_t event);
  // An attempt was answered with a place whose message is another.
  static std::string repeated(const Place& place, const Attempt& attempt);

  // Purging ends what was accepted before.
  void purge_asked(uint32_t queue, TimeMs now) { purges_[queue].push_back({now, kNever}); }
  void purge_ended(uint32_t queue, TimeMs now);
  // Nothing that was answered so far is certain.
  void doubt();

 private:
  struct Purge {
    TimeMs from{}, to{};
  };
  bool purged_between(uint32_t queue, TimeMs from, TimeMs to) const;

  std::map<DedupId, std::vector<Attempt>> open_;
  std::map<DedupId, std::vector<Place>> places_;
  std::map<uint32_t, std::vector<Purge>> purges_;
};

}  // namespace millrace::sim
