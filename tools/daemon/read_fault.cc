#include "tools/daemon/read_fault.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <string_view>
#include <unistd.h>

#include "storage/mapped_files.h"

namespace millrace::tools {
namespace {

int g_exit_code = 0;
std::atomic<bool> g_told{false};

// A line put together without memory or locks; what does not fit is left out.
class Line {
 public:
  void add(std::string_view text) {
    const size_t bytes = std::min(text.size(), bytes_.size() - used_);
    std::memcpy(bytes_.data() + used_, text.data(), bytes);
    used_ += bytes;
  }
  void add(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    add(std::string_view(digits + at, sizeof digits - at));
  }
  // The file that a descriptor stands for.
  void add_path(int fd) {
    Line link;
    link.add("/proc/self/fd/");
    link.add(static_cast<uint64_t>(fd));
    link.add(std::string_view("\0", 1));
    const ssize_t n = ::readlink(link.bytes_.data(), bytes_.data() + used_, bytes_.size() - used_);
    if (n > 0) {
      used_ += static_cast<size_t>(n);
    } else {
      add("a file of the data directory");
    }
  }
  void write() const { (void)!::write(STDERR_FILENO, bytes_.data(), used_); }

 private:
  std::array<char, 1024> bytes_;
  size_t used_ = 0;
};

void on_bus_error(int, siginfo_t* info, void*) {
  const bool unreadable = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR ||
                          info->si_code == BUS_MCEERR_AO;
  const auto found =
      unreadable ? storage::MappedFiles::of_process().find(info->si_addr) : std::nullopt;
  if (!found) {
    // Not ours to explain: the instruction runs again, and meets the default action.
    std::signal(SIGBUS, SIG_DFL);
    return;
  }
  // Another thread that meets the same waits for the end of the process.
  while (g_told.exchange(true))
    ::pause();
  Line line;
  line.add("millraced: ");
  line.add_path(found->fd);
  line.add(" can't be read at offset ");
  line.add(found->offset);
  line.add(
      ": the disk failed, or the file was cut short. Nothing more is acknowledged. Look at the "
      "disk, then start again: what is really there will be read\n");
  line.write();
  ::_exit(g_exit_code);
}

}  // namespace

void handle_read_faults(int exit_code) {
  g_exit_code = exit_code;
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace millrace::tools
