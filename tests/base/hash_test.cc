#include "base/hash.h"

#include <array>
#include <set>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

constexpr uint64_t kPrime32 = 0x9E3779B1;
constexpr uint64_t kPrime64 = 0x9E3779B185EBCA8D;

// The bytes that xxHash's own sanity test hashes.
std::array<std::byte, 2367> sanity_bytes() {
  std::array<std::byte, 2367> bytes;
  uint64_t state = kPrime32;
  for (std::byte& b : bytes) {
    b = static_cast<std::byte>(state >> 56);
    state *= kPrime64;
  }
  return bytes;
}

struct Vector {
  size_t bytes;
  uint64_t seed;
  uint64_t hash;
};

// From xxHash's sanity test; one length of each of its code paths.
constexpr Vector kVectors[] = {
    {0, 0, 0x2D06800538D394C2},    {0, kPrime64, 0xA8A6B918B2F0364A},
    {1, 0, 0xC44BDFF4074EECDB},    {1, kPrime64, 0x032BE332DD766EF8},
    {6, 0, 0x27B56A84CD2D7325},    {6, kPrime64, 0x84589C116AB59AB9},
    {12, 0, 0xA713DAF0DFBB77E7},   {12, kPrime64, 0xE7303E1B2336DE0E},
    {24, 0, 0xA3FE70BF9D3510EB},   {24, kPrime64, 0x850E80FC35BDD690},
    {48, 0, 0x397DA259ECBA1F11},   {48, kPrime64, 0xADC2CBAA44ACC616},
    {80, 0, 0xBCDEFBBB2C47C90A},   {80, kPrime64, 0xC6DD0CB699532E73},
    {195, 0, 0xCD94217EE362EC3A},  {195, kPrime64, 0xBA68003D370CB3D9},
    {403, 0, 0xCDEB804D65C6DEA4},  {403, kPrime64, 0x6259F6ECFD6443FD},
    {512, 0, 0x617E49599013CB6B},  {512, kPrime64, 0x3CE457DE14C27708},
    {2048, 0, 0xDD59E2C3A5F038E0}, {2048, kPrime64, 0x66F81670669ABABC},
    {2367, 0, 0xCB37AEB9E5D361ED}, {2367, kPrime64, 0xD2DB3415B942B42A},
};

TEST(Hash, AgreesWithThePublishedVectorsOfXxh3) {
  const auto bytes = sanity_bytes();
  for (const Vector& v : kVectors) {
    EXPECT_EQ(hash64(bytes.data(), v.bytes, v.seed), v.hash) << v.bytes << " seed " << v.seed;
  }
}

TEST(Hash, MixTellsTheWordsAndTheirOrderApart) {
  std::set<uint64_t> seen;
  for (uint64_t a = 0; a < 100; ++a)
    for (uint64_t b = 0; b < 100; ++b)
      seen.insert(mix(a, b));
  EXPECT_EQ(seen.size(), 10'000u);
}

}  // namespace
}  // namespace millrace::base
