#include "engine/receipt.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

constexpr ReceiptKey kKey = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr QueueId kQueue{7};
constexpr ShardId kShard{3};
constexpr Slot kSlot{0xABCDEF012345};

Receipt sealed() {
  return ReceiptSealer(kKey).seal(kQueue, kShard, kSlot, 2);
}

TEST(Receipt, IsAnAddressAndAGeneration) {
  const Receipt receipt = sealed();
  EXPECT_EQ(shard_of(receipt.shard_slot), kShard);
  EXPECT_EQ(slot_of(receipt.shard_slot), kSlot);
  EXPECT_EQ(receipt.queue_id, raw(kQueue));
  EXPECT_EQ(receipt.generation, 2u);
}

TEST(Receipt, ShardAndSlotPackToTheirLimits) {
  constexpr Slot kLast{(uint64_t{1} << 48) - 1};
  constexpr uint64_t packed = pack_shard_slot(ShardId{UINT16_MAX}, kLast);
  EXPECT_EQ(packed, UINT64_MAX);
  EXPECT_EQ(slot_of(packed), kLast);
  EXPECT_EQ(shard_of(pack_shard_slot(ShardId{0}, kLast)), ShardId{0});
}

TEST(Receipt, MacIsTheExampleVectorOfAes128) {
  // FIPS 197, appendix C.1: plaintext 00 11 22 ... ff, ciphertext 69 c4 e0 d8 6a 7b 04 30 ...
  const Receipt receipt = ReceiptSealer(kKey).seal(QueueId{0xBBAA9988}, ShardId{0x7766},
                                                   Slot{0x554433221100}, 0xFFEEDDCC);
  EXPECT_EQ(receipt.mac, 0x30047B6AD8E0C469u);
}

TEST(Receipt, OfABatchIsThatOfEachAlone) {
  ReceiptSealer sealer(kKey);
  std::vector<Receipt> batch;
  for (uint32_t i = 0; i < 1'000; ++i)
    batch.push_back({pack_shard_slot(kShard, kSlot + i), raw(kQueue), i % 3 + 1, 0});
  for (const uint32_t count : {0u, 1u, 63u, 64u, 65u, 1'000u}) {
    sealer.seal_all(count, [&](size_t i) -> Receipt& { return batch[i]; });
    for (uint32_t i = 0; i < count; ++i)
      EXPECT_EQ(batch[i].mac, sealer.seal(kQueue, kShard, kSlot + i, i % 3 + 1).mac) << i;
  }
  batch[64].mac ^= 1;
  batch[999].generation ^= 1;
  std::vector<size_t> forged;
  sealer.check_all(
      batch.size(), [&](size_t i) -> const Receipt& { return batch[i]; },
      [&](size_t i) { forged.push_back(i); });
  EXPECT_EQ(forged, (std::vector<size_t>{64, 999}));
}

TEST(Receipt, IsGoodForAnySealerWithTheSameKey) {
  EXPECT_TRUE(ReceiptSealer(kKey).check(sealed()));
}

TEST(Receipt, IsInvalidUnderAnyOtherKey) {
  for (size_t byte = 0; byte < kKey.size(); ++byte) {
    ReceiptKey other = kKey;
    other[byte] ^= 0x10;
    EXPECT_EQ(ReceiptSealer(other).check(sealed()).error(), Errc::receipt_invalid) << byte;
  }
}

TEST(Receipt, IsInvalidWithAnyOneBitChanged) {
  ReceiptSealer sealer(kKey);
  for (size_t bit = 0; bit < sizeof(Receipt) * 8; ++bit) {
    unsigned char bytes[sizeof(Receipt)];
    const Receipt good = sealed();
    std::memcpy(bytes, &good, sizeof good);
    bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ 1u << (bit % 8));
    Receipt bad;
    std::memcpy(&bad, bytes, sizeof bad);
    EXPECT_EQ(sealer.check(bad).error(), Errc::receipt_invalid) << "bit " << bit;
  }
}

TEST(Receipt, CannotBeMovedToAnotherQueueShardSlotOrLease) {
  ReceiptSealer sealer(kKey);
  const auto with_the_mac_of_the_first = [](Receipt receipt) {
    receipt.mac = sealed().mac;
    return receipt;
  };
  const Receipt moved[] = {
      with_the_mac_of_the_first(sealer.seal(QueueId{8}, kShard, kSlot, 2)),
      with_the_mac_of_the_first(sealer.seal(kQueue, ShardId{4}, kSlot, 2)),
      with_the_mac_of_the_first(sealer.seal(kQueue, kShard, kSlot + 1, 2)),
      with_the_mac_of_the_first(sealer.seal(kQueue, kShard, kSlot, 3)),
  };
  for (const Receipt& receipt : moved) {
    EXPECT_EQ(sealer.check(receipt).error(), Errc::receipt_invalid) << &receipt - moved;
  }
}

TEST(Receipt, OfZerosIsInvalid) {
  EXPECT_FALSE(ReceiptSealer(kKey).check(Receipt{}));
}

}  // namespace
}  // namespace millrace::engine
