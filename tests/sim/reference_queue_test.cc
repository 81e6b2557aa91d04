// The reference itself must notice each kind of broken promise, and must not cry over what is
// allowed.
#include "tests/sim/reference_queue.h"

#include <gtest/gtest.h>

namespace millrace::sim {
namespace {

constexpr uint64_t kHash = 77;

class ReferenceQueueTest : public testing::Test {
 protected:
  void asked(Key key, uint32_t delay_ms = 0) {
    reference_.send_asked({.key = key, .body_hash = kHash, .delay_ms = delay_ms, .event = 1},
                          TimeMs{1000});
  }
  void sent(Key key, uint32_t delay_ms = 0) {
    asked(key, delay_ms);
    EXPECT_EQ(reference_.send_answered(key, true, kNoPlace, 2, TimeMs{1000}), "");
  }
  std::string delivered(Key key, int64_t at, uint32_t count, uint32_t visibility_ms = 100,
                        uint64_t event = 50) {
    return reference_.delivered({.key = key,
                                 .queue = 0,
                                 .body_hash = kHash,
                                 .receive_count = count,
                                 .visibility_ms = visibility_ms,
                                 .asked_at = TimeMs{at},
                                 .asked_event = event},
                                TimeMs{at});
  }
  ReferenceQueue reference_{true, true};
};

TEST_F(ReferenceQueueTest, ALostMessageIsNoticed) {
  sent(1);
  EXPECT_NE(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceQueueTest, AnUnansweredSendMayBeLostOrNot) {
  asked(1);
  reference_.crashed(true, true, 65, TimeMs{2000});
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
  EXPECT_EQ(delivered(1, 1000, 1), "");
}

TEST_F(ReferenceQueueTest, ADeliveredMessageMustStayEvenIfItsSendWasNeverAnswered) {
  asked(1);
  EXPECT_EQ(delivered(1, 1000, 1), "");
  reference_.crashed(true, true, 65, TimeMs{2000});
  EXPECT_NE(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceQueueTest, AcknowledgedIsFinal) {
  sent(1);
  EXPECT_EQ(delivered(1, 1000, 1), "");
  reference_.ack_asked(1, 0);
  EXPECT_EQ(
      reference_.ack_answered(
          {.key = 1, .ok = true, .generation = 1, .asked_event = 55, .event = 60}, TimeMs{1010}),
      "");
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
  reference_.crashed(true, true, 65, TimeMs{2000});
  EXPECT_NE(delivered(1, 5000, 2, 100, 70), "");
}

TEST_F(ReferenceQueueTest, OneOfTwoOpenAcksMayStillCount) {
  sent(1);
  EXPECT_EQ(delivered(1, 1000, 1, 0), "");
  EXPECT_EQ(delivered(1, 1001, 2, 0), "");
  reference_.ack_asked(1, 0);
  reference_.ack_asked(1, 0);
  EXPECT_EQ(reference_.ack_answered(
                {.key = 1, .expired = true, .generation = 1, .asked_event = 55, .event = 60},
                TimeMs{1002}),
            "");
  reference_.crashed(false, true, 65, TimeMs{2000});
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceQueueTest, TwoLeasesAtOnceAreNoticed) {
  sent(1);
  EXPECT_EQ(delivered(1, 1000, 1), "");
  EXPECT_NE(delivered(1, 1050, 2), "");
  EXPECT_EQ(delivered(1, 1100, 2), "");
}

TEST_F(ReferenceQueueTest, APowerLossMayEndALeaseAndLowerTheCountAKillMayNot) {
  sent(1);
  EXPECT_EQ(delivered(1, 1000, 1, 10'000), "");
  reference_.crashed(false, true, 65, TimeMs{2000});
  EXPECT_NE(delivered(1, 1010, 2), "");
  reference_.crashed(true, true, 65, TimeMs{2000});
  EXPECT_EQ(delivered(1, 1020, 1), "");
}

TEST_F(ReferenceQueueTest, ADelayIsKept) {
  sent(1, 300);
  EXPECT_NE(delivered(1, 1200, 1), "");
  EXPECT_EQ(delivered(1, 1300, 1), "");
}

TEST_F(ReferenceQueueTest, ReceiveCountsRiseByOne) {
  sent(1);
  EXPECT_NE(delivered(1, 1000, 2), "");
  EXPECT_EQ(delivered(1, 1000, 1, 0), "");
  EXPECT_NE(delivered(1, 1001, 1, 0), "");
  EXPECT_EQ(delivered(1, 1001, 2, 0), "");
}

TEST_F(ReferenceQueueTest, ForeignAndChangedBodiesAreNoticed) {
  sent(1);
  EXPECT_NE(delivered(2, 1000, 1), "");
  EXPECT_NE(reference_.delivered({.key = 1,
                                  .queue = 0,
                                  .body_hash = kHash + 1,
                                  .receive_count = 1,
                                  .visibility_ms = 0,
                                  .asked_at = TimeMs{1000},
                                  .asked_event = 1},
                                 TimeMs{1000}),
            "");
}

TEST_F(ReferenceQueueTest, PurgeTakesWhatWasSentBeforeAndNothingElse) {
  sent(1);
  const uint64_t purge = reference_.purge_asked(0, TimeMs{1000});
  sent(2);
  reference_.purge_answered(purge, true, 40, TimeMs{1000});
  EXPECT_NE(delivered(1, 1000, 1), "");
  EXPECT_EQ(delivered(2, 1000, 1), "");
}

TEST_F(ReferenceQueueTest, ExtendMovesTheEarliestNextDelivery) {
  sent(1);
  EXPECT_EQ(delivered(1, 1000, 1, 100), "");
  reference_.extend_asked(1, 0, 500, TimeMs{1010});
  reference_.extend_answered(1, 0, true, 1, 500, TimeMs{1010}, 60);
  EXPECT_NE(delivered(1, 1200, 2), "");
  EXPECT_EQ(delivered(1, 1510, 2), "");
}

TEST_F(ReferenceQueueTest, WhatWasSentBeforeASyncLiedMayBeLostAlsoOnceItWasDeliveredAgain) {
  sent(1);
  reference_.crashed(false, true, 65, TimeMs{2000});
  reference_.syncs_lied(0);
  sent(2);
  EXPECT_EQ(delivered(1, 1000, 1), "");
  EXPECT_EQ(reference_.bounds(0, TimeMs{1000}).at_least, 1u);
  EXPECT_EQ(reference_.bounds(0, TimeMs{1000}).at_most, 2u);
  EXPECT_NE(reference_.check_drained(TimeMs{3000}).find("key 2"), std::string::npos);
}

}  // namespace
}  // namespace millrace::sim
