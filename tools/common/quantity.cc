#include "tools/common/quantity.h"

#include <charconv>

#include <fmt/format.h>

namespace millrace::tools {
namespace {

struct Unit {
  std::string_view name;
  int shift;
};
constexpr Unit kUnits[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}};

}  // namespace

Result<uint64_t> parse_whole(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return fail(Errc::invalid_argument);
  return value;
}

Result<uint64_t> parse_size(std::string_view text) {
  int shift = 0;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    text.remove_suffix(unit.name.size());
    shift = unit.shift;
    break;
  }
  const Result<uint64_t> number = parse_whole(text);
  if (!number || *number > (UINT64_MAX >> shift)) return fail(Errc::invalid_argument);
  return *number << shift;
}

Result<uint64_t> parse_seconds(std::string_view text) {
  constexpr uint64_t kSecondsMax = 1'000'000'000;
  const size_t point = text.find('.');
  const Result<uint64_t> whole = parse_whole(text.substr(0, point));
  if (!whole || *whole > kSecondsMax) return fail(Errc::invalid_argument);
  uint64_t ms = 0;
  if (point != std::string_view::npos) {
    std::string decimals(text.substr(point + 1));
    if (decimals.empty() || decimals.size() > 3) return fail(Errc::invalid_argument);
    decimals.resize(3, '0');
    const Result<uint64_t> parsed = parse_whole(decimals);
    if (!parsed) return fail(Errc::invalid_argument);
    ms = *parsed;
  }
  return *whole * 1000 + ms;
}

Result<Durability> parse_durability(std::string_view text) {
  for (const Durability level : {Durability::none, Durability::interval, Durability::commit})
    if (text == durability_name(level)) return level;
  return fail(Errc::invalid_argument);
}

std::string_view durability_name(Durability level) {
  switch (level) {
    case Durability::none:
      return "none";
    case Durability::interval:
      return "interval";
    case Durability::commit:
      return "commit";
  }
  return "unknown";
}

std::string format_size(uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    const uint64_t one = uint64_t{1} << unit.shift;
    if (bytes < one) continue;
    if (bytes % one == 0) return fmt::format("{}{}", bytes >> unit.shift, unit.name);
    return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(one),
                       unit.name);
  }
  return "0B";
}

std::string format_count(uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string format_rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f}M", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.1f}k", per_second / 1e3);
  return fmt::format("{:.0f}", per_second);
}

std::string format_seconds(uint64_t ms) {
  if (ms % 1000 == 0) return std::to_string(ms / 1000);
  std::string text = fmt::format("{}.{:03}", ms / 1000, ms % 1000);
  while (text.back() == '0')
    text.pop_back();
  return text;
}

std::string format_age(int64_t ms) {
  if (ms <= 0) return "0s";
  if (ms < 1000) return fmt::format("{}ms", ms);
  const int64_t s = ms / 1000;
  if (s < 60) return fmt::format("{}.{}s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{}m {}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h {}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d {}h", s / 86'400, s % 86'400 / 3600);
}

}  // namespace millrace::tools
