// What an answer needs of its request, kept while the shard works: written when the request is
// taken, read once when the shard has replied.
//
//   keep(kept, digests);  keep_text(kept, id);            ... the shard replies ...
//   KeptReader reader(call.kept);  reader.take<Digests>();  reader.text();
//
// Threads: shard-local.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/assert.h"

namespace millrace::net {

template <class T>
void keep(std::string& kept, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  kept.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void keep_text(std::string& kept, std::string_view text) {
  keep(kept, static_cast<uint32_t>(text.size()));
  kept.append(text);
}

class KeptReader {
 public:
  explicit KeptReader(std::string_view kept) : rest_(kept) {}
  template <class T>
  T take() {
    MR_ASSERT(rest_.size() >= sizeof(T));
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view text() {
    const auto size = take<uint32_t>();
    MR_ASSERT(rest_.size() >= size);
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace millrace::net
