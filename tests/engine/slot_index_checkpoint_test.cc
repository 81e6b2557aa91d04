#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "engine/slot_index.h"
#include "tests/engine/ready_slots.h"

namespace millrace::engine {
namespace {

std::vector<std::byte> saved(const SlotIndex& index) {
  std::vector<std::byte> out;
  index.save(out);
  return out;
}

// All there is: a part page at the front, full pages, holes, a wide page, counts, a far gap.
void fill(SlotIndex& index) {
  index.start_at(Slot{100});
  append_ready(index, 3 * kPage);
  index.move(Slot{kPage + 1}, Position{uint64_t{1} << 50});
  index.set_receive_count(Slot{kPage + 1}, 3);
  index.set_receive_count(Slot{kPage + 2}, 1'000'000);
  for (uint64_t n = 2 * kPage; n < 2 * kPage + 500; ++n)
    index.erase(Slot{n});
  for (uint64_t n = 100; n < 110; ++n)
    index.set_ready(Slot{n}, false);
  index.append_at(Slot{uint64_t{1} << 40}, Position{uint64_t{1} << 51});
}

void expect_same(const SlotIndex& a, const SlotIndex& b) {
  ASSERT_EQ(a.end(), b.end());
  ASSERT_EQ(a.live_count(), b.live_count());
  ASSERT_EQ(a.ready_count(), b.ready_count());
  a.for_each_live([&](Slot slot) {
    ASSERT_TRUE(b.live(slot));
    ASSERT_EQ(a.ready(slot), b.ready(slot));
    ASSERT_EQ(a.position(slot), b.position(slot));
    ASSERT_EQ(a.receive_count(slot), b.receive_count(slot));
  });
}

TEST(SlotIndexCheckpoint, GivesBackTheSameIndex) {
  SlotIndex index;
  fill(index);
  const std::vector<std::byte> bytes = saved(index);
  SlotIndex loaded;
  Bytes in(bytes);
  ASSERT_TRUE(loaded.load(in));
  EXPECT_TRUE(in.empty());
  expect_same(index, loaded);
  EXPECT_EQ(saved(loaded), bytes);
  // And it goes on: the page at the end is appended to.
  EXPECT_EQ(loaded.append(Position{uint64_t{1} << 52}), index.end());
  EXPECT_EQ(loaded.next_ready(Slot{0}, Slot{UINT64_MAX}), Slot{110});
}

TEST(SlotIndexCheckpoint, LeavesWhatFollowsInTheInput) {
  SlotIndex index;
  append_ready(index, 10);
  std::vector<std::byte> bytes = saved(index);
  append_ready(index, 5);
  index.save(bytes);
  bytes.push_back(std::byte{42});
  SlotIndex loaded;
  Bytes in(bytes);
  ASSERT_TRUE(loaded.load(in));
  EXPECT_EQ(loaded.live_count(), 10u);
  ASSERT_TRUE(loaded.load(in));
  EXPECT_EQ(loaded.live_count(), 15u);
  EXPECT_EQ(in.size(), 1u);
}

TEST(SlotIndexCheckpoint, AnEmptyIndexKeepsItsEnd) {
  for (const uint64_t end : {uint64_t{0}, uint64_t{5}, uint64_t{kPage}, uint64_t{1} << 40}) {
    SlotIndex index;
    index.start_at(Slot{end});
    index.append(Position{8});
    index.erase(Slot{end});
    const std::vector<std::byte> bytes = saved(index);
    SlotIndex loaded;
    append_ready(loaded, 3);
    Bytes in(bytes);
    ASSERT_TRUE(loaded.load(in));
    EXPECT_EQ(raw(loaded.end()), end + 1);
    EXPECT_EQ(loaded.live_count(), 0u);
    EXPECT_EQ(loaded.ready_count(), 0u);
    EXPECT_EQ(raw(loaded.append(Position{16})), end + 1);
  }
}

TEST(SlotIndexCheckpoint, TakesAboutAByteAMessage) {
  SlotIndex index;
  append_ready(index, 100'000);
  EXPECT_LE(saved(index).size(), 110'000u);
  for (uint64_t n = 0; n < 50'000; ++n) {
    index.set_ready(Slot{n}, false);
    index.set_receive_count(Slot{n}, 1);
  }
  EXPECT_LE(saved(index).size(), 170'000u);
}

TEST(SlotIndexCheckpoint, CutShortAnywhereIsCorruptAndLeavesNothing) {
  SlotIndex index;
  fill(index);
  const std::vector<std::byte> bytes = saved(index);
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of the exact size, so that a sanitizer sees a read past the end.
    const std::vector<std::byte> cut(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(size));
    SlotIndex loaded;
    Bytes in(cut);
    ASSERT_EQ(loaded.load(in).error(), Errc::corrupt) << size;
    ASSERT_EQ(loaded.live_count(), 0u);
    ASSERT_EQ(loaded.end(), Slot{0});
  }
}

TEST(SlotIndexCheckpoint, DamageNeverBreaksTheIndex) {
  SlotIndex index;
  fill(index);
  const std::vector<std::byte> good = saved(index);
  base::Prng random(11);
  int refused = 0;
  for (int turn = 0; turn < 3000; ++turn) {
    std::vector<std::byte> bytes = good;
    for (uint64_t hits = random.between(1, 3); hits > 0; --hits) {
      // The first bytes say the most.
      const uint64_t where = random.below(random.chance(1, 2) ? 40 : bytes.size());
      bytes[where] = static_cast<std::byte>(random.next());
    }
    SlotIndex loaded;
    Bytes in(bytes);
    if (!loaded.load(in)) {
      ++refused;
      ASSERT_EQ(loaded.live_count(), 0u);
      continue;
    }
    // What it takes for good is an index that works and can be saved again.
    uint64_t live = 0;
    uint64_t ready = 0;
    loaded.for_each_live([&](Slot slot) {
      ASSERT_LT(slot, loaded.end());
      ASSERT_EQ(loaded.position(slot).value % 8, 0u);
      ++live;
      ready += loaded.ready(slot);
    });
    ASSERT_EQ(live, loaded.live_count());
    ASSERT_EQ(ready, loaded.ready_count());
    ASSERT_EQ(loaded.clear_to(loaded.end(), [](TimerId) {}), live);
    const Slot end = loaded.end();
    ASSERT_EQ(loaded.append(Position{8}), end);
    ASSERT_TRUE(loaded.live(end));
  }
  EXPECT_GT(refused, 1000);
}

struct Forged {
  const char* what;
  std::vector<uint8_t> after_magic;
};

TEST(SlotIndexCheckpoint, RefusesWhatContradictsItself) {
  std::vector<uint8_t> bitmap_of_none(128, 0);
  std::vector<uint8_t> bitmap_of_first(128, 0);
  bitmap_of_first[0] = 1;
  const auto with = [](std::vector<uint8_t> head, const std::vector<uint8_t>& middle,
                       std::vector<uint8_t> tail) {
    head.insert(head.end(), middle.begin(), middle.end());
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
  };
  // end, live, pages; skipped, flags, [live], [ready], steps.
  const Forged kForged[] = {
      {"a live slot past the end", with({0, 1, 1, 0, 2}, bitmap_of_first, {2})},
      {"a page past the end", with({5, 1, 1, 1, 2}, bitmap_of_first, {2})},
      {"a page of none", with({5, 0, 1, 0, 2}, bitmap_of_none, {})},
      {"fewer live slots than said", with({5, 2, 1, 0, 2}, bitmap_of_first, {2})},
      {"more live slots than said", with({5, 0, 1, 0, 2}, bitmap_of_first, {2})},
      {"ready and not alive",
       with(with({5, 1, 1, 0, 0}, bitmap_of_first, {}), std::vector<uint8_t>(128, 3), {2})},
      {"a full page of which slots are past the end", {5, 5, 1, 0, 3, 2, 2, 2, 2, 2}},
      {"an unknown flag", with({5, 1, 1, 0, 16}, bitmap_of_first, {2})},
      {"a position below 0", with({5, 1, 1, 0, 2}, bitmap_of_first, {1})},
      {"a position that is no number",
       with({5, 1, 1, 0, 2}, bitmap_of_first, {255, 255, 255, 255, 255, 255, 255, 255, 255, 2})},
      {"an end past 48 bits", {128, 128, 128, 128, 128, 128, 128, 1, 0, 0}},
      {"pages that are not there", {5, 0, 255, 255, 255, 127}},
      {"no end of a varint", std::vector<uint8_t>(100, 255)},
  };
  const auto load = [](const std::vector<uint8_t>& after_magic) {
    const std::string_view magic = "slotidx3";
    std::vector<uint8_t> bytes(magic.begin(), magic.end());
    bytes.insert(bytes.end(), after_magic.begin(), after_magic.end());
    SlotIndex index;
    Bytes in = std::as_bytes(std::span<const uint8_t>(bytes));
    return index.load(in).error();
  };
  // The form the rows vary is good itself.
  ASSERT_EQ(load(with({5, 1, 1, 0, 2}, bitmap_of_first, {2})), Errc::ok);
  for (const Forged& row : kForged) {
    EXPECT_EQ(load(row.after_magic), Errc::corrupt) << row.what;
  }
}

}  // namespace
}  // namespace millrace::engine
