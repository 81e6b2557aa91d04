// Who is known by which number, and who is forgotten.
#include "net/holders.h"

#include <gtest/gtest.h>

#include "millrace/engine.h"

namespace millrace::net {
namespace {

TEST(Holders, AConnectionIsKnownAndSaidToBeGoneOnceItIs) {
  Holders holders;
  const uint32_t one = holders.enter("127.0.0.1:1 one");
  const uint32_t other = holders.enter("127.0.0.1:2 other");
  EXPECT_NE(one, 0u);
  EXPECT_NE(one, other);
  EXPECT_EQ(holders.text(one), "127.0.0.1:1 one");
  holders.leave(one);
  EXPECT_EQ(holders.text(one), "127.0.0.1:1 one, gone");
  EXPECT_EQ(holders.text(other), "127.0.0.1:2 other");
}

TEST(Holders, WhoComesAgainUnderANameHasTheSameNumber) {
  Holders holders;
  const uint32_t one = holders.named("HTTP 10.0.0.7 KEY");
  EXPECT_EQ(holders.named("HTTP 10.0.0.7 KEY"), one);
  EXPECT_NE(holders.named("HTTP 10.0.0.8 KEY"), one);
  EXPECT_EQ(holders.text(one), "HTTP 10.0.0.7 KEY");
}

TEST(Holders, NumbersThatNobodyHasSaySo) {
  const Holders holders;
  EXPECT_EQ(holders.text(0), "somebody before the restart");
  EXPECT_EQ(holders.text(kMoveTaskHolder), "a move task");
  EXPECT_EQ(holders.text(17), "somebody forgotten");
}

TEST(Holders, OnlyWhoIsNotConnectedIsForgottenTheLongestGoneFirst) {
  Holders holders;
  const uint32_t connected = holders.enter("connected");
  const uint32_t gone = holders.enter("gone");
  holders.leave(gone);
  const uint32_t named = holders.named("named");
  for (size_t i = 0; i < Holders::kGoneMax - 2; ++i)
    holders.leave(holders.enter("another"));
  EXPECT_EQ(holders.text(gone), "gone, gone");
  holders.leave(holders.enter("another"));
  EXPECT_EQ(holders.text(gone), "somebody forgotten");
  EXPECT_EQ(holders.text(named), "named");
  holders.leave(holders.enter("another"));
  EXPECT_EQ(holders.text(named), "somebody forgotten");
  EXPECT_NE(holders.named("named"), named);
  EXPECT_EQ(holders.text(connected), "connected");
}

}  // namespace
}  // namespace millrace::net
