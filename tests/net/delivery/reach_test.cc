// Who may be reached: what was said, and never this machine or its network by another name for it.
#include "net/delivery/reach.h"

#include <gtest/gtest.h>

#include "tests/net/delivery/tiny_server.h"

namespace millrace::net::delivery {
namespace {

bool allows(const Reach& reach, std::string_view host, std::string_view address) {
  const auto parsed = parse_ip(address);
  EXPECT_TRUE(parsed) << address;
  return parsed && reach.allows(host, *parsed);
}

constexpr std::string_view kPublic[] = {"93.184.216.34", "2606:4700::1111", "1.1.1.1", "11.0.0.1"};
constexpr std::string_view kInward[] = {
    "127.0.0.1",        "127.255.255.255", "10.0.0.1",         "172.16.0.1",
    "172.31.255.255",   "192.168.0.1",     "100.64.0.1",       "198.18.0.1",
    "192.0.0.1",        "192.0.2.1",       "203.0.113.1",      "::1",
    "::ffff:127.0.0.1", "::ffff:a00:1",    "::127.0.0.1",      "fc00::1",
    "fd00:ec2::254",    "64:ff9b::7f00:1", "2002:7f00:1::",    "2001:0:1::1",
    "2001:db8::1",      "100::1",          "64:ff9b:1::a00:1", "192.88.99.1"};
constexpr std::string_view kNever[] = {
    "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255",        "::",
    "fe80::1", "ff02::1",         "fec0::1",   "::ffff:169.254.169.254", "240.0.0.1"};

TEST(Reach, IsOffUnlessSomethingIsSaid) {
  const Reach off = reach_of("off");
  EXPECT_TRUE(off.off());
  for (const std::string_view address : kPublic)
    EXPECT_FALSE(allows(off, "example.com", address)) << address;
}

TEST(Reach, PublicIsNeitherInwardNorNobody) {
  const Reach all = reach_of("public");
  EXPECT_FALSE(all.off());
  for (const std::string_view address : kPublic)
    EXPECT_TRUE(allows(all, "example.com", address)) << address;
  for (const std::string_view address : kInward)
    EXPECT_FALSE(allows(all, "example.com", address)) << address;
  for (const std::string_view address : kNever)
    EXPECT_FALSE(allows(all, "example.com", address)) << address;
}

TEST(Reach, ANameIsAllowedAtPublicAddresses) {
  const Reach named = reach_of("hooks.example.com, *.example.org");
  for (const std::string_view host :
       {"hooks.example.com", "HOOKS.Example.com.", "a.example.org", "a.b.example.org"}) {
    EXPECT_TRUE(allows(named, host, "93.184.216.34")) << host;
    EXPECT_FALSE(allows(named, host, "127.0.0.1")) << host;
    EXPECT_FALSE(allows(named, host, "169.254.169.254")) << host;
  }
  for (const std::string_view host : {"example.com", "xhooks.example.com", "hooks.example.com.evil",
                                      "example.org", "badexample.org", "93.184.216.34", ""})
    EXPECT_FALSE(allows(named, host, "93.184.216.34")) << host;
}

TEST(Reach, ABlockIsAllowedWhateverLeadsThere) {
  const Reach blocks = reach_of("10.1.0.0/16,127.0.0.1,fd00::/8");
  for (const std::string_view address : {"10.1.2.3", "127.0.0.1", "fd00::1", "::ffff:10.1.0.1"})
    EXPECT_TRUE(allows(blocks, "anything", address)) << address;
  for (const std::string_view address : {"10.2.0.1", "127.0.0.2", "fc00::1", "1.1.1.1"})
    EXPECT_FALSE(allows(blocks, "anything", address)) << address;
  // Whatever is said.
  const Reach everything = reach_of("0.0.0.0/0,::/0,public");
  for (const std::string_view address : kNever)
    EXPECT_FALSE(allows(everything, "anything", address)) << address;
  for (const std::string_view address : kInward)
    EXPECT_TRUE(allows(everything, "anything", address)) << address;
}

TEST(Reach, WhatIsNoneOfTheseIsRefusedByName) {
  for (const std::string_view list :
       {"", "public,", "10.0.0.0/33", "10.0.0.1/x", "300.1.1.1", "2130706433", "a b", "http://a/",
        "*.", "*", "a..b", ".example.com", "*.*.com", "::1/129", "ex\xC3\xA4mple.com"}) {
    std::string why;
    EXPECT_FALSE(Reach::parse(list, &why)) << list;
    EXPECT_NE(why.find("is no name, no address and no block"), std::string::npos) << list;
  }
}

}  // namespace
}  // namespace millrace::net::delivery
