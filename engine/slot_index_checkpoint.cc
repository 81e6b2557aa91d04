// SlotIndex::save and load: the layout is in slot_index.h.
#include <algorithm>
#include <cstring>

#include "engine/slot_index.h"

namespace millrace::engine {
namespace {

constexpr char kMagic[8] = {'s', 'l', 'o', 't', 'i', 'd', 'x', '3'};
constexpr uint64_t kSlotsMax = uint64_t{1} << 48;
constexpr uint64_t kUnitsMax = uint64_t{1} << 61;  // positions are 64 bits of bytes
constexpr uint8_t kAllLive = 1;
constexpr uint8_t kAllReady = 2;
constexpr uint8_t kCounts = 4;
constexpr uint8_t kReceived = 8;

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}
  void raw_bytes(const void* data, size_t bytes) {
    const auto* from = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), from, from + bytes);
  }
  void byte(uint8_t value) { out_.push_back(std::byte{value}); }
  void varint(uint64_t value) {
    while (value >= 0x80) {
      byte(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    byte(static_cast<uint8_t>(value));
  }

 private:
  std::vector<std::byte>& out_;
};

// Each answers false at the end of the input or on what the writer cannot have written.
class Reader {
 public:
  explicit Reader(Bytes& in) : in_(in) {}
  bool raw_bytes(void* data, size_t bytes) {
    if (in_.size() < bytes) return false;
    std::memcpy(data, in_.data(), bytes);
    in_ = in_.subspan(bytes);
    return true;
  }
  bool varint(uint64_t* value) {
    *value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
      uint8_t b;
      if (!raw_bytes(&b, 1) || (shift == 63 && b > 1)) return false;
      *value |= uint64_t{b & 0x7FU} << shift;
      if (b < 0x80) return true;
    }
    return false;
  }

 private:
  Bytes& in_;
};

constexpr uint64_t zigzag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t unzigzag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

}  // namespace

void SlotIndex::save(std::vector<std::byte>& out) const {
  // A guess that saves most of the copying a growing vector does.
  out.reserve(out.size() + 64 + live_count_ + live_count_ / 4);
  Writer w(out);
  uint64_t pages = pages_;
  if (tail_ != nullptr && tail_->live_count == 0) --pages;
  w.raw_bytes(kMagic, sizeof kMagic);
  w.varint(end_);
  w.varint(live_count_);
  w.varint(pages);
  uint64_t units = 0;
  uint64_t number = 0;
  uint64_t next = 0;  // lowest page number that is not written yet
  for (uint64_t from = 0; const Page* page = page_from(from, &number); from = number + 1) {
    if (page->live_count == 0) continue;
    w.varint(number - next);
    next = number + 1;
    const bool all_live = page->live_count == kPageSlots;
    const bool all_ready = page->ready == page->live;
    w.byte(static_cast<uint8_t>((all_live ? kAllLive : 0) | (all_ready ? kAllReady : 0) |
                                (page->counts ? kCounts : 0) |
                                (page->last_received ? kReceived : 0)));
    if (!all_live) w.raw_bytes(page->live.data(), sizeof page->live);
    if (!all_ready) w.raw_bytes(page->ready.data(), sizeof page->ready);
    for (uint32_t i = 0; i < kPageSlots; ++i) {
      if (!test(page->live, i)) continue;
      const uint64_t here = page->wide ? page->wide[i] : page->base + page->narrow[i];
      w.varint(zigzag(static_cast<int64_t>(here - units)));
      units = here;
    }
    for (uint32_t i = 0; page->counts && i < kPageSlots; ++i) {
      if (test(page->live, i)) w.varint(receive_count(Slot{number * kPageSlots + i}));
    }
    for (uint32_t i = 0; page->last_received && i < kPageSlots; ++i) {
      if (!test(page->live, i)) continue;
      const ReceivedTimes times = received(Slot{number * kPageSlots + i});
      w.varint(zigzag(times.last_ms));
      w.varint(zigzag(int64_t{times.last_ms} - times.first_ms));
    }
  }
}

Status SlotIndex::load(Bytes& in) {
  reset(0);
  if (Status status = load_pages(in); !status) {
    reset(0);
    return status;
  }
  return {};
}

Status SlotIndex::load_pages(Bytes& in) {
  Reader r(in);
  char magic[sizeof kMagic];
  uint64_t end = 0;
  uint64_t live = 0;
  uint64_t pages = 0;
  if (!r.raw_bytes(magic, sizeof magic) || std::memcmp(magic, kMagic, sizeof magic) != 0 ||
      !r.varint(&end) || end >= kSlotsMax || !r.varint(&live) || !r.varint(&pages)) {
    return fail(Errc::corrupt);
  }
  end_ = end;
  uint64_t units = 0;
  uint64_t next = 0;
  for (; pages > 0; --pages) {
    uint64_t skipped = 0;
    if (!r.varint(&skipped) || skipped >= kSlotsMax) return fail(Errc::corrupt);
    const uint64_t number = next + skipped;
    if (number * kPageSlots >= end_) return fail(Errc::corrupt);
    if (Status status = load_page(in, number, &units); !status) return status;
    next = number + 1;
  }
  if (live_count_ != live) return fail(Errc::corrupt);
  tail_ = find(Slot{end_});
  tail_number_ = end_ / kPageSlots;
  return {};
}

Status SlotIndex::load_page(Bytes& in, uint64_t number, uint64_t* units) {
  Reader r(in);
  uint8_t flags = 0;
  Bitmap live;
  live.fill(~uint64_t{0});
  if (!r.raw_bytes(&flags, 1) || flags > (kAllLive | kAllReady | kCounts | kReceived)) {
    return fail(Errc::corrupt);
  }
  if ((flags & kAllLive) == 0 && !r.raw_bytes(live.data(), sizeof live)) return fail(Errc::corrupt);
  Bitmap ready = live;
  if ((flags & kAllReady) == 0 && !r.raw_bytes(ready.data(), sizeof ready)) {
    return fail(Errc::corrupt);
  }
  const uint64_t slots = std::min<uint64_t>(kPageSlots, end_ - number * kPageSlots);
  uint32_t live_count = 0;
  for (uint32_t w = 0; w < kWords; ++w) {
    const uint64_t start = w * 64;
    const uint64_t in_word = slots <= start ? 0 : std::min<uint64_t>(64, slots - start);
    const uint64_t possible = in_word == 0 ? 0 : ~uint64_t{0} >> (64 - in_word);
    if ((live[w] & ~possible) != 0 || (ready[w] & ~live[w]) != 0) return fail(Errc::corrupt);
    live_count += static_cast<uint32_t>(std::popcount(live[w]));
  }
  // Each slot takes a byte at least: nothing is allocated for what cannot be there.
  if (live_count == 0 || in.size() < live_count) return fail(Errc::corrupt);

  std::array<uint64_t, kPageSlots> positions;
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < kPageSlots; ++i) {
    if (!test(live, i)) continue;
    uint64_t step = 0;
    if (!r.varint(&step)) return fail(Errc::corrupt);
    *units += static_cast<uint64_t>(unzigzag(step));
    if (*units >= kUnitsMax) return fail(Errc::corrupt);
    positions[i] = *units;
    lowest = std::min(lowest, *units);
  }

  Page& page = make_page(number);
  page.base = lowest;
  page.live = live;
  page.live_count = static_cast<uint16_t>(live_count);
  live_count_ += live_count;
  for (uint32_t i = 0; i < kPageSlots; ++i) {
    if (test(live, i)) put(page, i, positions[i]);
  }
  for (uint32_t i = 0; (flags & kCounts) != 0 && i < kPageSlots; ++i) {
    if (!test(live, i)) continue;
    uint64_t count = 0;
    if (!r.varint(&count) || count > UINT32_MAX) return fail(Errc::corrupt);
    set_receive_count(Slot{number * kPageSlots + i}, static_cast<uint32_t>(count));
  }
  for (uint32_t i = 0; (flags & kReceived) != 0 && i < kPageSlots; ++i) {
    if (!test(live, i)) continue;
    uint64_t bits = 0;
    uint64_t back = 0;
    if (!r.varint(&bits) || !r.varint(&back) || bits > UINT32_MAX || back > kUnitsMax)
      return fail(Errc::corrupt);
    const int64_t last = unzigzag(bits);
    const int64_t first = last - unzigzag(back);
    if (first < INT32_MIN || first > INT32_MAX) return fail(Errc::corrupt);
    set_received(Slot{number * kPageSlots + i},
                 {static_cast<int32_t>(first), static_cast<int32_t>(last)});
  }
  for (uint32_t w = 0; w < kWords; ++w) {
    if (ready[w] == 0) continue;
    if (page.ready_words == 0) page_became_ready(number);
    page.ready_words = static_cast<uint16_t>(page.ready_words | 1u << w);
    page.ready[w] = ready[w];
    ready_count_ += static_cast<uint64_t>(std::popcount(ready[w]));
  }
  return {};
}

}  // namespace millrace::engine
