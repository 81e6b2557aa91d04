// segment_header: the first two pages of a segment file: writing both copies, reading the better
// one.
//
// The copies are alike. A reader takes the valid one with the higher sequence: while a recycled
// file gets its new header, a crash may leave one page old and the other new.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/types.h"
#include "storage/format.h"

namespace millrace::storage {

enum class HeaderState : uint8_t {
  valid,
  blank,    // both pages are zeros: a prepared file that was never used
  too_new,  // a later version of the format wrote it
  bad,      // neither copy is readable
};

struct HeaderReading {
  HeaderState state = HeaderState::bad;
  SegmentHeader header{};  // if valid
  bool copy_bad = false;   // valid, but one of the copies is neither valid nor blank
};

// `start` holds what the file has of its first kSegmentDataOffset bytes.
HeaderReading read_segment_header(Bytes start);

// Fills in magic, version and checksum and returns the file's first kSegmentDataOffset bytes.
std::vector<std::byte> segment_header_pages(SegmentHeader& header);

// "0000002a.segment" and back; 0 if `name` is not a segment's. File numbers begin with 1.
std::string segment_file_name(uint32_t number);
uint32_t segment_file_number(std::string_view name);

}  // namespace millrace::storage
