// SecretPages: pages of memory for secrets: left out of core dumps and of children, locked against
// swapping if the system allows it, wiped at the end.
//
// Threads: one, until everything is in it; then immutable.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::net {

class SecretPages {
 public:
  SecretPages() = default;
  ~SecretPages();
  SecretPages(const SecretPages&) = delete;
  SecretPages& operator=(const SecretPages&) = delete;

  // Once, before keep(): room for so many bytes. False if the system has none.
  bool reserve(size_t bytes);
  // The copy lives as long as this. There must be room.
  std::string_view keep(std::string_view secret);

 private:
  char* pages_ = nullptr;
  size_t size_ = 0;
  size_t used_ = 0;
};

}  // namespace millrace::net
