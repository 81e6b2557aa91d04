// SimDiskImage: what a simulated data directory holds, now and on stable storage. It outlives the
// SimDisks on it, as a disk outlives processes.
//
// Directory entries follow the files' rule: create, rename and unlink show at once and are durable
// after sync_directory; a power loss keeps any subset of the later ones, whatever became of the
// file's content (a rename is one operation: it never leaves neither name). Directories are durable
// when made.
//
//   process death   kill():  what the page cache held is still there
//   power loss      crash(): every unsynced sector, size and entry is decided by the prng
//
// After either, the SimDisks that were open are dead: each of their calls fails with io_error and
// changes nothing, so the destructors of a broker that "was killed" may run. New SimDisks see the
// image as the next process would.
//
// Threads: one.  Memory: the files.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "millrace/types.h"
#include "tests/sim/sim_file.h"

namespace millrace::sim {

class SimDiskImage {
 public:
  explicit SimDiskImage(uint64_t capacity = uint64_t{1} << 40);
  // An exact copy, unsynced state included, that goes its own way. No SimDisk is on it.
  std::unique_ptr<SimDiskImage> clone() const;

  void kill();
  void crash(base::Prng& prng, const PowerLossOptions& options = {});
  // The image that a power loss now would leave; this one goes on undisturbed.
  std::unique_ptr<SimDiskImage> fork_crash(base::Prng& prng,
                                           const PowerLossOptions& options = {}) const;
  // As fork_crash, but `survives(i)` says it of each of the undecided() things: a change of the
  // directory, a sector, a file's size.
  std::unique_ptr<SimDiskImage> fork_choice(const std::function<bool(size_t)>& survives) const;
  size_t undecided() const;
  bool halted() const { return calls_left_ == 0; }
  // Lets `calls` more calls of any SimDisk happen and fails all later ones, as if the process had
  // died between two of them; ends with kill() or crash().
  void halt_after(uint64_t calls);
  // Makes everything durable, as a clean power-off.
  void settle();

  void set_capacity(uint64_t bytes) { space_->capacity = bytes; }
  uint64_t used_bytes() const { return space_->used; }
  // Of the names, sizes and content as they show now.
  uint64_t digest() const;
  std::vector<std::string> paths() const;
  bool exists(const std::string& path) const { return entries_.contains(path); }
  Bytes content(const std::string& path) const;  // until the file is next changed

  // --- damage at rest: of images that are settled, e.g. by a crash ---
  void flip_bit(const std::string& path, uint64_t bit);
  void zero(const std::string& path, uint64_t offset, uint64_t bytes);
  // A sector written to the wrong place: it is there, and missing where it should be.
  void misdirect_sector(const std::string& from, uint64_t from_sector, const std::string& to,
                        uint64_t to_sector);
  void truncate(const std::string& path, uint64_t bytes);
  void swap_files(const std::string& a, const std::string& b);
  void erase(const std::string& path);
  void replace(const std::string& path, std::vector<std::byte> content);  // made if not there
  void plant_link(const std::string& path);

 private:
  friend class SimDisk;
  using Entries = std::map<std::string, std::shared_ptr<SimFile>, std::less<>>;
  struct Operation {
    std::string removes;  // empty: nothing
    std::string adds;
    std::shared_ptr<SimFile> file;
  };

  static void apply(const Operation& operation, Entries& entries);
  // Counts a call of a SimDisk made in `life`; false if that life is over.
  bool step_in(uint64_t life);
  uint64_t next_write() { return ++writes_; }
  void perform(Operation operation);
  void sync_directory(std::string_view directory);
  SimFile& at_rest(const std::string& path);
  void adopt(std::unique_ptr<SimDiskImage> other);

  std::shared_ptr<SimSpace> space_;
  std::set<std::string, std::less<>> directories_;
  Entries entries_;                 // as they show
  Entries durable_;                 // as after a power loss that keeps nothing
  std::vector<Operation> pending_;  // from durable_ to entries_
  uint64_t writes_ = 0;
  uint64_t life_ = 0;
  uint64_t calls_left_ = UINT64_MAX;
  const void* lock_holder_ = nullptr;
};

}  // namespace millrace::sim
