#include "storage/mapped_files.h"

namespace millrace::storage {

MappedFiles& MappedFiles::of_process() {
  static constinit MappedFiles files;  // zeros until used: pages that nobody maps cost nothing
  return files;
}

void MappedFiles::add(Bytes map, int fd) {
  for (Place& place : places_) {
    if (place.begin.load(std::memory_order_relaxed) != kFree) continue;
    uintptr_t expected = kFree;
    if (!place.begin.compare_exchange_strong(expected, kClaimed)) continue;
    place.bytes.store(map.size());
    place.fd.store(fd);
    place.begin.store(reinterpret_cast<uintptr_t>(map.data()));
    return;
  }
}

void MappedFiles::remove(const std::byte* begin) {
  for (Place& place : places_) {
    if (place.begin.load() != reinterpret_cast<uintptr_t>(begin)) continue;
    place.begin.store(kFree);
    return;
  }
}

std::optional<MappedFiles::Found> MappedFiles::find(const void* address) const {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  for (const Place& place : places_) {
    const uintptr_t begin = place.begin.load();
    if (begin == kFree || begin == kClaimed) continue;
    if (wanted < begin || wanted - begin >= place.bytes.load()) continue;
    return Found{place.fd.load(), wanted - begin};
  }
  return std::nullopt;
}

}  // namespace millrace::storage
