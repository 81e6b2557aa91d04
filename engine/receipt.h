// ReceiptSealer: makes and checks receipts (millrace/message.h).
//
// The first 16 bytes of a receipt - shard and slot, queue, generation - are exactly one AES block.
// Encrypted under a 16-byte key, made once per data directory and kept in its catalog, they are a
// keyed pseudo-random function; its first 8 bytes are the MAC. The receipts of a batch are done in
// one call of OpenSSL's AES-128-ECB, which costs a few nanoseconds each where the processor has AES
// instructions; a keyed hash for short inputs costs ten times that. A check compares whole words,
// in the same time wherever they differ.
//
// Threads: one per shard; a sealer is used by one thread at a time.  Memory: OpenSSL's context.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "millrace/message.h"
#include "millrace/result.h"
#include "millrace/types.h"

struct evp_cipher_ctx_st;  // OpenSSL's EVP_CIPHER_CTX

namespace millrace::engine {

using ReceiptKey = std::array<unsigned char, 16>;

class ReceiptSealer {
 public:
  explicit ReceiptSealer(const ReceiptKey& key);
  ~ReceiptSealer();
  ReceiptSealer(const ReceiptSealer&) = delete;
  ReceiptSealer& operator=(const ReceiptSealer&) = delete;

  Receipt seal(QueueId queue, ShardId shard, Slot slot, uint32_t generation);
  // receipt_invalid unless the MAC is ours.
  Status check(const Receipt& receipt);

  // Fills the MAC of receipt_at(0) .. receipt_at(count - 1), each a Receipt& with all else set.
  template <class F>
  void seal_all(size_t count, F&& receipt_at) {
    for_stretches(count, receipt_at, [&](size_t i, uint64_t mac) { receipt_at(i).mac = mac; });
  }
  // Calls forged(i) for each const Receipt& receipt_at(i) whose MAC is not ours.
  template <class F, class G>
  void check_all(size_t count, F&& receipt_at, G&& forged) {
    for_stretches(count, receipt_at, [&](size_t i, uint64_t mac) {
      if (receipt_at(i).mac != mac) forged(i);
    });
  }

 private:
  static constexpr size_t kStretch = 64;
  struct Block {
    unsigned char bytes[16];
  };
  static_assert(offsetof(Receipt, mac) == sizeof(Block));
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };

  static Block block_of(const Receipt& receipt);
  // Encrypts the first `count` blocks in place.
  void encrypt(std::array<Block, kStretch>& blocks, size_t count);
  static uint64_t mac_of(const Block& encrypted);

  template <class F, class G>
  void for_stretches(size_t count, F& receipt_at, G&& take) {
    std::array<Block, kStretch> blocks;
    for (size_t done = 0; done < count; done += kStretch) {
      const size_t n = std::min(kStretch, count - done);
      for (size_t i = 0; i < n; ++i)
        blocks[i] = block_of(receipt_at(done + i));
      encrypt(blocks, n);
      for (size_t i = 0; i < n; ++i)
        take(done + i, mac_of(blocks[i]));
    }
  }

  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

constexpr uint64_t pack_shard_slot(ShardId shard, Slot slot) {
  return (uint64_t{raw(shard)} << 48) | raw(slot);
}
constexpr ShardId shard_of(uint64_t shard_slot) {
  return ShardId{static_cast<uint16_t>(shard_slot >> 48)};
}
constexpr Slot slot_of(uint64_t shard_slot) {
  return Slot{shard_slot & 0xFFFFFFFFFFFFULL};
}

}  // namespace millrace::engine
