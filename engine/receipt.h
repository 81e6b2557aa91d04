// ReceiptSealer: makes and checks receipts (millrace/message.h). The MAC is SipHash-2-4 (libsodium crypto_shorthash) under a
// 16-byte key made once per data directory and kept in its catalog. Checking compares in constant time.
//
// Threads: immutable after construction; one per shard for locality.
#pragma once

#include <array>
#include <cstdint>

#include "millrace/message.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::engine {

using ReceiptKey = std::array<unsigned char, 16>;

class ReceiptSealer {
 public:
  explicit ReceiptSealer(const ReceiptKey& key) : key_(key) {}
  Receipt seal(QueueId queue, ShardId shard, Slot slot, uint32_t generation) const;
  // receipt_invalid unless the MAC is ours.
  Status check(const Receipt& receipt) const;

 private:
  ReceiptKey key_;
};

constexpr uint64_t pack_shard_slot(ShardId shard, Slot slot) { return (uint64_t{raw(shard)} << 48) | raw(slot); }
constexpr ShardId shard_of(uint64_t shard_slot) { return ShardId{static_cast<uint16_t>(shard_slot >> 48)}; }
constexpr Slot slot_of(uint64_t shard_slot) { return Slot{shard_slot & 0xFFFFFFFFFFFFULL}; }

}  // namespace millrace::engine
