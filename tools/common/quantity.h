// Quantities as people type and read them: sizes, seconds, counts, durability levels.
//
// Parsing takes the whole text or fails with invalid_argument; the caller says which option it was
// and what is allowed. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::tools {

// Decimal digits only.
Result<uint64_t> parse_whole(std::string_view text);
// A whole number, and without a space B, KiB, MiB, GiB, TiB or nothing (bytes).
Result<uint64_t> parse_size(std::string_view text);
// Seconds with at most three decimals ("1.5"), as milliseconds.
Result<uint64_t> parse_seconds(std::string_view text);
// "none", "interval", "commit".
Result<Durability> parse_durability(std::string_view text);
std::string_view durability_name(Durability level);

std::string format_size(uint64_t bytes);     // "64MiB" if it is exact, else "1.3 MiB"
std::string format_count(uint64_t count);    // "12,345,678"
std::string format_rate(double per_second);  // "0", "12.3k", "1.25M"
std::string format_seconds(uint64_t ms);     // "30", "1.5"
std::string format_age(int64_t ms);          // "0s", "450ms", "3.2s", "5m 10s", "2d 3h"

}  // namespace millrace::tools
