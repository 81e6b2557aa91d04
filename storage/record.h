// Record: one verified entry of a log, where it lies.
#pragma once

#include <cstdint>

#include "millrace/types.h"
#include "storage/format.h"

namespace millrace::storage {

inline constexpr uint16_t kReservedKinds = 0xFF00;  // kinds from here up are the log's own
static_assert(kKindCommitMark >= kReservedKinds);

struct Record {
  Position position;  // of the record's header
  uint16_t kind = 0;
  Bytes body;  // into the mapped segment; valid until the segment is freed
  // First byte after the record, padding included.
  Position end() const { return position + record_stride(body.size()); }
};

}  // namespace millrace::storage
