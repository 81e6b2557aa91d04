// Answers that wait for the log, and those for whom nobody waits any more.
#include "engine/commit_queue.h"

#include <memory>

#include <gtest/gtest.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class Parking : public testing::Test {
 protected:
  using Level = CommitQueue::Level;

  void park(Level level, uint64_t end, RecordingSink& sink, uint64_t token) {
    queue_.park(level, {.end = {end}, .kind = Parked::Kind::send, .to = {&sink, token}});
  }
  void answer(uint64_t written, uint64_t durable) {
    queue_.answer({written}, {durable}, mailbox_, [](std::span<const Delivery>) {});
  }

  Mailroom room_{1};
  Mailbox mailbox_{room_, ShardId{0}};
  CommitQueue queue_;
  RecordingSink stays_;
  RecordingSink goes_;
};

TEST_F(Parking, ACanceledSinkHearsNothingOfWhatWasParked) {
  park(Level::durable, 10, goes_, 1);
  park(Level::durable, 20, stays_, 2);
  park(Level::durable, 30, goes_, 3);
  park(Level::written, 30, goes_, 4);
  queue_.cancel(&goes_);
  answer(30, 20);
  answer(30, 30);
  EXPECT_TRUE(goes_.sends.empty());
  EXPECT_TRUE(stays_.sends.contains(2));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(Parking, ASinkAtTheSameAddressHearsWhatIsParkedLater) {
  park(Level::durable, 10, goes_, 1);
  park(Level::durable, 15, stays_, 2);
  queue_.cancel(&goes_);
  park(Level::durable, 20, goes_, 3);
  park(Level::written, 20, goes_, 4);
  answer(20, 12);
  EXPECT_FALSE(goes_.sends.contains(1));
  EXPECT_TRUE(goes_.sends.contains(4));
  answer(20, 20);
  EXPECT_TRUE(goes_.sends.contains(3));
  park(Level::durable, 30, goes_, 5);
  queue_.cancel(&goes_);
  queue_.cancel(&goes_);
  answer(30, 30);
  EXPECT_FALSE(goes_.sends.contains(5));
}

// FIFO queues show leases when they are durable.
TEST_F(Parking, ACanceledReceiveThatWaitsForASyncIsGivenBack) {
  const auto park_receive = [&](RecordingSink& sink, size_t leases) {
    Parked parked{.end = {10}, .kind = Parked::Kind::receive, .to = {&sink, 1}};
    parked.mail = std::make_unique<Mail>();
    parked.mail->deliveries.resize(leases);
    queue_.park(Level::durable, std::move(parked));
  };
  park_receive(goes_, 3);
  park_receive(stays_, 0);
  queue_.cancel_receives({&goes_, 1});
  size_t given_back = 0;
  queue_.answer({10}, {10}, mailbox_,
                [&](std::span<const Delivery> leases) { given_back += leases.size(); });
  EXPECT_TRUE(goes_.receives.empty());
  EXPECT_EQ(stays_.receives.at(1).size(), 1u);
  EXPECT_EQ(given_back, 3u);
}

TEST_F(Parking, AFenceTellsAnotherShardOfNoLeaseThatWaitedForASync) {
  Parked parked{.end = {10}, .kind = Parked::Kind::mail, .mail_to = ShardId{0}};
  parked.mail = std::make_unique<Mail>();
  parked.mail->kind = MailKind::receive_answer;
  parked.mail->deliveries.resize(3);
  queue_.park(Level::durable, std::move(parked));
  queue_.fail_all(Errc::shard_fenced, mailbox_);
  mailbox_.flush();
  const MailPtr mail = mailbox_.take();
  ASSERT_NE(mail, nullptr);
  EXPECT_EQ(mail->error, Errc::shard_fenced);
  EXPECT_TRUE(mail->deliveries.empty());
}

TEST_F(Parking, AFenceDoesNotReachWhoIsGone) {
  park(Level::durable, 10, goes_, 1);
  park(Level::durable, 20, stays_, 2);
  queue_.cancel(&goes_);
  queue_.fail_all(Errc::shard_fenced, mailbox_);
  EXPECT_TRUE(goes_.sends.empty());
  EXPECT_EQ(stays_.sends.at(2).error, Errc::shard_fenced);
}

TEST_F(Parking, ManySinksComeAndGoWhileASyncIsOut) {
  std::vector<std::unique_ptr<RecordingSink>> sinks;
  uint64_t end = 0;
  for (int i = 0; i < 5000; ++i) {
    sinks.push_back(std::make_unique<RecordingSink>());
    park(Level::durable, ++end, *sinks.back(), 1);
    if (i % 2 == 0) queue_.cancel(sinks.back().get());
    if (i % 7 == 0) answer(end, end / 2);
  }
  answer(end, end);
  for (size_t i = 0; i < sinks.size(); ++i)
    EXPECT_EQ(sinks[i]->sends.size(), i % 2) << i;
}

}  // namespace
}  // namespace millrace::engine
