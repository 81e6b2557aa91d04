#include "tools/bench/sequence_check.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

constexpr uint32_t kRun = 77;

bool receive(SequenceCheck& check, uint32_t consumer, uint32_t producer, uint64_t sequence,
             uint32_t run = kRun) {
  const Stamp sent{run, producer, sequence, 0};
  Stamp seen{};
  return check.received(consumer, std::as_bytes(std::span(&sent, 1)), seen);
}

TEST(SequenceCheck, WhatWasAcknowledgedAndNotReceivedIsLost) {
  SequenceCheck check(kRun, 2, 1);
  check.acknowledged(0, 0, 130);
  check.acknowledged(1, 0, 1);
  for (uint64_t i = 0; i < 130; ++i)
    if (i != 64 && i != 129) {
      EXPECT_TRUE(receive(check, 0, 0, i));
    }
  EXPECT_EQ(check.lost(), 3u);
  EXPECT_EQ(check.duplicates(), 0u);
  EXPECT_EQ(check.out_of_order(), 0u);
}

TEST(SequenceCheck, AReceivedMessageThatWasNeverAcknowledgedIsNotLost) {
  SequenceCheck check(kRun, 1, 1);
  EXPECT_TRUE(receive(check, 0, 0, 5));
  EXPECT_EQ(check.lost(), 0u);
}

TEST(SequenceCheck, ASecondReceiptIsADuplicateWhoeverHasIt) {
  SequenceCheck check(kRun, 1, 2);
  EXPECT_TRUE(receive(check, 0, 0, 3));
  EXPECT_FALSE(receive(check, 1, 0, 3));
  EXPECT_FALSE(receive(check, 0, 0, 3));
  EXPECT_EQ(check.duplicates(), 2u);
}

TEST(SequenceCheck, OrderIsCountedPerProducerAndConsumer) {
  SequenceCheck check(kRun, 2, 2);
  receive(check, 0, 0, 10);
  receive(check, 1, 0, 5);  // another consumer
  receive(check, 0, 1, 5);  // another producer
  EXPECT_EQ(check.out_of_order(), 0u);
  receive(check, 0, 0, 9);
  EXPECT_EQ(check.out_of_order(), 1u);
}

TEST(SequenceCheck, MessagesOfOthersAreCountedApart) {
  SequenceCheck check(kRun, 1, 1);
  Stamp stamp{};
  EXPECT_FALSE(check.received(0, as_bytes("short"), stamp));
  EXPECT_FALSE(receive(check, 0, 0, 0, kRun + 1));
  EXPECT_FALSE(receive(check, 0, 9, 0));
  EXPECT_FALSE(receive(check, 0, 0, UINT64_MAX));
  EXPECT_EQ(check.foreign(), 4u);
  EXPECT_EQ(check.distinct_received(), 0u);
}

TEST(SequenceCheck, WithGroupsOrderIsCountedInEachWhoeverConsumes) {
  SequenceCheck check(kRun, 1, 2, 3);
  check.acknowledged(0, 0, 6);
  // Groups 0 1 2 0 1 2: the second group's later message comes first, by another consumer.
  for (const auto& [consumer, sequence] :
       {std::pair<uint32_t, uint64_t>{0, 2}, {1, 0}, {0, 4}, {1, 3}, {1, 1}, {0, 5}})
    EXPECT_TRUE(receive(check, consumer, 0, sequence));
  EXPECT_EQ(check.out_of_order(), 1u);
  EXPECT_EQ(check.lost(), 0u);
}

}  // namespace
}  // namespace millrace::tools
