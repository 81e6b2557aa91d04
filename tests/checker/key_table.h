// KeyTable: numbers the keys of a history 0, 1, 2... in order of first sight.
//
// Open addressing over 32-bit ids; the fingerprints live once, in a deque that never moves. 16
// bytes a key and 4 to 13 bytes of table: a std::unordered_map takes 64.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "tests/checker/fingerprint.h"

namespace millrace::checker {

class KeyTable {
 public:
  KeyTable() : slots_(1024, kFree) {}

  uint32_t id(std::string_view text) {
    const Fingerprint wanted = fingerprint(text);
    if (keys_.size() * 5 >= slots_.size() * 3) grow();
    const size_t slot = find(wanted);
    if (slots_[slot] != kFree) return slots_[slot];
    slots_[slot] = static_cast<uint32_t>(keys_.size());
    keys_.push_back(wanted);
    return slots_[slot];
  }
  bool is(uint32_t id, std::string_view text) const { return keys_[id] == fingerprint(text); }
  uint32_t size() const { return static_cast<uint32_t>(keys_.size()); }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  size_t find(const Fingerprint& wanted) const {
    size_t slot = wanted.low & (slots_.size() - 1);
    while (slots_[slot] != kFree && keys_[slots_[slot]] != wanted) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
  }
  void grow() {
    slots_.assign(slots_.size() * 2, kFree);
    for (uint32_t id = 0; id < size(); ++id)
      slots_[find(keys_[id])] = id;
  }

  std::deque<Fingerprint> keys_;
  std::vector<uint32_t> slots_;
};

}  // namespace millrace::checker
