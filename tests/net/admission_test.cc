// Who may connect.
#include "net/admission.h"

#include <gtest/gtest.h>

namespace millrace::net::test {
namespace {

Peer peer_at(uint8_t first, uint8_t last) {
  Peer peer;
  peer.local = false;
  peer.address[0] = first;
  peer.address[3] = last;
  return peer;
}

TEST(Admission, CountsWhoHasNotLoggedInByAddress) {
  Limits limits;
  limits.connections_max = 7;
  limits.prelogin_per_address_max = 2;
  Admission admission(limits);
  const Peer one = peer_at(10, 1);
  const Peer other = peer_at(10, 2);
  EXPECT_EQ(admission.enter(one, false), "");
  EXPECT_EQ(admission.enter(one, false), "");
  Peer again = one;
  again.port = 40'112;
  EXPECT_EQ(admission.enter(again, false), "2 connections of this address have not logged in yet");
  EXPECT_EQ(admission.enter(other, false), "");
  admission.logged_in(one);
  EXPECT_EQ(admission.enter(one, false), "");
  admission.leave(one, false);
  EXPECT_EQ(admission.enter(one, false), "");
  // Those who count as logged in from the start are bounded only in all.
  EXPECT_EQ(admission.enter(one, true), "");
  EXPECT_EQ(admission.enter(one, true), "");
  EXPECT_EQ(admission.enter(other, true), "");
  EXPECT_EQ(admission.connections(), 7u);
  EXPECT_EQ(admission.enter(other, true), "7 connections are open, as many as this server takes");
  admission.leave(one, true);
  EXPECT_EQ(admission.enter(Peer(), false), "");
}

TEST(Admission, TellsLoopbackAddresses) {
  EXPECT_TRUE(peer_at(127, 1).loopback());
  EXPECT_EQ(peer_at(127, 1).text(), "127.0.0.1");
  EXPECT_FALSE(peer_at(10, 1).loopback());
  Peer six;
  six.local = false;
  six.six = true;
  six.address[15] = 1;
  EXPECT_TRUE(six.loopback());
  EXPECT_EQ(six.text(), "::1");
  six.address[0] = 0x20;
  EXPECT_FALSE(six.loopback());
  EXPECT_FALSE(Peer().loopback());
  EXPECT_EQ(Peer().text(), "");
}

TEST(Admission, NamesAPeerWithItsPortOrItsProcess) {
  Peer peer = peer_at(10, 1);
  peer.port = 40'112;
  EXPECT_EQ(peer.name(), "10.0.0.1:40112");
  peer.six = true;
  peer.address = {};
  peer.address[15] = 1;
  EXPECT_EQ(peer.name(), "[::1]:40112");
  Peer local;
  local.port = 4'242;
  EXPECT_EQ(local.name(), "process 4242");
}

}  // namespace
}  // namespace millrace::net::test
