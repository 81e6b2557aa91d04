#include "tests/blackbox/power_file.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::blackbox {
namespace {

using Content = std::vector<std::byte>;

constexpr size_t kBlock = 4096;
constexpr size_t kUnit = 512;  // the smallest that is written or lost

void write_at(int fd, const Content& content, uint64_t from, uint64_t to) {
  if (from >= to) return;
  const ssize_t written = ::pwrite(fd, content.data() + from, to - from, static_cast<off_t>(from));
  MR_ASSERT(written == static_cast<ssize_t>(to - from));
}

bool is_zero(const std::byte* block) {
  static constexpr std::byte kZeros[kBlock]{};
  return std::memcmp(block, kZeros, kBlock) == 0;
}

Content read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  MR_ASSERT(fd >= 0);
  struct stat info {};
  MR_ASSERT(::fstat(fd, &info) == 0);
  Content content(static_cast<size_t>(info.st_size));
  for (size_t done = 0; done < content.size();) {
    const ssize_t got =
        ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    MR_ASSERT(got > 0);
    done += static_cast<size_t>(got);
  }
  ::close(fd);
  return content;
}

}  // namespace

PowerFile::PowerFile(const std::string& durable, const std::string& working)
    : durable_(durable.empty() ? Content{} : read_file(durable)),
      working_(read_file(working)),
      durable_bytes_(durable_.size()),
      working_bytes_(working_.size()) {
  const size_t padded = (std::max(durable_.size(), working_.size()) + kBlock - 1) / kBlock * kBlock;
  durable_.resize(padded);
  working_.resize(padded);
  // What is not written stays a hole: preallocated segments are mostly these.
  for (uint64_t at = 0; at < padded; at += kBlock) {
    if (is_zero(durable_.data() + at)) continue;
    if (!filled_.empty() && filled_.back().to == at)
      filled_.back().to += kBlock;
    else
      filled_.push_back({at, at + kBlock});
  }
  for (uint64_t at = 0; at < padded; at += kUnit)
    if (std::memcmp(durable_.data() + at, working_.data() + at, kUnit) != 0)
      differing_.push_back(at);
}

void PowerFile::write(const std::string& path, base::Prng& prng, uint32_t granularity,
                      bool torn) const {
  constexpr uint32_t kKeepPercents[] = {0, 15, 50, 85, 100};
  const uint32_t keep = kKeepPercents[prng.below(std::size(kKeepPercents))];
  uint64_t bytes = durable_bytes_;
  if (durable_bytes_ != working_bytes_ && prng.chance(keep, 100)) {
    const auto [low, high] = std::minmax(durable_bytes_, working_bytes_);
    bytes = prng.chance(1, 2) ? working_bytes_ : prng.between(low, high);
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  MR_ASSERT(fd >= 0);
  MR_ASSERT(::ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  for (const Range& range : filled_)
    write_at(fd, durable_, range.from, std::min(range.to, bytes));
  const uint64_t unit = granularity;
  Range run;  // of what was chosen, not yet written
  for (size_t i = 0; i < differing_.size();) {
    const uint64_t at = differing_[i] / unit * unit;
    while (i < differing_.size() && differing_[i] < at + unit)
      ++i;
    if (!prng.chance(keep, 100)) continue;
    uint64_t first = 0;
    uint64_t last = unit;
    if (torn && prng.chance(1, 3)) {
      const uint64_t split = prng.between(1, unit - 1);
      prng.chance(1, 2) ? first = split : last = split;
    }
    if (run.to != at + first) {
      write_at(fd, working_, run.from, std::min(run.to, bytes));
      run.from = at + first;
    }
    run.to = at + last;
  }
  write_at(fd, working_, run.from, std::min(run.to, bytes));
  ::close(fd);
}

}  // namespace millrace::blackbox
