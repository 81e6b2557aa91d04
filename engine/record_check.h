// wrong_with(): whether a shard, or the catalog, can have written a record.
//
// A record's checksum says that it is what somebody wrote, not that it makes sense. Replay applies
// what is found here to be whole: lengths that add up, slots and times within their bounds, known
// kinds and states. Which message, queue or lease it is about is not asked: those of segments that
// were freed are gone. What applying costs is in proportion to the record's bytes and to the
// messages that are alive.
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include "engine/records.h"
#include "storage/format.h"
#include "storage/record.h"

namespace millrace::engine {

// Slots at or past it are never given out: starts that skip some, and what is sent between them,
// stay below the 48 bits that a receipt has.
inline constexpr uint64_t kSlotsEnd = (uint64_t{1} << 48) - (uint64_t{1} << 40);
inline constexpr int64_t kRecordTimeMsMax = storage::kServerTimeMsEnd;

// Of a record in a shard's log: empty, or what is wrong, for people.
std::string_view wrong_with(const storage::Record& record);

// Of what a definition in the catalog says, beyond what reading it finds out.
std::string_view wrong_with(const QueueDefinition& queue);
std::string_view wrong_with(const TopicDefinition& topic);
std::string_view wrong_with(const SubscriptionDefinition& subscription);
std::string_view wrong_with(const CatalogMeta& meta);

}  // namespace millrace::engine
