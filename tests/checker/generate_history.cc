// checker-generate: writes a large legal history, to measure the checker with (see throughput).
//
//   checker-generate FOLDER LINES
//
// Eight pairs of a producer and a consumer, each pair a file of its own. Every message is sent,
// received in answers of ten and deleted; one in twenty is left to its lease first and comes back.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "tests/checker/event.h"

namespace {

using millrace::checker::kMillisecond;
using millrace::checker::kSecond;
using millrace::checker::Nanoseconds;

constexpr uint64_t kPairs = 8;
constexpr uint64_t kBatch = 10;
constexpr uint64_t kLinesPerBatchMax = kBatch * 4 + 1 + 2;

class Pair {
 public:
  Pair(std::FILE* file, uint64_t pair) : file_(file), pair_(pair), now_(Nanoseconds(pair) * 977) {}

  uint64_t lines() const { return lines_; }

  void batch() {
    for (uint64_t at = 0; at < kBatch; ++at)
      send(first_ + at);
    const uint64_t forgotten = first_ % 200 == 0 ? kBatch : 0;
    receive(first_, kBatch, 1);
    if (forgotten != 0) {
      now_ += kSecond + kMillisecond;
      receive(first_, kBatch, 2);
    }
    for (uint64_t at = 0; at < kBatch; ++at)
      remove(first_ + at, forgotten != 0 ? 2 : 1);
    first_ += kBatch;
  }

 private:
  void line(char role, uint64_t number, const char* phase, const char* op,
            const std::string& fields) {
    now_ += 20'000;
    fmt::print(file_,
               R"({{"t":{},"p":"{}{}","i":{},"ev":"{}","op":"{}"{}}})"
               "\n",
               now_, role, pair_, number, phase, op, fields);
    ++lines_;
  }
  std::string key(uint64_t message) const { return fmt::format("p{}-{}", pair_, message); }
  std::string hash(uint64_t message) const {
    return fmt::format("{:016x}", message * 0x9E3779B97F4A7C15ULL + pair_);
  }
  std::string id(uint64_t message) const {
    return fmt::format("{:08x}-0000-4000-8000-{:012x}", pair_, message);
  }

  void send(uint64_t message) {
    const uint64_t number = ++sends_;
    line('p', number, "inv", "send",
         fmt::format(R"(,"q":"orders","k":"{}","h":"{}")", key(message), hash(message)));
    line('p', number, "ok", "send",
         fmt::format(R"(,"m":"{}","dur":"commit","lsn":"{}:{}")", id(message), pair_ % 4, now_));
  }
  void receive(uint64_t first, uint64_t count, uint64_t n) {
    const uint64_t number = ++receives_;
    line('c', number, "inv", "recv", R"(,"q":"orders","v":1000)");
    for (uint64_t at = 0; at < count; ++at) {
      line('c', number, "ok", "recv",
           fmt::format(R"(,"k":"{}","h":"{}","m":"{}","r":"{:016x}","n":{})", key(first + at),
                       hash(first + at), id(first + at), (first + at) * 4 + n, n));
    }
  }
  void remove(uint64_t message, uint64_t n) {
    const uint64_t number = ++receives_;
    line('c', number, "inv", "del",
         fmt::format(R"(,"q":"orders","k":"{}","r":"{:016x}")", key(message), message * 4 + n));
    line('c', number, "ok", "del", R"(,"dur":"commit")");
  }

  std::FILE* file_;
  uint64_t pair_;
  Nanoseconds now_;
  uint64_t first_ = 0, sends_ = 0, receives_ = 0, lines_ = 0;
};

bool write_pair(const std::string& path, uint64_t pair, uint64_t lines) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  Pair writer(file, pair);
  while (writer.lines() + kLinesPerBatchMax <= lines)
    writer.batch();
  return std::fclose(file) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t lines = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (lines == 0) {
    fmt::print(stderr, "usage: checker-generate FOLDER LINES\n");
    return 2;
  }
  for (uint64_t pair = 0; pair < kPairs; ++pair) {
    const std::string path = fmt::format("{}/pair{}.jsonl", argv[1], pair);
    if (!write_pair(path, pair, lines / kPairs + kLinesPerBatchMax)) {
      fmt::print(stderr, "checker-generate: cannot write {}\n", path);
      return 1;
    }
  }
  return 0;
}
