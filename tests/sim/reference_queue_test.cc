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
  reference_.ack_asked(1, 0, kNoPlace);
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
  reference_.ack_asked(1, 0, kNoPlace);
  reference_.ack_asked(1, 0, kNoPlace);
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
  reference_.extend_asked(1, 0, kNoPlace, 500, TimeMs{1010});
  EXPECT_EQ(reference_.extend_answered({.key = 1,
                                        .ok = true,
                                        .generation = 1,
                                        .visibility_ms = 500,
                                        .asked_at = TimeMs{1010},
                                        .event = 60},
                                       TimeMs{1010}),
            "");
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

// --- FIFO, deduplication, dead letters ---

class ReferenceFifoTest : public testing::Test {
 protected:
  ReferenceFifoTest() {
    dead_ = reference_.add_queue({.id = 1, .fifo = true});
    queue_ =
        reference_.add_queue({.id = 2, .fifo = true, .dead_letters = dead_, .receives_max = 2});
  }
  void asked(Key key, Key root = 0, int64_t at = 1000) {
    const DedupId id{.queue = queue_, .root = root == 0 ? key : root};
    reference_.send_asked(
        {.key = key, .queue = queue_, .body_hash = kHash, .group = 1, .id = id, .event = ++event_},
        TimeMs{at});
  }
  std::string sent(Key key, uint64_t place, Key root = 0, int64_t at = 1000) {
    asked(key, root, at);
    return reference_.send_answered(key, true, place, ++event_, TimeMs{at});
  }
  std::string delivered(Key key, uint64_t place, int64_t at, uint32_t count,
                        std::span<const Key> before = {}) {
    return reference_.delivered({.key = key,
                                 .queue = queue_,
                                 .body_hash = kHash,
                                 .receive_count = count,
                                 .visibility_ms = 100,
                                 .asked_at = TimeMs{at},
                                 .asked_event = ++event_,
                                 .place = place,
                                 .before = before,
                                 .event = ++event_},
                                TimeMs{at});
  }
  std::string delivered_dead(Key key, uint64_t origin, uint64_t place, int64_t at, uint32_t count) {
    const MovedFrom moved{origin, 2, 2, at};
    return reference_.delivered({.key = key,
                                 .queue = dead_,
                                 .body_hash = kHash,
                                 .receive_count = count,
                                 .visibility_ms = 100,
                                 .asked_at = TimeMs{at},
                                 .asked_event = ++event_,
                                 .place = place,
                                 .moved = &moved,
                                 .event = ++event_},
                                TimeMs{at});
  }
  std::string acked(Key key, uint32_t queue, uint64_t place, uint32_t generation, int64_t at) {
    reference_.ack_asked(key, queue, place);
    return reference_.ack_answered({.key = key,
                                    .queue = queue,
                                    .place = place,
                                    .ok = true,
                                    .generation = generation,
                                    .asked_event = event_,
                                    .event = ++event_},
                                   TimeMs{at});
  }
  ReferenceQueue reference_{true, true};
  uint32_t dead_ = 0, queue_ = 0;
  uint64_t event_ = 0;
};

TEST_F(ReferenceFifoTest, WhatOvertakesInAGroupIsNoticedAndWhatComesInOneAnswerIsNot) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(sent(2, 11), "");
  const Key before[] = {1};
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  EXPECT_EQ(delivered(2, 11, 1100, 1, before), "");
  EXPECT_NE(delivered(2, 11, 1300, 2), "");
}

TEST_F(ReferenceFifoTest, APlaceGivenTwiceAndOneThatFallsAreNoticed) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_NE(sent(2, 10), "");
  EXPECT_NE(sent(3, 9), "");
}

TEST_F(ReferenceFifoTest, ARepeatedIdIsOneMessageForFiveMinutes) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(sent(2, 10, 1, 300'999), "");
  EXPECT_NE(sent(3, 10, 1, 301'000), "");
  EXPECT_EQ(sent(4, 11, 1, 301'000), "");
  EXPECT_NE(sent(5, 12, 1, 302'000), "");
  EXPECT_NE(delivered(2, 13, 303'000, 1), "");
}

TEST_F(ReferenceFifoTest, AfterAPurgeAnIdIsNew) {
  EXPECT_EQ(sent(1, 10), "");
  const uint64_t purge = reference_.purge_asked(queue_, TimeMs{1001});
  reference_.purge_answered(purge, true, ++event_, TimeMs{1002});
  EXPECT_EQ(sent(2, 11, 1, 1003), "");
}

TEST_F(ReferenceFifoTest, TheFirstOfARepeatedIdMayBeOneThatACrashLeftOpen) {
  asked(1);
  reference_.crashed(true, true, ++event_, TimeMs{1001});
  EXPECT_EQ(sent(2, 10, 1, 1002), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  EXPECT_NE(delivered(2, 11, 1100, 1), "");
}

TEST_F(ReferenceFifoTest, ADuplicateOfWhatATaskTookAwayIsNotLost) {
  asked(1);
  reference_.crashed(true, true, ++event_, TimeMs{1001});
  reference_.move_asked(queue_, ++event_);
  const ReferenceQueue::Delivered elsewhere{.key = 1,
                                            .queue = dead_,
                                            .body_hash = kHash,
                                            .receive_count = 1,
                                            .asked_at = TimeMs{1100},
                                            .asked_event = ++event_,
                                            .place = 20,
                                            .sent_at = TimeMs{1050},
                                            .event = ++event_};
  EXPECT_EQ(reference_.delivered(elsewhere, TimeMs{1100}), "");
  EXPECT_EQ(acked(1, dead_, 20, 1, 1101), "");
  EXPECT_EQ(sent(2, 10, 1, 1200), "");  // the answer shows where 1 once was
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceFifoTest, ADuplicateOfWhatAPurgeMayHaveTakenIsNotLost) {
  asked(1);
  reference_.crashed(true, true, ++event_, TimeMs{1001});
  reference_.move_asked(queue_, ++event_);
  const uint64_t purge = reference_.purge_asked(dead_, TimeMs{1010});
  reference_.purge_answered(purge, true, ++event_, TimeMs{1011});
  EXPECT_EQ(sent(2, 10, 1, 1200), "");
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceFifoTest, ThePlaceOfWhatALieTookMayComeAgainForTheSameId) {
  EXPECT_EQ(sent(1, 10), "");
  reference_.syncs_lied(0);
  reference_.crashed(true, true, ++event_, TimeMs{1001});
  EXPECT_EQ(sent(2, 10, 1, 1200), "");
  EXPECT_EQ(delivered(2, 10, 1300, 1), "");
}

TEST_F(ReferenceFifoTest, ALeaseThatIsExtendedAndGivenAnewAtOnceMayEndWithEither) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  reference_.extend_asked(1, queue_, 10, 100, TimeMs{1100});
  reference_.repeat_asked(1, 1, 0, TimeMs{1100});
  EXPECT_EQ(reference_.extend_answered({.key = 1,
                                        .queue = queue_,
                                        .place = 10,
                                        .ok = true,
                                        .generation = 1,
                                        .visibility_ms = 100,
                                        .asked_at = TimeMs{1100},
                                        .event = ++event_},
                                       TimeMs{1101}),
            "");
  reference_.ack_asked(1, queue_, 10);
  const uint64_t asked = ++event_;
  EXPECT_EQ(reference_.ack_answered({.key = 1,
                                     .queue = queue_,
                                     .place = 10,
                                     .expired = true,
                                     .generation = 1,
                                     .asked_event = asked,
                                     .event = ++event_},
                                    TimeMs{1105}),
            "");
  EXPECT_EQ(delivered(1, 10, 1105, 2), "");
}

TEST_F(ReferenceFifoTest, AReceiptOfWhatALieTookMayBeAboutWhatHasItsPlaceNow) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  EXPECT_EQ(sent(2, 11), "");
  reference_.crashed(true, true, ++event_, TimeMs{1200});
  reference_.syncs_lied(0);
  EXPECT_EQ(sent(3, 10, 0, 2000), "");
  const auto extended_and_acked = [&](Key by, uint64_t place) {
    reference_.extend_asked(by, queue_, place, 0, TimeMs{2101});
    EXPECT_EQ(reference_.extend_answered({.key = by,
                                          .queue = queue_,
                                          .place = place,
                                          .ok = true,
                                          .generation = 1,
                                          .asked_at = TimeMs{2101},
                                          .event = ++event_},
                                         TimeMs{2101}),
              "");
    reference_.ack_asked(3, queue_, 10);
    const uint64_t asked = ++event_;
    return reference_.ack_answered({.key = 3,
                                    .queue = queue_,
                                    .place = 10,
                                    .expired = true,
                                    .generation = 1,
                                    .asked_event = asked,
                                    .event = ++event_},
                                   TimeMs{2102});
  };
  EXPECT_EQ(delivered(3, 10, 2100, 1), "");
  EXPECT_NE(extended_and_acked(2, 11), "");
  EXPECT_EQ(extended_and_acked(1, 10), "");
  EXPECT_EQ(delivered(3, 10, 2102, 2), "");
  EXPECT_EQ(acked(1, queue_, 10, 2, 2103), "");
  EXPECT_EQ(reference_.check_drained(TimeMs{3000}), "");
}

TEST_F(ReferenceFifoTest, DeadLettersComeAfterAsManyReceivesAsAllowedAndStay) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  EXPECT_EQ(delivered(1, 10, 1200, 2), "");
  EXPECT_NE(delivered(1, 10, 1300, 3), "");
  EXPECT_NE(delivered_dead(1, 10, 5, 1250, 3), "");  // its lease lasts
  EXPECT_NE(delivered_dead(1, 11, 5, 1300, 3), "");  // another message id
  EXPECT_EQ(delivered_dead(1, 10, 5, 1300, 3), "");
  EXPECT_NE(delivered(1, 10, 1400, 2), "");
  EXPECT_NE(delivered_dead(1, 10, 6, 1500, 4), "");  // arrived twice
}

TEST_F(ReferenceFifoTest, ADeadLetterThatCameTooEarlyIsNoticed) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  EXPECT_NE(delivered_dead(1, 10, 5, 1200, 2), "");
}

TEST_F(ReferenceFifoTest, AMessageThatIsCalledGoneTooEarlyIsNoticed) {
  EXPECT_EQ(sent(1, 10), "");
  EXPECT_EQ(delivered(1, 10, 1100, 1), "");
  reference_.extend_asked(1, queue_, kNoPlace, 500, TimeMs{1110});
  EXPECT_NE(reference_.extend_answered({.key = 1, .queue = queue_, .gone = true, .generation = 1},
                                       TimeMs{1110}),
            "");
}

}  // namespace
}  // namespace millrace::sim
