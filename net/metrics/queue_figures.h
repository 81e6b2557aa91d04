// A queue's and a shard's figures as samples of an exposition.
//
// Histograms are told with every other bucket of the engine's, from a millisecond to three days:
// their bounds are the same for all queues and versions, so that series add up.
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include "millrace/engine.h"
#include "net/metrics/exposition.h"

namespace millrace::net {

void write_queue(Exposition& to, std::string_view name, const QueueCounters& counters, TimeMs now);
void write_shard(Exposition& to, const ShardStats& stats);
// What two queues have together. Counts add up; of two oldest messages the older is it.
void add_counters(QueueCounters& sum, const QueueCounters& part);

}  // namespace millrace::net
