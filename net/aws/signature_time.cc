#include "net/aws/signature_time.h"

#include <algorithm>
#include <chrono>

namespace millrace::net {
namespace {

constexpr int64_t kDayS = 86'400;

// The number that `digits` digits at `at` stand for; -1 if one is none.
int number_at(std::string_view text, size_t at, size_t digits) {
  int value = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<int64_t> seconds_of(int year, int month, int day, int hour, int minute, int second) {
  if (year < 1 || month < 1 || day < 1) return std::nullopt;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * kDayS + hour * 3600 + minute * 60 + second;
}

void put_number(int value, char* at, size_t digits) {
  for (size_t i = digits; i > 0; --i) {
    at[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

std::optional<int64_t> parse_signature_time(std::string_view text) {
  if (text.size() != kSignatureTimeSize || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  return seconds_of(number_at(text, 0, 4), number_at(text, 4, 2), number_at(text, 6, 2),
                    number_at(text, 9, 2), number_at(text, 11, 2), number_at(text, 13, 2));
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view kForm = "___, __ ___ ____ __:__:__ GMT";
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] != '_' && text[i] != kForm[i]) return std::nullopt;
  }
  const auto* month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  return seconds_of(number_at(text, 12, 4), static_cast<int>(month - kMonths.begin()) + 1,
                    number_at(text, 5, 2), number_at(text, 17, 2), number_at(text, 20, 2),
                    number_at(text, 23, 2));
}

SignatureTime format_signature_time(int64_t seconds) {
  int64_t days = seconds / kDayS;
  if (seconds % kDayS < 0) --days;
  const auto in_day = static_cast<int>(seconds - days * kDayS);
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  SignatureTime time{};
  put_number(int{date.year()}, time.data(), 4);
  put_number(static_cast<int>(unsigned{date.month()}), time.data() + 4, 2);
  put_number(static_cast<int>(unsigned{date.day()}), time.data() + 6, 2);
  time[8] = 'T';
  put_number(in_day / 3600, time.data() + 9, 2);
  put_number(in_day / 60 % 60, time.data() + 11, 2);
  put_number(in_day % 60, time.data() + 13, 2);
  time[15] = 'Z';
  return time;
}

}  // namespace millrace::net
