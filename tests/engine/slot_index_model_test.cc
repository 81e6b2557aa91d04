// SlotIndex beside a std::map of messages and a std::set of ready slots, under random operations.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "engine/slot_index.h"

namespace millrace::engine {
namespace {

class IndexModel {
 public:
  explicit IndexModel(uint64_t seed) : random_(seed), index_(std::make_unique<SlotIndex>()) {
    if (seed % 2 == 0) {
      end_ = random_.below(uint64_t{1} << 47);
      index_->start_at(Slot{end_});
    }
  }

  void run(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFatalFailure(); ++i) {
      step();
      check_a_spot();
      if (i % 2000 == 1999) check_all();
      if (i % 10'000 == 9'999) save_and_load();
    }
    check_all();
  }

 private:
  struct Message {
    uint64_t position;
    uint32_t count = 0;
    TimerId timer = kNoTimer;
    uint32_t holder = 0;
  };
  using Messages = std::map<uint64_t, Message>;

  void step() {
    const uint64_t dice = random_.below(100);
    const bool full = messages_.size() > 20'000;
    if (!full && (messages_.empty() || dice < 12)) return append();
    if (!full && dice < 16) return append_run();
    if (!full && dice == 16) return append_at();
    if (messages_.empty()) return;
    if (dice < 30) return toggle_ready();
    if (dice < 34) return set_ready_run();
    if (dice < 50) return lease_next();
    if (dice < 60) return change_timer();
    if (dice < 66) return change_count();
    if (dice < 72) return move();
    if (dice == 72) return clear();
    if (dice == 73) return insert();
    if (dice == 74) return skip();
    if (dice < 76 || full) return erase_run();
    erase(any());
  }

  Messages::iterator any() {
    const uint64_t first = messages_.begin()->first;
    // Half of the time among the last few, as traffic is.
    const uint64_t from = random_.chance(1, 2) && end_ - first > 3000 ? end_ - 3000 : first;
    const auto it = messages_.lower_bound(random_.between(from, end_));
    return it == messages_.end() ? messages_.begin() : it;
  }
  void next_position() {
    position_ += 8 * random_.between(1, random_.chance(1, 500) ? 1u << 30 : 600);
  }
  void add() {
    messages_[end_] = Message{position_};
    ++end_;
  }

  void append() {
    next_position();
    ASSERT_EQ(raw(index_->append(Position{position_})), end_);
    add();
  }
  void append_run() {
    next_position();
    const uint64_t base = position_;
    std::vector<uint32_t> offsets;
    const uint64_t count = random_.between(0, 1000);
    const Slot first{end_};
    for (uint64_t n = 0; n < count; ++n) {
      offsets.push_back(static_cast<uint32_t>(position_ - base));
      add();
      position_ += 8 * random_.between(1, 100);
    }
    ASSERT_EQ(index_->append_run(Position{base}, offsets), first);
  }
  void append_at() {
    next_position();
    end_ += random_.below(random_.chance(1, 2) ? 3000 : 500'000);
    index_->append_at(Slot{end_}, Position{position_});
    add();
  }
  // Brings a dead slot back, next to a live one or anywhere.
  void insert() {
    const uint64_t slot = random_.chance(1, 2) ? any()->first + random_.below(50)
                                               : random_.between(messages_.begin()->first, end_);
    if (slot >= end_ || messages_.contains(slot)) return;
    next_position();
    index_->insert(Slot{slot}, Position{position_});
    messages_[slot] = Message{position_};
  }
  void skip() {
    end_ += random_.below(random_.chance(1, 10) ? 200'000 : 2000);
    index_->skip_to(Slot{end_});
  }
  void toggle_ready() {
    const auto it = any();
    if (it->second.timer != kNoTimer) return;
    const bool now = random_.chance(2, 3);
    index_->set_ready(Slot{it->first}, now);
    if (now) {
      ready_.insert(it->first);
    } else {
      ready_.erase(it->first);
    }
  }
  void set_ready_run() {
    const uint64_t first = any()->first;
    const auto count = static_cast<uint32_t>(random_.below(3000));
    uint32_t fresh = 0;
    for (auto it = messages_.lower_bound(first); it != messages_.end() && it->first < first + count;
         ++it) {
      if (it->second.timer == kNoTimer) fresh += ready_.insert(it->first).second;
    }
    ASSERT_EQ(index_->set_ready_run(Slot{first}, count), fresh);
  }
  void lease_next() {
    const auto slot = index_->next_ready(Slot{0}, Slot{UINT64_MAX});
    ASSERT_EQ(slot.has_value(), !ready_.empty());
    if (!slot) return;
    ASSERT_EQ(raw(*slot), *ready_.begin());
    Message& message = messages_.at(raw(*slot));
    ready_.erase(ready_.begin());
    index_->set_ready(*slot, false);
    set_timer(*slot, message, TimerId{next_timer_++});
    index_->set_receive_count(*slot, ++message.count);
  }
  void set_timer(Slot slot, Message& message, TimerId timer) {
    message.timer = timer;
    message.holder = timer == kNoTimer ? 0 : next_timer_ % 7;
    index_->set_timer(slot, timer, message.holder);
  }
  void change_timer() {
    const auto it = any();
    if (ready_.contains(it->first)) return;
    set_timer(Slot{it->first}, it->second,
              random_.chance(2, 3) ? kNoTimer : TimerId{next_timer_++});
  }
  void change_count() {
    const auto it = any();
    constexpr uint32_t kCounts[] = {0, 1, 2, 253, 254, 255, 256, 1u << 31};
    it->second.count = kCounts[random_.below(std::size(kCounts))];
    index_->set_receive_count(Slot{it->first}, it->second.count);
  }
  void move() {
    const auto it = any();
    next_position();
    if (random_.chance(1, 10)) position_ += uint64_t{1} << 36;
    it->second.position = position_;
    index_->move(Slot{it->first}, Position{position_});
  }
  void erase(Messages::iterator it) {
    if (it->second.timer != kNoTimer) index_->set_timer(Slot{it->first}, kNoTimer);
    index_->erase(Slot{it->first});
    ready_.erase(it->first);
    messages_.erase(it);
  }
  void erase_run() {
    auto it = random_.chance(1, 2) ? messages_.begin() : any();
    for (uint64_t n = random_.below(4000); n > 0 && it != messages_.end(); --n)
      erase(it++);
  }
  void clear() {
    if (!random_.chance(1, 50)) return;
    const uint64_t below = random_.chance(1, 3) ? end_ : any()->first + random_.below(2);
    std::vector<TimerId> expected;
    const auto stop = messages_.lower_bound(below);
    for (auto it = messages_.begin(); it != stop; ++it) {
      if (it->second.timer != kNoTimer) expected.push_back(it->second.timer);
    }
    const auto count = static_cast<uint64_t>(std::distance(messages_.begin(), stop));
    messages_.erase(messages_.begin(), stop);
    ready_.erase(ready_.begin(), ready_.lower_bound(below));
    std::vector<TimerId> stopped;
    ASSERT_EQ(index_->clear_to(Slot{below}, [&](TimerId timer) { stopped.push_back(timer); }),
              count);
    ASSERT_EQ(stopped, expected);
  }

  void check_a_spot() {
    ASSERT_EQ(raw(index_->end()), end_);
    ASSERT_EQ(index_->live_count(), messages_.size());
    ASSERT_EQ(index_->ready_count(), ready_.size());
    const uint64_t first = messages_.empty() ? end_ : messages_.begin()->first;
    ASSERT_EQ(raw(index_->first_live()), first);
    const uint64_t low = first > 5000 ? first - 5000 : 0;
    const Slot from{random_.between(low, end_ + 5000)};
    const Slot below{random_.between(low, end_ + 5000)};
    const auto it = messages_.lower_bound(raw(from));
    const auto next = index_->next_live(from);
    ASSERT_EQ(next.has_value(), it != messages_.end());
    if (next) {
      ASSERT_EQ(raw(*next), it->first);
      check_message(it->first, it->second);
    }
    ASSERT_EQ(index_->live(from), next == from);
    ASSERT_EQ(index_->ready(from), ready_.contains(raw(from)));
    auto ready = ready_.lower_bound(raw(from));
    const auto next_ready = index_->next_ready(from, below);
    const bool expected = ready != ready_.end() && *ready < raw(below);
    ASSERT_EQ(next_ready.has_value(), expected);
    if (!expected) return;
    ASSERT_EQ(raw(*next_ready), *ready);
    const auto max = static_cast<uint32_t>(random_.between(1, 2000));
    uint64_t run = 0;
    const uint64_t start = *ready;
    while (run < max && start + run < raw(below) && ready != ready_.end() &&
           *ready == start + run) {
      ++run;
      ++ready;
    }
    ASSERT_EQ(index_->ready_run(Slot{start}, max, below), run);
  }
  void check_message(uint64_t slot, const Message& message) {
    ASSERT_TRUE(index_->live(Slot{slot}));
    ASSERT_EQ(index_->position(Slot{slot}).value, message.position);
    ASSERT_EQ(index_->receive_count(Slot{slot}), message.count);
    ASSERT_EQ(index_->timer(Slot{slot}), message.timer);
    ASSERT_EQ(index_->holder(Slot{slot}), message.holder);
    ASSERT_EQ(index_->ready(Slot{slot}), ready_.contains(slot));
  }
  void check_all() {
    auto it = messages_.begin();
    index_->for_each_live([&](Slot slot) {
      ASSERT_NE(it, messages_.end());
      ASSERT_EQ(raw(slot), it->first);
      check_message(it->first, it->second);
      ++it;
    });
    ASSERT_EQ(it, messages_.end());
  }
  void save_and_load() {
    std::vector<std::byte> saved;
    index_->save(saved);
    index_ = std::make_unique<SlotIndex>();
    Bytes in(saved);
    ASSERT_TRUE(index_->load(in));
    ASSERT_TRUE(in.empty());
    for (const auto& [slot, message] : messages_) {
      if (message.timer != kNoTimer) index_->set_timer(Slot{slot}, message.timer, message.holder);
    }
    check_all();
  }

  base::Prng random_;
  std::unique_ptr<SlotIndex> index_;
  uint64_t end_ = 0;
  uint64_t position_ = 4096;
  uint32_t next_timer_ = 0;
  Messages messages_;
  std::set<uint64_t> ready_;
};

// A test per seed: under a sanitizer on a busy machine one takes ten seconds.
class SlotIndexModel : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SlotIndexModel, AgreesWithAMapAndASetUnderRandomOperations) {
  IndexModel(GetParam()).run(100'000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SlotIndexModel, ::testing::Range(uint64_t{1}, uint64_t{7}));

}  // namespace
}  // namespace millrace::engine
