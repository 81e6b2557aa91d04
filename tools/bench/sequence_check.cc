#include "tools/bench/sequence_check.h"

#include <algorithm>
#include <bit>

namespace millrace::tools {
namespace {

// A stamp is from outside; nothing may grow without bound because of one.
constexpr uint64_t kSequenceMax = uint64_t{1} << 36;

}  // namespace

SequenceCheck::SequenceCheck(uint32_t run, uint32_t producers, uint32_t consumers, uint32_t groups)
    : run_(run),
      consumers_(consumers),
      groups_(groups),
      acknowledged_(producers),
      seen_(producers),
      next_(size_t{producers} * (groups > 0 ? groups : consumers)) {}

void SequenceCheck::reach(Bits& bits, uint64_t number) {
  const size_t words = static_cast<size_t>(number / 64 + 1);
  if (bits.size() < words) bits.resize(std::max(words, bits.size() * 2));
}

void SequenceCheck::acknowledged(uint32_t producer, uint64_t first, uint32_t count) {
  Bits& bits = acknowledged_[producer];
  reach(bits, first + count);
  for (uint64_t number = first; number < first + count; ++number)
    bits[number / 64] |= uint64_t{1} << number % 64;
}

bool SequenceCheck::received(uint32_t consumer, Bytes body, Stamp& stamp) {
  if (body.size() < sizeof stamp) {
    ++foreign_;
    return false;
  }
  std::memcpy(&stamp, body.data(), sizeof stamp);
  if (stamp.run != run_ || stamp.producer >= seen_.size() || stamp.sequence > kSequenceMax) {
    stamp = {};
    ++foreign_;
    return false;
  }
  Bits& bits = seen_[stamp.producer];
  reach(bits, stamp.sequence);
  uint64_t& word = bits[stamp.sequence / 64];
  const uint64_t bit = uint64_t{1} << stamp.sequence % 64;
  if ((word & bit) != 0) {
    ++duplicates_;
    return false;
  }
  word |= bit;
  uint64_t& next = groups_ > 0 ? next_[size_t{stamp.producer} * groups_ + stamp.sequence % groups_]
                               : next_[size_t{stamp.producer} * consumers_ + consumer];
  if (stamp.sequence < next)
    ++out_of_order_;
  else
    next = stamp.sequence + 1;
  ++received_;
  return true;
}

uint64_t SequenceCheck::lost() const {
  uint64_t lost = 0;
  for (size_t producer = 0; producer < acknowledged_.size(); ++producer) {
    const Bits& acknowledged = acknowledged_[producer];
    const Bits& seen = seen_[producer];
    for (size_t word = 0; word < acknowledged.size(); ++word)
      lost += static_cast<uint64_t>(
          std::popcount(acknowledged[word] & ~(word < seen.size() ? seen[word] : 0)));
  }
  return lost;
}

}  // namespace millrace::tools
