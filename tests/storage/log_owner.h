// LogOwner: a small owner of a log, for random tests: items that are added, carried and removed,
// and a plain list beside the log of all that was appended, to compare with what a start replays.
//
// Kinds: 1 adds an item, 2 carries it, 3 removes it, 4 says nothing (a lease). A body is "<number
// of the record> <item>" and padding, so each is unique and says what was lost.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "tests/storage/log_harness.h"

namespace millrace::storage {

class LogOwner {
 public:
  LogOwner(LogHarness& harness, uint64_t seed) : h_(harness), prng_(seed) {}

  uint64_t record_bytes = 0;  // all alike; 0: sizes by chance
  uint64_t items_aim = 100;   // removes win over adds above
  uint64_t refused = 0;       // appends answered disk_full
  uint64_t durable_at_death = 0;
  bool in_order = false;   // removes the oldest
  bool hold_some = false;  // never removes each 50th item

  // One loop turn.
  void turn() {
    for (uint64_t i = prng_.below(8); i > 0; --i)
      append_one();
    clean(4);
    written_ok_ = static_cast<bool>(h_.write());
    if (written_ok_) written_ = history_.size();
    h_.log->start_jobs(h_.now());
    if (prng_.chance(1, 3)) h_.pass(static_cast<int64_t>(prng_.below(15)));
    for (uint64_t steps = prng_.below(12); steps > 0 && h_.disk->step_jobs(prng_); --steps) {
    }
    reap();
  }
  void reap() {
    Completion completions[8];
    const size_t count = h_.disk->reap(completions);
    for (size_t i = 0; i < count; ++i)
      h_.log->on_completion(completions[i], h_.now());
  }

  // Cleans the head as the engine does: what is alive is appended again.
  void clean(int records) {
    while (records-- > 0 && h_.log->needs_cleaning()) {
      const uint64_t head = h_.log->segment_of(h_.log->head());
      const auto record = unfinished_ ? std::exchange(unfinished_, {}) : h_.log->next_head_record();
      if (record) {
        const Header parsed = parse(as_text(record->body));
        const auto item = items_.find(parsed.item);
        if (item == items_.end() || item->second.position != record->position) continue;
        if (!carry(item->first, std::string(as_text(record->body)))) {
          unfinished_ = record;
          return;
        }
      } else if (h_.log->live_bytes(head) == 0) {
        h_.log->free_head();
      } else {
        return;
      }
    }
  }

  // What was durable or written when it crashed must be there; what is there must be the history
  // from some record on up to some record. Empty: all is well. The history becomes what survived.
  std::string check_replay(uint64_t must_survive) {
    const std::vector<Entry>& replayed = h_.replayed;
    size_t first = 0;
    if (!replayed.empty()) {
      first = parse(replayed.front().body).number;
      if (first >= history_.size()) return "a record nobody appended";
    }
    for (size_t i = 0; i < replayed.size(); ++i) {
      if (first + i >= history_.size()) return "more records than were appended";
      const Entry& expected = history_[first + i];
      if (replayed[i].body != expected.body || replayed[i].kind != expected.kind)
        return "record " + std::to_string(first + i) + " is not as it was appended";
    }
    const size_t end = replayed.empty() ? 0 : first + replayed.size();
    if (end < must_survive && !(replayed.empty() && alive_in(must_survive).empty()))
      return "survived to record " + std::to_string(end) + " of " + std::to_string(must_survive);
    if (!replayed.empty() || must_survive > 0) {
      const size_t until = replayed.empty() ? must_survive : end;
      if (alive_in(until) != fold(replayed)) return "a live item was in a freed segment";
      history_.resize(until);
    } else {
      history_.clear();
    }
    adopt();
    return {};
  }

  // Records whose bytes end at or before the log's durable position.
  uint64_t durable_records() const {
    uint64_t n = 0;
    while (n < history_.size() && ends_[n] <= h_.log->durable().value)
      ++n;
    return n;
  }
  uint64_t written_records() const { return written_; }
  uint64_t live_items() const { return items_.size(); }

  void append_one() {
    const bool remove = !items_.empty() && prng_.below(2 * items_aim) < items_.size();
    if (!remove) {
      const uint64_t item = next_item_++;
      const Result<Position> at = append(1, item, Space::grows);
      if (at) place(item, *at, bytes_of(history_.back()));
      return;
    }
    auto victim = items_.begin();
    if (!in_order) std::advance(victim, static_cast<int64_t>(prng_.below(items_.size())));
    while (hold_some && victim != items_.end() && victim->first % 50 == 0)
      ++victim;
    if (victim == items_.end()) return;
    if (!append(3, victim->first, Space::frees)) return;
    h_.log->remove_live(victim->second.position, victim->second.bytes);
    items_.erase(victim);
  }

  // Garbage at once; false: refused.
  bool lease() { return static_cast<bool>(append(4, 0, Space::leases)); }

 private:
  struct Item {
    Position position;
    uint64_t bytes;
  };
  struct Header {
    uint64_t number = 0;
    uint64_t item = 0;
  };

  static Header parse(std::string_view body) {
    Header header;
    const std::string text(body.substr(0, 40));
    char* end = nullptr;
    header.number = std::strtoull(text.c_str(), &end, 10);
    header.item = std::strtoull(end, nullptr, 10);
    return header;
  }
  static uint64_t bytes_of(const Entry& entry) { return entry.body.size() + 16; }

  Result<Position> append(uint16_t kind, uint64_t item, Space space) {
    std::string body = std::to_string(history_.size()) + " " + std::to_string(item) + " ";
    const uint64_t bytes =
        record_bytes != 0 ? record_bytes : 20 + prng_.below(prng_.chance(1, 20) ? 9000 : 300);
    body.resize(std::max(body.size(), bytes), static_cast<char>('a' + item % 26));
    const Result<Position> at = h_.append(body, kind, space);
    if (at) {
      history_.push_back({at->value, kind, body});
      ends_.resize(history_.size() - 1);
      ends_.push_back(at->value + padded(16 + body.size()));
    } else if (at.error() == Errc::disk_full) {
      ++refused;
    }
    return at;
  }

  bool carry(uint64_t item, const std::string&) {
    const Item old = items_[item];
    const Result<Position> at = append(2, item, Space::cleans);
    if (!at) return false;
    h_.log->remove_live(old.position, old.bytes);
    place(item, *at, bytes_of(history_.back()));
    return true;
  }
  void place(uint64_t item, Position position, uint64_t bytes) {
    items_[item] = {position, bytes};
    h_.log->add_live(position, bytes);
  }

  static std::vector<uint64_t> fold(const std::vector<Entry>& entries) {
    std::map<uint64_t, bool> alive;
    for (const Entry& entry : entries) {
      if (entry.kind == 4) continue;
      const uint64_t item = parse(entry.body).item;
      if (entry.kind == 3) {
        alive.erase(item);
      } else {
        alive[item] = true;
      }
    }
    std::vector<uint64_t> items;
    for (const auto& [item, yes] : alive)
      items.push_back(item);
    return items;
  }
  std::vector<uint64_t> alive_in(size_t end) const {
    return fold({history_.begin(), history_.begin() + static_cast<int64_t>(end)});
  }

  // Takes over positions and accounts from the replay.
  void adopt() {
    unfinished_.reset();
    items_.clear();
    ends_.assign(history_.size(), 0);
    for (const Entry& entry : h_.replayed) {
      const Header header = parse(entry.body);
      history_[header.number] = entry;
      ends_[header.number] = entry.position + padded(16 + entry.body.size());
      if (entry.kind == 4) continue;
      if (const auto old = items_.find(header.item); old != items_.end()) {
        h_.log->remove_live(old->second.position, old->second.bytes);
        items_.erase(old);
      }
      if (entry.kind != 3) place(header.item, Position{entry.position}, bytes_of(entry));
    }
    written_ = history_.size();
  }

  LogHarness& h_;
  base::Prng prng_;
  std::vector<Entry> history_;
  std::vector<uint64_t> ends_;  // of the same records
  uint64_t written_ = 0;
  bool written_ok_ = true;
  std::map<uint64_t, Item> items_;
  uint64_t next_item_ = 1;
  std::optional<Record> unfinished_;  // a carry that found no space
};

}  // namespace millrace::storage
