#include "net/input_pacing.h"

#include <gtest/gtest.h>

namespace millrace::net {
namespace {

constexpr uint32_t kWhole = 64u << 10;

// Bytes of long pieces that one turn takes in.
int64_t turn_bytes(InputPacing& pacing, int64_t handled_ns) {
  pacing.begin_turn(handled_ns);
  int64_t bytes = 0;
  for (uint32_t piece = pacing.next_piece(kWhole); piece > 0; piece = pacing.next_piece(kWhole))
    bytes += piece;
  return bytes;
}

// Long pieces that take `ns` a byte, until what is known of them has settled.
void learn(InputPacing& pacing, int64_t ns_a_byte) {
  for (int i = 0; i < 200; ++i)
    pacing.handled(kWhole, kWhole * ns_a_byte);
  pacing.begin_turn(200 * kWhole * ns_a_byte);
}

TEST(InputPacing, TakesInWhatCanBeHandledInItsTime) {
  InputPacing pacing;
  learn(pacing, 1);
  EXPECT_NEAR(static_cast<double>(turn_bytes(pacing, 0)), InputPacing::kLongNs,
              InputPacing::kLongBytes);
  learn(pacing, 10);
  EXPECT_NEAR(static_cast<double>(turn_bytes(pacing, 0)), InputPacing::kLongNs / 10,
              InputPacing::kLongBytes);
}

TEST(InputPacing, GivesLongPiecesAsMuchTimeAsTheShortOnesTook) {
  InputPacing pacing;
  learn(pacing, 1);
  // A turn of 3 ms, 1 ms of it for long pieces.
  pacing.handled(1'000'000, 1'000'000);
  EXPECT_NEAR(static_cast<double>(turn_bytes(pacing, 3'000'000)), 2'000'000.0,
              InputPacing::kLongBytes);
  // The next has 50 us for short ones.
  pacing.handled(100'000, 100'000);
  EXPECT_NEAR(static_cast<double>(turn_bytes(pacing, 150'000)), InputPacing::kLongNs,
              InputPacing::kLongBytes);
}

TEST(InputPacing, OnePieceOfALittleIsTakenInHoweverLongItTakes) {
  InputPacing pacing;
  learn(pacing, 1'000'000);
  EXPECT_EQ(turn_bytes(pacing, 0), InputPacing::kLongBytes);
}

TEST(InputPacing, NoPieceIsLongerThanTheBuffer) {
  InputPacing pacing;
  pacing.begin_turn(1'000'000'000);
  EXPECT_EQ(pacing.next_piece(1024), 1024u);
  EXPECT_EQ(pacing.next_piece(kWhole), kWhole);
}

}  // namespace
}  // namespace millrace::net
