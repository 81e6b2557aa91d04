#include "tests/sim/sim_file.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace millrace::sim {
namespace {

constexpr uint64_t round_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

SimFile::~SimFile() {
  space_->used -= allocated_;
}

bool SimFile::allocate(uint64_t bytes) {
  const uint64_t wanted = round_up(bytes, kPageBytes);
  if (wanted <= allocated_) return true;
  const uint64_t more = wanted - allocated_;
  if (space_->capacity < space_->used || more > space_->capacity - space_->used) return false;
  space_->used += more;
  allocated_ = wanted;
  return true;
}

void SimFile::set_capacity(uint64_t bytes) {
  if (bytes <= buffer_->capacity) return;
  auto larger = std::make_unique<Buffer>();
  larger->capacity = round_up(std::max(bytes, allocated_), kPageBytes);
  larger->data = std::make_unique<std::byte[]>(larger->capacity);
  if (size() > 0) std::memcpy(larger->data.get(), buffer_->data.get(), size());
  if (buffer_->maps > 0) outgrown_.push_back(std::move(buffer_));
  buffer_ = std::move(larger);
  unsynced_.resize(buffer_->capacity / kSectorBytes);
}

void SimFile::grow(uint64_t write_number, uint64_t bytes) {
  if (bytes <= size()) return;
  MR_ASSERT(bytes <= allocated_);
  set_capacity(bytes);
  sizes_.push_back({write_number, bytes});
}

void SimFile::store(uint64_t offset, Bytes bytes) {
  std::memcpy(buffer_->data.get() + offset, bytes.data(), bytes.size());
  for (const std::unique_ptr<Buffer>& old : outgrown_) {
    if (offset >= old->capacity) continue;
    std::memcpy(old->data.get() + offset, bytes.data(),
                std::min<uint64_t>(bytes.size(), old->capacity - offset));
  }
}

void SimFile::touch(uint64_t index, uint64_t write_number) {
  std::unique_ptr<Unsynced>& record = unsynced_[index];
  if (record == nullptr) {
    record = std::make_unique<Unsynced>();
    dirty_.push_back(index);
  }
  Version& before = record->older.emplace_back();
  before.write_number = record->newest;
  std::memcpy(before.bytes.data(), sector(index), kSectorBytes);
  record->newest = write_number;
}

// A write makes its whole page dirty again, with what a failed sync had marked clean in it.
void SimFile::revive_page(uint64_t index, uint64_t write_number) {
  constexpr uint64_t kSectorsPerPage = kPageBytes / kSectorBytes;
  const uint64_t first = index / kSectorsPerPage * kSectorsPerPage;
  for (uint64_t i = first; i < first + kSectorsPerPage && i < unsynced_.size(); ++i) {
    if (unsynced_[i] == nullptr || !unsynced_[i]->marked_clean) continue;
    unsynced_[i]->marked_clean = false;
    unsynced_[i]->newest = write_number;
  }
}

void SimFile::write(uint64_t write_number, uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return;
  const uint64_t end = offset + bytes.size();
  grow(write_number, end);
  for (uint64_t at = offset; at < end;) {
    const uint64_t index = at / kSectorBytes;
    const uint64_t until = std::min(end, (index + 1) * kSectorBytes);
    const Bytes part = bytes.subspan(at - offset, until - at);
    // Writing what is there makes no version: preparing a segment costs no memory.
    if (std::memcmp(buffer_->data.get() + at, part.data(), part.size()) != 0) {
      touch(index, write_number);
      store(at, part);
    }
    if (some_marked_clean_) revive_page(index, write_number);
    at = until;
  }
}

Bytes SimFile::map(uint64_t bytes) {
  MR_ASSERT(bytes <= size());
  ++buffer_->maps;
  return {buffer_->data.get(), bytes};
}

void SimFile::unmap(const std::byte* address) {
  if (buffer_->data.get() == address) {
    MR_ASSERT(buffer_->maps > 0);
    --buffer_->maps;
    return;
  }
  const auto old = std::find_if(outgrown_.begin(), outgrown_.end(),
                                [&](const auto& each) { return each->data.get() == address; });
  MR_ASSERT(old != outgrown_.end());
  if (--(*old)->maps == 0) outgrown_.erase(old);
}

void SimFile::sync(uint64_t write_number) {
  std::erase_if(dirty_, [&](uint64_t index) {
    Unsynced& record = *unsynced_[index];
    if (record.marked_clean) return false;
    if (record.newest <= write_number) {
      unsynced_[index].reset();
      return true;
    }
    auto covered = std::find_if(record.older.rbegin(), record.older.rend(),
                                [&](const Version& v) { return v.write_number <= write_number; });
    covered->write_number = 0;
    record.older.erase(record.older.begin(), std::prev(covered.base()));
    return false;
  });
  while (sizes_.size() > 1 && sizes_[1].write_number <= write_number)
    sizes_.erase(sizes_.begin());
}

void SimFile::fail_sync(uint64_t write_number, SyncFailure how) {
  if (how == SyncFailure::reverts) {
    std::erase_if(dirty_, [&](uint64_t index) {
      if (unsynced_[index]->newest > write_number) return false;
      store(index * kSectorBytes, unsynced_[index]->older.front().bytes);
      unsynced_[index].reset();
      return true;
    });
    return;
  }
  for (const uint64_t index : dirty_)
    if (unsynced_[index]->newest <= write_number) {
      unsynced_[index]->marked_clean = true;
      some_marked_clean_ = true;
    }
  for (const uint64_t index : dirty_)
    if (!unsynced_[index]->marked_clean) revive_page(index, unsynced_[index]->newest);
}

const std::byte* SimFile::version_at(uint64_t index, uint64_t write_number) const {
  const Unsynced* record = unsynced_[index].get();
  if (record == nullptr || record->newest <= write_number) return sector(index);
  const auto version =
      std::find_if(record->older.rbegin(), record->older.rend(),
                   [&](const Version& v) { return v.write_number <= write_number; });
  return version->bytes.data();
}

uint64_t SimFile::pick_version(base::Prng& prng, uint32_t keep_percent,
                               const std::vector<uint64_t>& candidates) const {
  if (!prng.chance(keep_percent, 100)) return 0;
  return prng.chance(1, 2) ? candidates.back() : candidates[prng.below(candidates.size())];
}

std::shared_ptr<SimFile> SimFile::after_power_loss(base::Prng& prng,
                                                   const PowerLossOptions& options,
                                                   std::shared_ptr<SimSpace> space) const {
  MR_ASSERT(options.granularity == kSectorBytes || options.granularity == kPageBytes);
  constexpr uint32_t kDraws[] = {0, 15, 50, 85, 100};
  const uint32_t keep =
      options.keep_percent ? *options.keep_percent : kDraws[prng.below(std::size(kDraws))];
  auto after = std::make_shared<SimFile>(std::move(space), regular_);
  std::vector<std::byte> bytes(buffer_->capacity);
  if (size() > 0) std::memcpy(bytes.data(), buffer_->data.get(), size());

  std::vector<uint64_t> dirty = dirty_;
  std::sort(dirty.begin(), dirty.end());
  const uint64_t per_unit = options.granularity / kSectorBytes;
  std::vector<uint64_t> candidates;
  std::vector<std::byte> second(options.granularity);
  for (size_t i = 0; i < dirty.size();) {
    const uint64_t unit = dirty[i] / per_unit;
    candidates.clear();
    for (; i < dirty.size() && dirty[i] / per_unit == unit; ++i) {
      const Unsynced& record = *unsynced_[dirty[i]];
      for (size_t v = 1; v < record.older.size(); ++v)
        candidates.push_back(record.older[v].write_number);
      candidates.push_back(record.newest);
    }
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    const uint64_t first_pick = pick_version(prng, keep, candidates);
    uint64_t second_pick = first_pick;
    uint64_t split = options.granularity;
    if (options.torn && prng.chance(1, 3)) {
      second_pick = prng.chance(1, 2) ? candidates[prng.below(candidates.size())] : 0;
      split = prng.between(1, options.granularity - 1);
    }
    std::byte* const out = bytes.data() + unit * options.granularity;
    for (uint64_t s = 0; s < per_unit; ++s) {
      const uint64_t index = unit * per_unit + s;
      std::memcpy(out + s * kSectorBytes, version_at(index, first_pick), kSectorBytes);
      std::memcpy(second.data() + s * kSectorBytes, version_at(index, second_pick), kSectorBytes);
    }
    std::memcpy(out + split, second.data() + split, options.granularity - split);
  }

  uint64_t size_after = sizes_.front().bytes;
  if (sizes_.size() > 1 && prng.chance(keep, 100))
    size_after = prng.chance(1, 2) ? sizes_.back().bytes : sizes_[prng.below(sizes_.size())].bytes;
  bytes.resize(size_after);
  after->replace_at_rest(std::move(bytes));
  return after;
}

std::shared_ptr<SimFile> SimFile::after_choice(const std::function<bool()>& survives,
                                               std::shared_ptr<SimSpace> space) const {
  auto after = std::make_shared<SimFile>(std::move(space), regular_);
  std::vector<std::byte> bytes(buffer_->capacity);
  if (size() > 0) std::memcpy(bytes.data(), buffer_->data.get(), size());
  std::vector<uint64_t> dirty = dirty_;
  std::sort(dirty.begin(), dirty.end());
  for (const uint64_t index : dirty)
    if (!survives())
      std::memcpy(bytes.data() + index * kSectorBytes, version_at(index, 0), kSectorBytes);
  bytes.resize(sizes_.size() == 1 || survives() ? sizes_.back().bytes : sizes_.front().bytes);
  after->replace_at_rest(std::move(bytes));
  return after;
}

std::shared_ptr<SimFile> SimFile::clone(std::shared_ptr<SimSpace> space) const {
  auto copy = std::make_shared<SimFile>(std::move(space), regular_);
  copy->space_->used += allocated_;
  copy->allocated_ = allocated_;
  copy->set_capacity(buffer_->capacity);
  if (size() > 0) std::memcpy(copy->buffer_->data.get(), buffer_->data.get(), size());
  copy->sizes_ = sizes_;
  copy->dirty_ = dirty_;
  copy->some_marked_clean_ = some_marked_clean_;
  for (const uint64_t index : dirty_)
    copy->unsynced_[index] = std::make_unique<Unsynced>(*unsynced_[index]);
  return copy;
}

void SimFile::replace_at_rest(std::vector<std::byte> bytes) {
  MR_ASSERT(clean());
  const uint64_t allocated = round_up(bytes.size(), kPageBytes);
  space_->used += allocated - allocated_;
  allocated_ = allocated;
  set_capacity(bytes.size());
  if (buffer_->capacity > 0) std::memset(buffer_->data.get(), 0, buffer_->capacity);
  sizes_ = {{0, bytes.size()}};
  if (!bytes.empty()) store(0, bytes);
}

}  // namespace millrace::sim
