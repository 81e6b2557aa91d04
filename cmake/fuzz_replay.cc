// Replays a fuzzer's corpus without libFuzzer: every file under the folders named, then each file
// cut short and with bytes damaged, from a fixed seed. It finds nothing a fuzzer would not, but it
// runs in every build, with any compiler, and always does the same.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kCutsPerFile = 256;
constexpr size_t kDamagesPerFile = 512;
constexpr size_t kNoiseInputs = 2000;
constexpr size_t kNoiseBytesMax = 512;

using Input = std::vector<uint8_t>;

class Random {
 public:
  // xorshift64*: the inputs need variety, not quality.
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }

 private:
  uint64_t state_ = 0x6D696C6C72616365ULL;
};

size_t runs = 0;

void run(const Input& input) {
  // A copy of the exact size, so that a sanitizer sees a read past the end.
  const Input exact(input);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  ++runs;
}

void run_damaged(const Input& whole, Random& random) {
  run(whole);
  if (whole.empty()) return;
  for (size_t i = 0; i < std::min(whole.size(), kCutsPerFile); ++i) {
    const size_t keep = whole.size() <= kCutsPerFile ? i : random.below(whole.size());
    run(Input(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(keep)));
  }
  for (size_t i = 0; i < kDamagesPerFile; ++i) {
    Input damaged = whole;
    for (size_t hits = 1 + random.below(4); hits > 0; --hits) {
      damaged[random.below(damaged.size())] = static_cast<uint8_t>(random.next());
    }
    run(damaged);
  }
}

Input read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

}  // namespace

int main(int argc, char** argv) {
  Random random;
  run({});
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) {
      std::fprintf(stderr, "no corpus files in %s\n", argv[i]);
      return 1;
    }
    for (const auto& file : files) run_damaged(read_file(file), random);
  }
  for (size_t i = 0; i < kNoiseInputs; ++i) {
    Input noise(random.below(kNoiseBytesMax));
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random.next());
    run(noise);
  }
  std::printf("%zu inputs\n", runs);
  return 0;
}
