// The metrics that millraced shows at /metrics: names, kinds, what each says. docs/operations.md
// has the same table for people; a test holds them together.
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string_view>

#include "net/metrics/exposition.h"

namespace millrace::net {

// In the order of the table.
enum Metric : size_t {
  // Of each queue. The first are numbers of its counters (queue_figures.h).
  kQueueReady,
  kQueueLeased,
  kQueueDelayed,
  kQueueBytes,
  kQueueSent,
  kQueueReceived,
  kQueueDeleted,
  kQueueExpiredLeases,
  kQueueEmptyReceives,
  kQueueRedelivered,
  kQueueDeadLettered,
  kQueueAgedOut,
  kQueueOldestAge,
  kQueueWait,
  kQueueLease,
  // Of all queues.
  kQueues,
  kQueuesWithoutSeries,
  kScrapeComplete,
  // Of each shard.
  kShardTicks,
  kShardBusyTicks,
  kShardCpu,
  kShardCommit,
  kShardDurableLag,
  kShardLogLive,
  kShardLogDisk,
  kShardLogWritten,
  kShardIndex,
  kShardSyncs,
  kShardScrubbed,
  kShardScrubMended,
  kShardScrubUnreadable,
  kShardMemory,
  kShardWaiting,
  kShardTimers,
  kShardRefused,
  kShardBackupHeld,
  kShardBackupRead,
  kShardFenced,
  kShardDiskFull,
  kShardMemoryFull,
  kMemoryMax,
  // By protocol.
  kConnections,
  kConnectionsAccepted,
  kConnectionsRefused,
  kConnectionsDropped,
  // Of SQS's actions.
  kSqsRequests,
  kSnsRequests,
  // Of topics.
  kTopics,
  kTopicPublished,
  kTopicCopies,
  kTopicPosts,
  // Of the audit log.
  kAuditLines,
  kAuditDropped,
  // Of the process.
  kBuildInfo,
  kProcessStart,
  kProcessCpu,
  kProcessMemory,
  kMetricCount,
};

std::span<const MetricFamily> metric_table();

}  // namespace millrace::net
