// machine_floor: what this machine gives to any program, so that a broker's figures can be read
// beside it: a message from core to core by a socket, there and back; bytes echoed without any
// work; a small write made durable; and for how long a thread that never sleeps is not run.
//
// No queue can be faster than these. Where two cores are those of a virtual machine, they differ
// from hour to hour by several times: run it in the same minute as what is compared.
//
//   machine_floor [--json] [DIRECTORY]     DIRECTORY: where the durable writes go
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Micros = std::chrono::duration<double, std::micro>;

constexpr int kServerCore = 0;
constexpr int kClientCore = 1;
constexpr size_t kFrameBytes = 128;
constexpr size_t kFramesPerWrite = 100;

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  (void)::sched_setaffinity(0, sizeof set, &set);  // one core only: then they share it
}

struct Spread {
  explicit Spread(std::vector<double> micros) {
    std::ranges::sort(micros);
    const auto at = [&](size_t permille) { return micros[micros.size() * permille / 1001]; };
    p50 = at(500), p99 = at(990), p999 = at(999), longest = micros.back();
  }
  double p50, p99, p999, longest;
};

struct Gaps {
  double share = 0;  // of the time
  double longest_us = 0;
};

struct Floor {
  std::array<Gaps, 2> gaps;  // by core
  Spread asleep;
  Spread awake;
  double frames_per_s = 0;
  Spread durable;
};

void print(const char* what, const Spread& spread) {
  std::printf("%-46s p50 %7.0f   p99 %7.0f   p99.9 %7.0f   longest %7.0f us\n", what, spread.p50,
              spread.p99, spread.p999, spread.longest);
}

void print(const Floor& floor) {
  for (size_t core = 0; core < floor.gaps.size(); ++core)
    std::printf(
        "core %zu, never asleep, is not run for             %.2f %% of the time in gaps above 100 "
        "us, "
        "longest %.0f us\n",
        core, 100 * floor.gaps[core].share, floor.gaps[core].longest_us);
  print("16 bytes there and back, the sender asleep", floor.asleep);
  print("16 bytes there and back, the sender awake", floor.awake);
  std::printf("%-46s %.1f million a second\n", "128-byte frames echoed, 100 a write",
              floor.frames_per_s / 1e6);
  print("4 KiB written and made durable", floor.durable);
}

void print_json(const Floor& floor) {
  const auto spread = [](const char* name, const Spread& s) {
    std::printf(R"("%s_us":{"p50":%.1f,"p99":%.1f,"p999":%.1f,"longest":%.1f},)", name, s.p50,
                s.p99, s.p999, s.longest);
  };
  std::printf("{");
  spread("asleep", floor.asleep);
  spread("awake", floor.awake);
  spread("durable", floor.durable);
  std::printf(R"("frames_per_s":%.0f,"stolen":[%.5f,%.5f],"longest_gap_us":[%.1f,%.1f]})"
              "\n",
              floor.frames_per_s, floor.gaps[0].share, floor.gaps[1].share,
              floor.gaps[0].longest_us, floor.gaps[1].longest_us);
}

// Two ends of a stream socket; what one writes is answered by a thread on the other core with as
// many bytes.
class EchoPair {
 public:
  EchoPair() {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) != 0) std::abort();
    thread_ = std::thread([fd = ends_[1]] {
      pin(kServerCore);
      std::vector<char> bytes(1 << 20);
      for (ssize_t n = 0; (n = ::read(fd, bytes.data(), bytes.size())) > 0;)
        for (ssize_t done = 0, w = 0; done < n; done += w)
          if ((w = ::send(fd, bytes.data() + done, static_cast<size_t>(n - done), MSG_NOSIGNAL)) <=
              0)
            return;
    });
  }
  ~EchoPair() {
    ::shutdown(ends_[0], SHUT_RDWR);
    thread_.join();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  EchoPair(const EchoPair&) = delete;
  EchoPair& operator=(const EchoPair&) = delete;
  int fd() const { return ends_[0]; }

 private:
  std::array<int, 2> ends_{};
  std::thread thread_;
};

// 16 bytes there and back every 50 us, as an open loop of 20,000 messages a second would.
Spread ping_pong(bool spin) {
  EchoPair pair;
  std::vector<double> micros;
  for (int i = 0; i < 20'000; ++i) {
    const auto due = Clock::now() + std::chrono::microseconds(50);
    if (spin) {
      while (Clock::now() < due) {
      }
    } else {
      std::this_thread::sleep_until(due);
    }
    std::array<char, 16> bytes{};
    if (::write(pair.fd(), bytes.data(), bytes.size()) != 16) std::abort();
    if (::read(pair.fd(), bytes.data(), bytes.size()) != 16) std::abort();
    micros.push_back(Micros(Clock::now() - due).count());
  }
  return Spread(std::move(micros));
}

// Batches of frames, a few under way, as a pipelined client would send them.
double frames_echoed() {
  EchoPair pair;
  constexpr size_t kBatch = kFrameBytes * kFramesPerWrite;
  constexpr size_t kUnderWay = 8 * kBatch;
  std::vector<char> bytes(1 << 20);
  const auto begin = Clock::now();
  uint64_t sent = 0;
  uint64_t back = 0;
  while (Clock::now() - begin < std::chrono::seconds(1)) {
    // What the socket does not take now goes later: two who both wait to write wait for ever.
    while (sent - back + kBatch <= kUnderWay) {
      const ssize_t went = ::send(pair.fd(), bytes.data(), kBatch, MSG_DONTWAIT);
      if (went < 0 && errno != EAGAIN) std::abort();
      if (went > 0) sent += static_cast<uint64_t>(went);
      if (went != kBatch) break;
    }
    if (sent == back) continue;
    const ssize_t n = ::read(pair.fd(), bytes.data(), bytes.size());
    if (n <= 0) std::abort();
    back += static_cast<uint64_t>(n);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return static_cast<double>(back) / kFrameBytes / seconds;
}

// In a file that was written once before: only data and a flush of the device.
Spread durable_write(const std::string& directory) {
  std::string name = directory + "/millrace-floor-XXXXXX";
  const int fd = ::mkstemp(name.data());
  if (fd < 0) {
    std::fprintf(stderr, "machine_floor: cannot write to %s\n", directory.c_str());
    std::exit(1);
  }
  ::unlink(name.c_str());
  const std::vector<char> bytes(8 << 20);
  if (::write(fd, bytes.data(), bytes.size()) < 0 || ::fsync(fd) != 0) std::abort();
  std::vector<double> micros;
  for (off_t i = 0; i < 1000; ++i) {
    const auto begin = Clock::now();
    if (::pwrite(fd, bytes.data(), 4096, i * 4096) != 4096 || ::fdatasync(fd) != 0) std::abort();
    micros.push_back(Micros(Clock::now() - begin).count());
  }
  ::close(fd);
  return Spread(std::move(micros));
}

// What a thread misses that only reads the clock: the time somebody else had its core.
Gaps gaps(int core) {
  pin(core);
  const auto begin = Clock::now();
  auto last = begin;
  Clock::duration missed{};
  Clock::duration longest{};
  while (last - begin < std::chrono::seconds(2)) {
    const auto now = Clock::now();
    if (now - last > std::chrono::microseconds(100)) missed += now - last;
    longest = std::max(longest, now - last);
    last = now;
  }
  return {std::chrono::duration<double>(missed).count() /
              std::chrono::duration<double>(last - begin).count(),
          Micros(longest).count()};
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  const char* directory = argc > 1 + json ? argv[1 + json] : "/var/tmp";
  std::array<Gaps, 2> both;
  std::thread other([&] { both[kServerCore] = gaps(kServerCore); });
  both[kClientCore] = gaps(kClientCore);
  other.join();
  const Floor floor{both, ping_pong(false), ping_pong(true), frames_echoed(),
                    durable_write(directory)};
  json ? print_json(floor) : print(floor);
}
