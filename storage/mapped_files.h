// MappedFiles: which file lies where in the process's memory, for a handler of SIGBUS.
//
// Reading a mapped page that the disk cannot give, or that was cut off the file, is no error code
// but that signal (promises a15). The library leaves signals to the program that embeds it; a
// program that wants to say which file it was installs a handler and asks here.
//
// Threads: add() and remove() any; find() also in a signal handler: no lock, no memory, no call.
// What is being added or removed meanwhile may be missed.   Memory: fixed; what is mapped while the
// table is full is not found.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/types.h"

namespace millrace::storage {

class MappedFiles {
 public:
  static constexpr size_t kPlaces = 1 << 14;  // a directory of 1 TiB in segments of 64 MiB

  struct Found {
    int fd;  // open as long as it is mapped
    uint64_t offset;
  };

  // The process's; disks tell it all that they map.
  static MappedFiles& of_process();

  // Of [0, map.size()) of the file that `fd` is, until remove().
  void add(Bytes map, int fd);
  void remove(const std::byte* begin);
  std::optional<Found> find(const void* address) const;

 private:
  // Free, claimed by an add() under way, or the address of the first byte.
  static constexpr uintptr_t kFree = 0;
  static constexpr uintptr_t kClaimed = 1;
  struct Place {
    std::atomic<uintptr_t> begin{kFree};
    std::atomic<size_t> bytes{0};
    std::atomic<int> fd{0};
  };

  std::array<Place, kPlaces> places_;
};

}  // namespace millrace::storage
