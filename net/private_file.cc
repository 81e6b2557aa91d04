#include "net/private_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace millrace::net {

std::optional<std::string> read_private_file(const std::string& path, size_t bytes_max,
                                             std::string* why, Links links) {
  const auto refuse = [&](std::string_view text) {
    *why = fmt::format("{}: {}", path, text);
    return std::nullopt;
  };
  // Not to hang in the opening of a named pipe.
  const int file = ::open(
      path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::refused ? O_NOFOLLOW : 0));
  if (file < 0)
    return refuse(errno == ELOOP && links == Links::refused ? "it is a link, which is not followed"
                                                            : std::strerror(errno));
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } const closer{file};
  struct stat status {};
  if (::fstat(file, &status) != 0) return refuse(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return refuse("it is not a file");
  if ((status.st_mode & 077) != 0)
    return refuse(fmt::format("others may read or change it (mode {:04o}); chmod 600 it",
                              status.st_mode & 07777));
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    return refuse("it belongs to another user");
  if (static_cast<uint64_t>(status.st_size) > bytes_max)
    return refuse(fmt::format("it has more than {} bytes", bytes_max));
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file, text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refuse(std::strerror(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

}  // namespace millrace::net
