#include "millrace/result.h"

#include <memory>
#include <set>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

namespace millrace {
namespace {

// No default: a code added to Errc and not here does not compile (-Wswitch).
bool declared(Errc e) {
  switch (e) {
    case Errc::ok:
    case Errc::malformed:
    case Errc::unsupported:
    case Errc::version_mismatch:
    case Errc::corrupt:
    case Errc::protocol_violation:
    case Errc::frame_too_large:
    case Errc::login_required:
    case Errc::login_refused:
    case Errc::invalid_argument:
    case Errc::queue_not_found:
    case Errc::queue_exists:
    case Errc::invalid_queue_name:
    case Errc::message_too_large:
    case Errc::batch_empty:
    case Errc::batch_too_large:
    case Errc::receipt_invalid:
    case Errc::receipt_expired:
    case Errc::message_not_leased:
    case Errc::message_gone:
    case Errc::over_limit:
    case Errc::throttled:
    case Errc::subscription_not_found:
    case Errc::lease_too_long:
    case Errc::not_a_dead_letter_queue:
    case Errc::queue_types_differ:
    case Errc::same_queue:
    case Errc::move_task_running:
    case Errc::move_task_not_found:
    case Errc::access_denied:
    case Errc::topic_not_found:
    case Errc::topic_exists:
    case Errc::subscription_exists:
    case Errc::disk_full:
    case Errc::io_error:
    case Errc::shard_fenced:
    case Errc::shutting_down:
    case Errc::timed_out:
    case Errc::canceled:
    case Errc::connection_closed:
    case Errc::memory_full:
    case Errc::not_found:
    case Errc::already_exists:
    case Errc::permission_denied:
    case Errc::locked:
    case Errc::format_too_new:
    case Errc::damaged:
    case Errc::not_a_directory:
    case Errc::address_in_use:
      return true;
  }
  return false;
}

TEST(Errc, EveryCodeHasANameAndASentenceOfItsOwn) {
  std::set<std::string> names;
  std::set<std::string> texts;
  size_t codes = 0;
  for (uint32_t n = 0; n <= UINT16_MAX; ++n) {
    const auto e = static_cast<Errc>(n);
    if (!declared(e)) {
      EXPECT_EQ(errc_name(e), "unknown") << n;
      EXPECT_EQ(errc_text(e), "unknown error") << n;
      continue;
    }
    ++codes;
    const std::string name(errc_name(e));
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << name;
    EXPECT_NE(name, "unknown") << n;
    names.insert(name);
    texts.insert(std::string(errc_text(e)));
  }
  EXPECT_EQ(names.size(), codes);
  EXPECT_EQ(texts.size(), codes);
}

TEST(Errc, NumbersThatTravelInTheProtocolStayAsTheyAre) {
  EXPECT_EQ(static_cast<int>(Errc::corrupt), 4);
  EXPECT_EQ(static_cast<int>(Errc::invalid_argument), 16);
  EXPECT_EQ(static_cast<int>(Errc::subscription_not_found), 29);
  EXPECT_EQ(static_cast<int>(Errc::disk_full), 48);
  EXPECT_EQ(static_cast<int>(Errc::connection_closed), 54);
  EXPECT_EQ(static_cast<int>(Errc::not_found), 64);
  EXPECT_EQ(static_cast<int>(Errc::address_in_use), 71);
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<uint64_t> good = 7;
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 7u);
  EXPECT_EQ(good.error(), Errc::ok);
  EXPECT_EQ(good.value_or(9), 7u);

  const Result<uint64_t> bad = fail(Errc::disk_full);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error(), Errc::disk_full);
  EXPECT_EQ(bad.value_or(9), 9u);
}

TEST(Result, OfNothingIsAStatus) {
  EXPECT_TRUE(Status{});
  const Status bad = fail(Errc::io_error);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error(), Errc::io_error);
}

TEST(Result, GivesUpWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(3);
  ASSERT_TRUE(made);
  const std::unique_ptr<int> taken = *std::move(made);
  EXPECT_EQ(*taken, 3);
}

TEST(Result, OfAWordTravelsInTwoRegisters) {
  static_assert(sizeof(Result<uint64_t>) == 16);
  static_assert(std::is_trivially_copyable_v<Result<uint64_t>>);
  static_assert(sizeof(Status) == 2);
}

}  // namespace
}  // namespace millrace
