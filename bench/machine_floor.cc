// machine_floor: what this machine gives to any program, so that a broker's figures can be read
// beside it: a message from core to core by a socket, there and back; bytes echoed without any
// work; a small write made durable; and for how long a thread that never sleeps is not run.
//
// No queue can be faster than these. Where two cores are those of a virtual machine, they differ
// from hour to hour by several times: run it in the same minute as what is compared.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
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

void print(const char* what, std::vector<double>& micros) {
  std::ranges::sort(micros);
  const auto at = [&](size_t permille) { return micros[micros.size() * permille / 1001]; };
  std::printf("%-46s p50 %7.0f   p99 %7.0f   p99.9 %7.0f   longest %7.0f us\n", what, at(500),
              at(990), at(999), micros.back());
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
          if ((w = ::write(fd, bytes.data() + done, static_cast<size_t>(n - done))) <= 0) return;
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
void ping_pong(bool spin) {
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
  print(spin ? "16 bytes there and back, the sender awake"
             : "16 bytes there and back, the sender asleep",
        micros);
}

// Batches of frames, a few under way, as a pipelined client would send them.
void echo() {
  EchoPair pair;
  constexpr size_t kBatch = kFrameBytes * kFramesPerWrite;
  constexpr size_t kUnderWay = 8 * kBatch;
  std::vector<char> bytes(1 << 20);
  const auto begin = Clock::now();
  uint64_t sent = 0;
  uint64_t back = 0;
  while (Clock::now() - begin < std::chrono::seconds(1)) {
    while (sent - back + kBatch <= kUnderWay) {
      if (::write(pair.fd(), bytes.data(), kBatch) != kBatch) std::abort();
      sent += kBatch;
    }
    const ssize_t n = ::read(pair.fd(), bytes.data(), bytes.size());
    if (n <= 0) std::abort();
    back += static_cast<uint64_t>(n);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("%-46s %.1f million a second\n", "128-byte frames echoed, 100 a write",
              static_cast<double>(back) / kFrameBytes / seconds / 1e6);
}

// In a file that was written once before: only data and a flush of the device.
void durable_write(const std::string& directory) {
  std::string name = directory + "/millrace-floor-XXXXXX";
  const int fd = ::mkstemp(name.data());
  if (fd < 0) {
    std::printf("cannot write to %s\n", directory.c_str());
    return;
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
  print("4 KiB written and made durable", micros);
}

// What a thread misses that only reads the clock: the time somebody else had its core.
void gaps(int core) {
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
  std::printf(
      "core %d, never asleep, is not run for             %.2f %% of the time in gaps above 100 us, "
      "longest %.0f us\n",
      core,
      100.0 * std::chrono::duration<double>(missed).count() /
          std::chrono::duration<double>(last - begin).count(),
      Micros(longest).count());
}

}  // namespace

int main(int argc, char** argv) {
  std::thread other([] { gaps(kServerCore); });
  gaps(kClientCore);
  other.join();
  ping_pong(false);
  ping_pong(true);
  echo();
  durable_write(argc > 1 ? argv[1] : "/var/tmp");
}
