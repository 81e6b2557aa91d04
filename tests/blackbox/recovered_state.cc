#include "tests/blackbox/recovered_state.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/os_clock.h"
#include "engine/broker.h"
#include "engine/environment.h"
#include "storage/real_disk.h"

namespace millrace::blackbox {
namespace {

namespace fs = std::filesystem;

// The real disk, and nothing else of this moment.
class SameEnvironment final : public Environment {
 public:
  explicit SameEnvironment(int64_t wall_ms) : wall_ms_(wall_ms) {}
  int64_t wall_ms() override { return wall_ms_; }
  int64_t boot_ns() override { return 1'000'000'000; }
  uint64_t random() override { return 0x9E3779B97F4A7C15u * ++drawn_; }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& data_directory,
                                                   std::function<void()> wake) override {
    auto disk = storage::RealDisk::open_directory(data_directory, std::move(wake));
    if (!disk) return fail(disk.error());
    return std::unique_ptr<storage::Disk>(std::move(*disk));
  }

 private:
  const int64_t wall_ms_;
  uint64_t drawn_ = 0;
};

// Each part by name, so that a difference can be told.
using State = std::map<std::string, std::string>;

std::string digest(Bytes bytes) {
  return fmt::format("{} bytes, {:016x}", bytes.size(), base::hash64(bytes, 0));
}

void open_and_read(const std::string& folder, int64_t wall_ms, State* state) {
  SameEnvironment environment(wall_ms);
  BrokerOptions options;
  options.data_directory = folder;
  options.disk_bytes_max = uint64_t{1} << 40;
  std::string message;
  auto opened = engine::BrokerOnDisk::open_directory(options, environment, &message);
  if (!opened) {
    (*state)["start"] = "refused: " + message;
    return;
  }
  engine::BrokerOnDisk& broker = **opened;
  for (const std::string& line : broker.recovery_report())
    (*state)["report, " + line.substr(0, line.find(':'))] = line;
  for (uint16_t i = 0; i < broker.shard_count(); ++i) {
    engine::Shard& shard = broker.shard_at(ShardId{i});
    const std::vector<std::byte> saved = shard.state().save();
    (*state)[fmt::format("state of shard {}", i)] = digest(saved);
  }
  // As a killed process leaves it: nothing is written after the start.
  broker.abandon();
  opened->reset();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    (*state)["file " + fs::relative(entry.path(), folder).string()] =
        digest(as_bytes(std::string_view(content)));
  }
}

}  // namespace

std::string recovers_alike(const std::string& data_directory, const std::string& scratch) {
  const int64_t wall_ms = base::os_wall_ms();
  State states[2];
  for (int i = 0; i < 2; ++i) {
    const std::string copy = fmt::format("{}/copy-{}", scratch, i);
    fs::remove_all(copy);
    fs::copy(data_directory, copy, fs::copy_options::recursive);
    open_and_read(copy, wall_ms, &states[i]);
    fs::remove_all(copy);
  }
  for (const auto& [name, value] : states[0]) {
    const auto other = states[1].find(name);
    if (other == states[1].end()) return name + " is there after one start, not after the other";
    if (other->second != value)
      return fmt::format("{} differs: {} | {}", name, value, other->second);
  }
  if (states[0].size() != states[1].size()) return "the second start left more files";
  return {};
}

}  // namespace millrace::blackbox
