// SimDisk: a Disk on a SimDiskImage; one per log, any number on one image.
//
// Jobs go on only when the simulator says so, and when somebody looks at the free bytes:
// step_jobs() makes one call of one job (all kinds in random order, one kind in the order
// submitted), so that a crash can come between any two calls of a preparation and at any time while
// a sync is in flight. A sync job makes durable what was written before it was submitted, and
// nothing later.
//
// Faults: inject() makes calls of one kind fail: the Nth from now, or by chance; once, or for ever.
// A failed `write` wrote nothing, a failed `short_write` a random part. A failed sync leaves the
// file as SyncFailure says; reported late, it is this sync that says ok and the next one that
// fails.
//
// After a kill or crash of the image every call fails with io_error and does nothing.
// Threads: one.  Memory: jobs and open files.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "storage/disk.h"
#include "storage/disk_jobs.h"
#include "tests/sim/sim_disk_image.h"

namespace millrace::sim {

enum class DiskCall : uint8_t {
  open,
  read,
  map,
  write,
  short_write,
  reserve,
  sync,
  sync_directory,
  rename,
  remove,
};
inline constexpr size_t kDiskCalls = 10;

struct DiskFault {
  DiskCall call = DiskCall::write;
  uint64_t nth = 1;          // the nth such call from now fails; 0: by chance
  uint32_t per_million = 0;  // chance of each call, when nth is 0
  bool for_ever = false;     // false: once. true: all from the nth on, or each that chance picks
  Errc error = Errc::io_error;
  SyncFailure sync_failure = SyncFailure::keeps_content;
  bool late_report = false;  // of a sync
  bool pages_stay =
      false;  // of a late report that reverts: what is read is the old only after drop_pages()
};

class SimDisk final : public storage::Disk {
 public:
  explicit SimDisk(SimDiskImage& image, std::function<void()> wake = {});
  ~SimDisk() override;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // --- for the simulator ---
  // Makes one call of one job under way; false if there is none.
  bool step_jobs(base::Prng& prng);
  // Runs one job to its end; false if there is none.
  bool complete_one(base::Prng& prng);
  size_t jobs_under_way() const;
  void inject(const DiskFault& fault) { faults_.push_back({fault, fault.nth, false}); }
  void clear_faults() { faults_.clear(); }
  // The pages go whose syncs lied and reverted, if they stayed till now.
  void drop_pages() { drop_pages_of(nullptr); }
  uint64_t faults_hit() const { return faults_hit_; }
  uint64_t lies_told() const {
    return lies_told_;
  }  // syncs that said ok and lost what they covered
  // Calls of a kind so far, failed ones included; write and short_write count the same calls.
  uint64_t calls(DiskCall call) const { return calls_[static_cast<size_t>(call)]; }
  // The device's copy of a byte goes bad, for read_back() only; writing over it mends it.
  void rot(std::string_view path, uint64_t offset);
  // For faults by chance and for the length of short writes.
  void seed(uint64_t seed) { prng_ = base::Prng(seed); }

  // --- Disk ---
  [[nodiscard]] Status make_directory(std::string_view path) override;
  [[nodiscard]] Status lock() override;
  [[nodiscard]] Result<std::vector<storage::DirectoryEntry>> list(
      std::string_view directory) override;
  [[nodiscard]] Result<storage::FileId> open(std::string_view path,
                                             storage::OpenMode mode) override;
  void close(storage::FileId file) override;
  [[nodiscard]] Result<uint64_t> size(storage::FileId file) override;
  [[nodiscard]] Status reserve(storage::FileId file, uint64_t bytes) override;
  [[nodiscard]] Status write(storage::FileId file, uint64_t offset,
                             std::span<const Bytes> parts) override;
  [[nodiscard]] Result<uint64_t> read(storage::FileId file, uint64_t offset,
                                      MutableBytes out) override;
  [[nodiscard]] Result<uint64_t> read_back(storage::FileId file, uint64_t offset,
                                           MutableBytes out) override;
  [[nodiscard]] Result<Bytes> map(storage::FileId file, uint64_t bytes) override;
  void unmap(Bytes mapping) override;
  [[nodiscard]] Status sync(storage::FileId file) override;
  [[nodiscard]] Status sync_directory(std::string_view directory) override;
  [[nodiscard]] Status rename(std::string_view from, std::string_view to) override;
  [[nodiscard]] Status remove(std::string_view path) override;
  [[nodiscard]] Result<uint64_t> free_bytes() override;
  void submit(storage::Job job) override;
  size_t reap(std::span<storage::Completion> out) override;
  void finish(storage::JobKind kind) override;

 private:
  struct OpenFile {
    std::shared_ptr<SimFile> file;
    bool writable;
  };
  struct PlannedFault {
    DiskFault fault;
    uint64_t calls_left;
    bool spent;
  };
  struct JobUnderWay {
    storage::Job sync;  // kind sync: done here, up to last_write
    uint64_t last_write;
    std::unique_ptr<storage::JobRun> run;  // any other kind
  };
  struct LostPages {
    std::shared_ptr<SimFile> file;
    uint64_t last_write;
  };

  bool alive() { return image_.step_in(life_); }
  OpenFile& find(storage::FileId file);
  // The fault that this call meets, if any. Counts the call.
  const DiskFault* meets_fault(DiskCall call);
  Status directory_is_there(std::string_view directory) const;
  Status sync_up_to(const std::shared_ptr<SimFile>& file, uint64_t last_write);
  void drop_pages_of(const SimFile* file);  // null: of all
  std::deque<JobUnderWay>* pick(base::Prng& prng);
  bool step(std::deque<JobUnderWay>& jobs);
  void complete(const storage::Completion& completion);

  SimDiskImage& image_;
  const uint64_t life_;
  const std::function<void()> wake_;
  base::Prng prng_{1};
  std::unordered_map<uint32_t, OpenFile> files_;
  uint32_t next_file_ = 0;
  // Maps of one file share an address.
  std::unordered_multimap<const std::byte*, std::shared_ptr<SimFile>> maps_;
  std::array<std::deque<JobUnderWay>, storage::kJobKinds> jobs_;  // by JobKind
  std::deque<storage::Completion> done_;
  std::vector<PlannedFault> faults_;
  std::set<const SimFile*> failed_late_;                 // their next sync reports it
  std::vector<LostPages> lost_pages_;                    // which are still read
  std::map<const SimFile*, std::set<uint64_t>> rotten_;  // offsets
  std::array<uint64_t, kDiskCalls> calls_{};
  uint64_t faults_hit_ = 0;
  uint64_t lies_told_ = 0;
};

}  // namespace millrace::sim
