#include "tools/bench/server_process.h"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace millrace::tools {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;
struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// The inode of a socket that listens on `port`; 0 if none does here.
uint64_t listening_inode(unsigned port) {
  constexpr unsigned kListen = 0x0A;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const File file(std::fopen(path, "r"));
    std::array<char, 512> line{};
    while (file && std::fgets(line.data(), line.size(), file.get()) != nullptr) {
      unsigned local_port = 0;
      unsigned state = 0;
      uint64_t inode = 0;
      const int found = std::sscanf(line.data(),
                                    " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s "
                                    "%" SCNu64,
                                    &local_port, &state, &inode);
      if (found == 3 && local_port == port && state == kListen) return inode;
    }
  }
  return 0;
}

bool holds_socket(const std::string& pid, uint64_t inode) {
  const std::string wanted = fmt::format("socket:[{}]", inode);
  const std::string folder = "/proc/" + pid + "/fd";
  const Directory open_files(::opendir(folder.c_str()));
  while (open_files) {
    const dirent* entry = ::readdir(open_files.get());
    if (entry == nullptr) break;
    std::array<char, 64> target{};
    const std::string link = folder + "/" + entry->d_name;
    if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0 && wanted == target.data())
      return true;
  }
  return false;
}

}  // namespace

int64_t find_server_process(std::string_view address, int connected_socket) {
  if (address.starts_with("unix:")) {
    ucred peer{};
    socklen_t bytes = sizeof peer;
    const bool known = ::getsockopt(connected_socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0;
    return known ? peer.pid : 0;
  }
  sockaddr_in here{};
  sockaddr_in there{};
  socklen_t bytes = sizeof here;
  if (::getsockname(connected_socket, reinterpret_cast<sockaddr*>(&here), &bytes) != 0) return 0;
  bytes = sizeof there;
  if (::getpeername(connected_socket, reinterpret_cast<sockaddr*>(&there), &bytes) != 0) return 0;
  // Both ends have one address only if both are on this machine.
  if (there.sin_family == AF_INET && here.sin_addr.s_addr != there.sin_addr.s_addr) return 0;
  const uint64_t inode = listening_inode(ntohs(there.sin_port));  // same place in sockaddr_in6
  const Directory processes(inode == 0 ? nullptr : ::opendir("/proc"));
  while (processes) {
    const dirent* entry = ::readdir(processes.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (holds_socket(entry->d_name, inode)) return std::strtoll(entry->d_name, nullptr, 10);
  }
  return 0;
}

std::optional<ProcessUse> process_use(int64_t pid) {
  if (pid <= 0) return std::nullopt;
  const File file(std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "r"));
  std::array<char, 1024> line{};
  if (!file || std::fgets(line.data(), line.size(), file.get()) == nullptr) return std::nullopt;
  // The name stands in parentheses and may hold anything, parentheses too.
  const char* after_name = std::strrchr(line.data(), ')');
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  if (after_name == nullptr ||
      std::sscanf(after_name + 2,
                  "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user_ticks,
                  &system_ticks) != 2)
    return std::nullopt;
  ProcessUse use;
  use.cpu_s =
      static_cast<double>(user_ticks + system_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const File status(std::fopen(fmt::format("/proc/{}/status", pid).c_str(), "r"));
  while (status && std::fgets(line.data(), line.size(), status.get()) != nullptr) {
    (void)std::sscanf(line.data(), "VmRSS: %" SCNu64, &use.rss_kb);
    (void)std::sscanf(line.data(), "RssAnon: %" SCNu64, &use.anon_kb);
  }
  return use;
}

}  // namespace millrace::tools
