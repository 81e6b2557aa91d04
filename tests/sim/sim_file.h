// SimFile: a file of the simulated disk as 512-byte sectors, each with what is durable of it and
// every later version.
//
// The current content lies in one buffer, which maps show directly. Beside it, only sectors written
// since they were last synced have a record: the durable bytes and the versions in between, each
// with the number of the write that made it. A sync names the newest write it covers. The size is a
// versioned value of its own: after a power loss it is any that the file had since the last sync.
//
// After a failed sync the two behaviours of Rebello et al. (ATC'20) are both here: ext4 and XFS
// keep the new content in memory but mark it clean, so that the next sync succeeds without writing
// it; btrfs goes back to the durable content.
//
// Memory: the content, 8 bytes a sector, and some 600 bytes for each version of an unsynced sector.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "millrace/types.h"

namespace millrace::sim {

inline constexpr uint64_t kSectorBytes = 512;
inline constexpr uint64_t kPageBytes = 4096;

struct PowerLossOptions {
  uint32_t granularity = 512;  // 512 or 4096: what survives or not as one
  bool torn = false;           // also mixes two versions within such a unit
  // Of a hundred units, how many get past their durable version; unset: each file draws its own,
  // with none and all among them.
  std::optional<uint32_t> keep_percent = {};
};

enum class SyncFailure : uint8_t {
  keeps_content,  // ext4, XFS
  reverts,        // btrfs
};

// How much room the files of one image have together.
struct SimSpace {
  uint64_t capacity = uint64_t{1} << 40;
  uint64_t used = 0;
};

class SimFile {
 public:
  explicit SimFile(std::shared_ptr<SimSpace> space, bool regular = true)
      : space_(std::move(space)), regular_(regular) {}
  ~SimFile();
  SimFile(const SimFile&) = delete;
  SimFile& operator=(const SimFile&) = delete;

  bool regular() const { return regular_; }  // false: stands for a link
  uint64_t size() const { return sizes_.back().bytes; }
  Bytes content() const { return {buffer_->data.get(), size()}; }

  // Takes blocks for [0, bytes); false if there is no room, and nothing changed.
  bool allocate(uint64_t bytes);
  // Both need the blocks to be there. `write_number` rises from call to call.
  void grow(uint64_t write_number, uint64_t bytes);
  void write(uint64_t write_number, uint64_t offset, Bytes bytes);

  Bytes map(uint64_t bytes);
  void unmap(const std::byte* address);

  // Makes durable what was written up to and with `write_number`.
  void sync(uint64_t write_number);
  void fail_sync(uint64_t write_number, SyncFailure how);
  bool clean() const { return dirty_.empty() && sizes_.size() == 1; }

  std::shared_ptr<SimFile> after_power_loss(base::Prng& prng, const PowerLossOptions& options,
                                            std::shared_ptr<SimSpace> space) const;
  // As after_power_loss, but somebody says of each sector, and of the size, whether the newest
  // version survives or the durable one.
  std::shared_ptr<SimFile> after_choice(const std::function<bool()>& survives,
                                        std::shared_ptr<SimSpace> space) const;
  size_t undecided() const { return dirty_.size() + (sizes_.size() > 1); }  // how often it asks
  std::shared_ptr<SimFile> clone(std::shared_ptr<SimSpace> space) const;
  // Other bytes at rest, current and durable.
  void replace_at_rest(std::vector<std::byte> bytes);

 private:
  using SectorBytes = std::array<std::byte, kSectorBytes>;
  struct Version {
    uint64_t write_number;  // 0 for the durable one
    SectorBytes bytes;
  };
  struct Unsynced {
    std::vector<Version> older;  // front() is durable; the newest version is in the buffer
    uint64_t newest = 0;
    bool marked_clean = false;  // by a failed sync: no later sync writes it
  };
  struct SizeVersion {
    uint64_t write_number;
    uint64_t bytes;
  };
  struct Buffer {
    std::unique_ptr<std::byte[]> data;
    uint64_t capacity = 0;
    uint32_t maps = 0;
  };

  uint64_t sectors_in_use() const { return (size() + kSectorBytes - 1) / kSectorBytes; }
  std::byte* sector(uint64_t index) const { return buffer_->data.get() + index * kSectorBytes; }
  void touch(uint64_t index, uint64_t write_number);
  void revive_page(uint64_t index, uint64_t write_number);
  void store(uint64_t offset, Bytes bytes);
  void set_capacity(uint64_t bytes);
  const std::byte* version_at(uint64_t index, uint64_t write_number) const;
  uint64_t pick_version(base::Prng& prng, uint32_t keep_percent,
                        const std::vector<uint64_t>& candidates) const;

  std::shared_ptr<SimSpace> space_;
  const bool regular_;
  uint64_t allocated_ = 0;
  std::unique_ptr<Buffer> buffer_ = std::make_unique<Buffer>();
  std::vector<std::unique_ptr<Buffer>> outgrown_;    // still mapped; written along
  std::vector<SizeVersion> sizes_{{0, 0}};           // front() is durable
  std::vector<std::unique_ptr<Unsynced>> unsynced_;  // by sector
  std::vector<uint64_t> dirty_;                      // sectors with a record, in no order
  bool some_marked_clean_ = false;
};

}  // namespace millrace::sim
