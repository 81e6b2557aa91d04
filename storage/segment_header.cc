#include "storage/segment_header.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "base/hash.h"

namespace millrace::storage {
namespace {

constexpr std::string_view kSuffix = ".segment";
constexpr size_t kNumberDigits = 8;

HeaderState read_copy(Bytes page, SegmentHeader& header) {
  if (page.size() < sizeof header) {
    const bool zero = std::ranges::all_of(page, [](std::byte b) { return b == std::byte{0}; });
    return zero ? HeaderState::blank : HeaderState::bad;
  }
  std::memcpy(&header, page.data(), sizeof header);
  if (header.magic == kSegmentMagic && header.version > kFormatVersion) return HeaderState::too_new;
  const uint64_t checksum = base::hash64(&header, offsetof(SegmentHeader, checksum), kHeaderSeed);
  const bool sane = header.magic == kSegmentMagic && header.version >= kFormatVersionOldest &&
                    header.checksum == checksum && header.reserved == 0 && header.sequence > 0 &&
                    std::has_single_bit(header.segment_bytes) &&
                    header.segment_bytes >= kSegmentBytesMin &&
                    header.segment_bytes <= kSegmentBytesMax &&
                    header.sequence < UINT64_MAX / header.segment_bytes &&
                    header.head_sequence <= header.sequence &&
                    // What is durable was written before it was known to be.
                    header.durable <= header.sequence * header.segment_bytes + kSegmentDataOffset &&
                    header.durable % kRecordAlignment == 0;
  if (sane) return HeaderState::valid;
  const bool zero =
      std::ranges::all_of(page.first(sizeof header), [](std::byte b) { return b == std::byte{0}; });
  return zero ? HeaderState::blank : HeaderState::bad;
}

}  // namespace

HeaderReading read_segment_header(Bytes start) {
  HeaderReading reading;
  HeaderState states[kSegmentHeaderCopies];
  for (uint64_t i = 0; i < kSegmentHeaderCopies; ++i) {
    const uint64_t offset = std::min<uint64_t>(start.size(), i * kPageBytes);
    SegmentHeader header{};
    states[i] = read_copy(
        start.subspan(offset, std::min<uint64_t>(kPageBytes, start.size() - offset)), header);
    if (states[i] != HeaderState::valid) continue;
    if (reading.state != HeaderState::valid || header.sequence > reading.header.sequence)
      reading.header = header;
    reading.state = HeaderState::valid;
  }
  if (reading.state == HeaderState::valid) {
    reading.copy_bad = std::ranges::count(states, HeaderState::bad) != 0;
    return reading;
  }
  const auto all = [&](HeaderState wanted) {
    return std::ranges::all_of(states, [&](HeaderState s) { return s == wanted; });
  };
  if (all(HeaderState::blank)) reading.state = HeaderState::blank;
  if (all(HeaderState::too_new)) reading.state = HeaderState::too_new;
  return reading;
}

std::vector<std::byte> segment_header_pages(SegmentHeader& header) {
  header.magic = kSegmentMagic;
  header.version = kFormatVersion;
  header.checksum = base::hash64(&header, offsetof(SegmentHeader, checksum), kHeaderSeed);
  std::vector<std::byte> pages(kSegmentDataOffset);
  for (uint64_t i = 0; i < kSegmentHeaderCopies; ++i)
    std::memcpy(pages.data() + i * kPageBytes, &header, sizeof header);
  return pages;
}

std::string segment_file_name(uint32_t number) {
  return fmt::format("{:08x}{}", number, kSuffix);
}

uint32_t segment_file_number(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return 0;
  uint32_t number = 0;
  for (const char c : name.substr(0, kNumberDigits)) {
    const bool decimal = c >= '0' && c <= '9';
    if (!decimal && !(c >= 'a' && c <= 'f')) return 0;
    number = number << 4 | static_cast<uint32_t>(decimal ? c - '0' : c - 'a' + 10);
  }
  return number;
}

}  // namespace millrace::storage
