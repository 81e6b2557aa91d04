// millrace-damage: bits of a log's files flip, one by one; its tail is cut at every byte; segments
// go missing, are zeroed, change names. After each the log is opened.
//
//   millrace-damage --every 64                       one byte in 64, on to the next bit each time
//   millrace-damage --part 0 --parts 16              every byte; that part of them
//   millrace-damage --all-bits                       every bit of every byte
//   millrace-damage --segment 1 --byte 8211 --bit 3  this one only
//
// The three segments are those of some simulated nodes' logs that hold the most kinds of records
// between them. After every 16th flip that hits a record the whole node is started on it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log_line.h"
#include "tests/sim/damaged_log.h"
#include "tests/sim/replay_line.h"
#include "tests/sim/sim_environment.h"
#include "tests/sim/simulation.h"
#include "tools/common/parser.h"

namespace {

using namespace millrace;
using namespace millrace::sim;

constexpr size_t kFixtures = 3;
constexpr uint64_t kCutBytes = 64 << 10;
constexpr uint64_t kStartEvery = 16;

struct Asked {
  uint64_t every = 1, part = 0, parts = 1, segment = kFixtures, byte = UINT64_MAX, bit = 8;
  bool all_bits = false;
};

struct Fixture {
  const StoppedNode* node = nullptr;
  DamagedLog* log = nullptr;
  uint64_t segment = 0;
};

class Damage {
 public:
  explicit Damage(const Asked& asked) : asked_(asked) {
    constexpr struct {
      uint64_t seed;
      ShapeKind shape;
    } kNodes[] = {{3, ShapeKind::dead_letters},
                  {5, ShapeKind::dead_letters},
                  {8, ShapeKind::dead_letters},
                  {2, ShapeKind::fifo},
                  {1, ShapeKind::standard}};
    for (const auto& one : kNodes) {
      nodes_.push_back(std::make_unique<StoppedNode>(
          run_and_stop({.seed = one.seed, .steps = 1500, .shape = one.shape})));
      for (uint16_t shard = 0; shard < nodes_.back()->options.shards; ++shard)
        logs_.push_back(
            {nodes_.back().get(),
             std::make_unique<DamagedLog>(*nodes_.back()->image, fmt::format("shard-{}", shard))});
    }
    choose();
  }

  bool all() {
    uint64_t flip = 0;
    for (size_t i = 0; i < fixtures_.size(); ++i) {
      if (asked_.segment != kFixtures && asked_.segment != i) continue;
      for (uint64_t byte = i; byte < fixtures_[i].log->segment_bytes(); byte += asked_.every) {
        const bool this_one = asked_.byte == UINT64_MAX || asked_.byte == byte;
        if (!this_one || flip++ % asked_.parts != asked_.part) continue;
        const auto one = static_cast<uint32_t>((byte / asked_.every + byte) % 8);
        for (uint32_t bit = 0; bit < 8; ++bit) {
          const bool wanted = asked_.bit < 8 ? bit == asked_.bit : asked_.all_bits || bit == one;
          if (wanted && !one_flip(i, byte, bit)) return false;
        }
      }
    }
    if (asked_.byte != UINT64_MAX) return true;
    return cuts() && segments();
  }
  void print() const {
    uint64_t lost = 0;
    for (const auto& log : logs_)
      lost += log.log->records_lost();
    fmt::print("kinds of records: {}\n", fmt::join(kinds_, " "));
    fmt::print(
        "{} flips, {} of records, {} starts of the node, {} cuts, {} segments gone or "
        "renamed, {} records lost, 0 violations\n",
        flips_, hits_, starts_, cuts_, gone_, lost);
  }

 private:
  struct NodesLog {
    const StoppedNode* node;
    std::unique_ptr<DamagedLog> log;
  };

  // The segment with the most kinds, then twice the one that adds most; of whole segments only.
  void choose() {
    for (size_t n = 0; n < kFixtures; ++n) {
      Fixture best;
      size_t most = 0;
      for (const NodesLog& one : logs_)
        for (const uint64_t segment : one.log->segments()) {
          const auto same = [&](const Fixture& f) {
            return f.log == one.log.get() && f.segment == segment;
          };
          if (std::any_of(fixtures_.begin(), fixtures_.end(), same)) continue;
          std::set<uint16_t> kinds = one.log->kinds_in(segment);
          kinds.insert(kinds_.begin(), kinds_.end());
          if (best.log != nullptr && kinds.size() <= most) continue;
          most = kinds.size();
          best = {one.node, one.log.get(), segment};
        }
      kinds_.merge(best.log->kinds_in(best.segment));
      fixtures_.push_back(best);
    }
  }

  bool tell(const std::string& violation) {
    if (!violation.empty()) fmt::print("{}\n{}", violation, g_replay_line);
    return violation.empty();
  }
  bool one_flip(size_t i, uint64_t byte, uint32_t bit) {
    g_replay_line =
        fmt::format("replay: millrace-damage --segment {} --byte {} --bit {}\n", i, byte, bit);
    const Fixture& fixture = fixtures_[i];
    ++flips_;
    if (!tell(fixture.log->flip(fixture.segment, byte, bit))) return false;
    if (fixture.log->hit() == nullptr || ++hits_ % kStartEvery != 0) return true;
    return tell(start_node(fixture, byte, bit));
  }
  // The whole node: it opens, and says that something is damaged.
  std::string start_node(const Fixture& fixture, uint64_t byte, uint32_t bit) {
    ++starts_;
    const auto image = fixture.node->image->clone();
    image->flip_bit(fixture.log->file_of(fixture.segment), byte * 8 + bit);
    SimEnvironment environment(*image, 1);
    std::string message;
    const auto broker = Broker::open(fixture.node->options, environment, &message);
    if (!broker) return "the node does not start: " + message;
    const auto damaged = [](const std::string& line) {
      return line.find("DAMAGE") != std::string::npos;
    };
    const std::vector<std::string>& report = (*broker)->recovery_report();
    const bool told = std::any_of(report.begin(), report.end(), damaged);
    image->kill();
    return told ? "" : "the node starts and reports no damage";
  }

  bool cuts() {
    DamagedLog& log = *fixtures_[0].log;
    const uint64_t last = log.segment_bytes();
    for (uint64_t n = asked_.part * asked_.every; n < std::min(kCutBytes, last);
         n += asked_.every * asked_.parts) {
      g_replay_line = fmt::format("replay: millrace-damage, the cut to {} bytes\n", last - n);
      ++cuts_;
      if (!tell(log.cut(last - n))) return false;
    }
    return true;
  }
  bool segments() {
    if (asked_.part != 0) return true;
    for (const NodesLog& one : logs_) {
      const std::vector<uint64_t>& all = one.log->segments();
      for (size_t i = 0; i + 1 < all.size(); ++i) {
        g_replay_line = fmt::format("replay: millrace-damage, segment {} of {}\n", all[i],
                                    one.log->directory());
        gone_ += 3;
        if (!tell(one.log->lose(all[i], false)) || !tell(one.log->lose(all[i], true)) ||
            !tell(one.log->swap(all[i], all[i + 1])))
          return false;
      }
    }
    return true;
  }

  const Asked& asked_;
  std::vector<std::unique_ptr<StoppedNode>> nodes_;
  std::vector<NodesLog> logs_;
  std::vector<Fixture> fixtures_;
  std::set<uint16_t> kinds_;
  uint64_t flips_ = 0, hits_ = 0, starts_ = 0, cuts_ = 0, gone_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Asked asked;
  tools::Parser parser("millrace-damage", "Bytes at rest change, one by one.", MILLRACE_VERSION);
  parser.root()
      .option("--every", "N", asked.every, "one byte in so many")
      .option("--part", "I", asked.part, "of them")
      .option("--parts", "N", asked.parts, "so many")
      .option("--segment", "I", asked.segment, "of this fixture only, 0 to 2")
      .option("--byte", "N", asked.byte, "this one only")
      .option("--bit", "N", asked.bit, "this one only")
      .flag("--all-bits", asked.all_bits, "each bit of a byte, not one");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  tell_replay_line_on_abort();
  base::set_log(base::LogLevel::error, base::LogFormat::text);
  Damage damage(asked);
  if (!damage.all()) return 1;
  damage.print();
  return 0;
}
