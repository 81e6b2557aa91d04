#include "tests/sim/sim_disk_image.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "storage/disk_path.h"

namespace millrace::sim {

SimDiskImage::SimDiskImage(uint64_t capacity) : space_(std::make_shared<SimSpace>()) {
  space_->capacity = capacity;
}

void SimDiskImage::apply(const Operation& operation, Entries& entries) {
  if (!operation.removes.empty()) {
    const auto old = entries.find(operation.removes);
    if (old != entries.end() && old->second == operation.file) entries.erase(old);
  }
  if (!operation.adds.empty()) entries[operation.adds] = operation.file;
}

void SimDiskImage::perform(Operation operation) {
  apply(operation, entries_);
  pending_.push_back(std::move(operation));
}

void SimDiskImage::sync_directory(std::string_view directory) {
  std::erase_if(pending_, [&](const Operation& operation) {
    const std::string& name = operation.adds.empty() ? operation.removes : operation.adds;
    if (storage::parent_of(name) != directory) return false;
    apply(operation, durable_);
    return true;
  });
}

bool SimDiskImage::step_in(uint64_t life) {
  if (life != life_ || calls_left_ == 0) return false;
  if (calls_left_ != UINT64_MAX) --calls_left_;
  return true;
}

void SimDiskImage::halt_after(uint64_t calls) {
  calls_left_ = calls;
}

void SimDiskImage::kill() {
  ++life_;
  calls_left_ = UINT64_MAX;
  lock_holder_ = nullptr;
}

std::unique_ptr<SimDiskImage> SimDiskImage::fork_crash(base::Prng& prng,
                                                       const PowerLossOptions& options) const {
  auto after = std::make_unique<SimDiskImage>(space_->capacity);
  after->directories_ = directories_;
  Entries kept = durable_;
  // Like a file, a directory's changes survive often wholly or not at all, and else in any subset.
  constexpr uint32_t kDraws[] = {0, 50, 100};
  const uint32_t keep =
      options.keep_percent ? *options.keep_percent : kDraws[prng.below(std::size(kDraws))];
  for (const Operation& operation : pending_)
    if (prng.chance(keep, 100)) apply(operation, kept);
  std::map<const SimFile*, std::shared_ptr<SimFile>> done;  // a subset may name a file twice
  for (const auto& [path, file] : kept) {
    std::shared_ptr<SimFile>& survivor = done[file.get()];
    if (survivor == nullptr) survivor = file->after_power_loss(prng, options, after->space_);
    after->entries_[path] = survivor;
  }
  after->durable_ = after->entries_;
  return after;
}

std::unique_ptr<SimDiskImage> SimDiskImage::fork_choice(
    const std::function<bool(size_t)>& survives) const {
  auto after = std::make_unique<SimDiskImage>(space_->capacity);
  after->directories_ = directories_;
  size_t asked = 0;
  const auto next = [&] { return survives(asked++); };
  Entries kept = durable_;
  for (const Operation& operation : pending_)
    if (next()) apply(operation, kept);
  std::map<const SimFile*, std::shared_ptr<SimFile>> done;
  for (const auto& [path, file] : kept) {
    std::shared_ptr<SimFile>& survivor = done[file.get()];
    if (survivor == nullptr) survivor = file->after_choice(next, after->space_);
    after->entries_[path] = survivor;
  }
  after->durable_ = after->entries_;
  return after;
}

size_t SimDiskImage::undecided() const {
  size_t count = pending_.size();
  for (const auto& [path, file] : entries_)
    count += file->undecided();
  return count;
}

void SimDiskImage::crash(base::Prng& prng, const PowerLossOptions& options) {
  adopt(fork_crash(prng, options));
  kill();
}

std::unique_ptr<SimDiskImage> SimDiskImage::clone() const {
  auto copy = std::make_unique<SimDiskImage>(space_->capacity);
  copy->directories_ = directories_;
  copy->writes_ = writes_;
  std::map<const SimFile*, std::shared_ptr<SimFile>> done;
  const auto copied = [&](const std::shared_ptr<SimFile>& file) {
    std::shared_ptr<SimFile>& twin = done[file.get()];
    if (twin == nullptr) twin = file->clone(copy->space_);
    return twin;
  };
  for (const auto& [path, file] : entries_)
    copy->entries_[path] = copied(file);
  for (const auto& [path, file] : durable_)
    copy->durable_[path] = copied(file);
  for (const Operation& operation : pending_)
    copy->pending_.push_back({operation.removes, operation.adds, copied(operation.file)});
  return copy;
}

void SimDiskImage::adopt(std::unique_ptr<SimDiskImage> other) {
  space_ = std::move(other->space_);
  directories_ = std::move(other->directories_);
  entries_ = std::move(other->entries_);
  durable_ = std::move(other->durable_);
  pending_ = std::move(other->pending_);
}

void SimDiskImage::settle() {
  for (const auto& [path, file] : entries_)
    file->sync(UINT64_MAX);
  pending_.clear();
  durable_ = entries_;
}

uint64_t SimDiskImage::digest() const {
  uint64_t digest = directories_.size();
  for (const std::string& directory : directories_)
    digest = base::hash64(as_bytes(directory), digest);
  for (const auto& [path, file] : entries_)
    digest = base::hash64(file->content(), base::hash64(as_bytes(path), digest));
  return digest;
}

std::vector<std::string> SimDiskImage::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : entries_)
    paths.push_back(path);
  return paths;
}

Bytes SimDiskImage::content(const std::string& path) const {
  const auto found = entries_.find(path);
  MR_ASSERT(found != entries_.end());
  return found->second->content();
}

SimFile& SimDiskImage::at_rest(const std::string& path) {
  const auto found = entries_.find(path);
  MR_ASSERT(found != entries_.end() && pending_.empty() && found->second->clean());
  return *found->second;
}

void SimDiskImage::replace(const std::string& path, std::vector<std::byte> content) {
  MR_ASSERT(pending_.empty());
  if (!exists(path)) durable_[path] = entries_[path] = std::make_shared<SimFile>(space_);
  if (const size_t slash = path.find('/'); slash != std::string::npos)
    directories_.insert(path.substr(0, slash));
  at_rest(path).replace_at_rest(std::move(content));
}

void SimDiskImage::flip_bit(const std::string& path, uint64_t bit) {
  const Bytes before = at_rest(path).content();
  MR_ASSERT(bit / 8 < before.size());
  std::vector<std::byte> bytes(before.begin(), before.end());
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  replace(path, std::move(bytes));
}

void SimDiskImage::zero(const std::string& path, uint64_t offset, uint64_t count) {
  const Bytes before = at_rest(path).content();
  MR_ASSERT(offset + count <= before.size());
  std::vector<std::byte> bytes(before.begin(), before.end());
  std::memset(bytes.data() + offset, 0, count);
  replace(path, std::move(bytes));
}

void SimDiskImage::misdirect_sector(const std::string& from, uint64_t from_sector,
                                    const std::string& to, uint64_t to_sector) {
  const Bytes source = at_rest(from).content();
  const Bytes target = at_rest(to).content();
  MR_ASSERT((from_sector + 1) * kSectorBytes <= source.size());
  MR_ASSERT((to_sector + 1) * kSectorBytes <= target.size());
  std::vector<std::byte> bytes(target.begin(), target.end());
  std::memcpy(bytes.data() + to_sector * kSectorBytes, source.data() + from_sector * kSectorBytes,
              kSectorBytes);
  replace(to, std::move(bytes));
  zero(from, from_sector * kSectorBytes, kSectorBytes);
}

void SimDiskImage::truncate(const std::string& path, uint64_t count) {
  const Bytes before = at_rest(path).content();
  MR_ASSERT(count <= before.size());
  replace(path, {before.begin(), before.begin() + static_cast<std::ptrdiff_t>(count)});
}

void SimDiskImage::swap_files(const std::string& a, const std::string& b) {
  MR_ASSERT(at_rest(a).regular() && at_rest(b).regular());
  std::swap(entries_[a], entries_[b]);
  durable_ = entries_;
}

void SimDiskImage::erase(const std::string& path) {
  MR_ASSERT(at_rest(path).clean());
  entries_.erase(path);
  durable_.erase(path);
}

void SimDiskImage::plant_link(const std::string& path) {
  MR_ASSERT(!exists(path));
  durable_[path] = entries_[path] = std::make_shared<SimFile>(space_, false);
}

}  // namespace millrace::sim
