#include "engine/receipt.h"

#include <sodium.h>

namespace millrace::engine {
namespace {

uint64_t mac_of(const Receipt& receipt, const ReceiptKey& key) {
  static_assert(crypto_shorthash_KEYBYTES == sizeof(ReceiptKey));
  static_assert(crypto_shorthash_BYTES == sizeof receipt.mac);
  unsigned char mac[crypto_shorthash_BYTES];
  crypto_shorthash(mac, reinterpret_cast<const unsigned char*>(&receipt), offsetof(Receipt, mac),
                   key.data());
  return std::bit_cast<uint64_t>(mac);
}

}  // namespace

Receipt ReceiptSealer::seal(QueueId queue, ShardId shard, Slot slot, uint32_t generation) const {
  Receipt receipt{pack_shard_slot(shard, slot), raw(queue), generation, 0};
  receipt.mac = mac_of(receipt, key_);
  return receipt;
}

Status ReceiptSealer::check(const Receipt& receipt) const {
  const uint64_t mac = mac_of(receipt, key_);
  if (sodium_memcmp(&mac, &receipt.mac, sizeof mac) != 0) return fail(Errc::receipt_invalid);
  return {};
}

}  // namespace millrace::engine
