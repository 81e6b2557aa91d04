// The bounds that keep the engine's memory finite. Reaching one is answered by over_limit
// (requests) or batch_too_large; docs/operations.md lists them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::engine {

inline constexpr uint32_t kShardsMax = 64;
inline constexpr uint32_t kQueuesMax = 10'000;
// Of topics and subscriptions too. A timer keeps 31 bits of a queue's.
inline constexpr uint32_t kQueueIdMax = (1u << 31) - 1;
inline constexpr uint32_t kTopicsMax = 10'000;
inline constexpr uint32_t kSubscriptionsMax = 100'000;
inline constexpr uint32_t kSubscriptionsPerFifoTopicMax = 100;
inline constexpr uint32_t kOutboxesMax = 10'000;
inline constexpr uint32_t kFiltersMax = 10'000;
inline constexpr uint32_t kFiltersPerTopicMax = 200;
// Leased and delayed messages of one shard: each has a timer of 32 bytes.
inline constexpr uint64_t kTimersPerShardMax = 20'000'000;
// Deduplication ids in force in one FIFO partition: at 60 to 110 bytes each about 2 GB.
inline constexpr uint64_t kDedupIdsPerPartitionMax = 20'000'000;
// Waiting receives and subscriptions of one shard.
inline constexpr uint32_t kWaitersPerShardMax = 100'000;
// Receive attempt ids that one shard remembers; the oldest are forgotten first.
inline constexpr size_t kReceiveAttemptsMax = 100'000;
// Publishes to FIFO topics that wait for their turn, and what goes together.
inline constexpr uint64_t kOrderedBytesMax = 64u << 20;
inline constexpr uint32_t kRoundMessagesMax = 256;
inline constexpr uint64_t kRoundBytesMax = 1u << 20;
// Requests of one shard that wait for other shards.
inline constexpr uint32_t kGathersPerShardMax = 100'000;
// Answers of one shard that wait for its log, past which sends are throttled: 160 bytes each.
inline constexpr size_t kAnswersWaitingMax = 100'000;
// What a sync may take before sends are throttled.
inline constexpr int64_t kSyncWaitNsMax = 2'000'000'000;
// How often a shard counts what it holds in memory, if there is a budget; and if half of it is
// used.
inline constexpr int64_t kMemoryCountMs = 100;
inline constexpr int64_t kScarceMemoryCountMs = 25;
inline constexpr uint32_t kPeekMessagesMax = 1'000;
// Live messages of a shard that a peek looks at to find those in the states it wants.
inline constexpr uint32_t kPeekScannedMax = 200'000;
inline constexpr uint32_t kListQueuesMax = 1'000;

// Work of one tick, so that a tick stays short.
inline constexpr uint32_t kTimersPerTickMax = 10'000;
inline constexpr uint32_t kDedupIdsEndedPerTickMax = 4'096;  // of each queue
inline constexpr int64_t kDedupStepMs = 1'000;
// Ids that cleaning tells again together: 3 KiB.
inline constexpr size_t kDedupMarksPerRecordMax = 100;
inline constexpr uint32_t kServePassesPerTickMax = 4;
// What a sync may wait for while requests are at hand.
inline constexpr uint32_t kTicksHeldMax = 8;
inline constexpr size_t kHeldAnswersMax = 32;
inline constexpr uint64_t kHeldBytesMax = 64u << 10;
inline constexpr uint32_t kServedPerLineMax =
    1'024;  // leases given to one queue's waiters in a pass
// Messages leased for waiters in a tick: their answers are all encoded before any can be sent.
inline constexpr uint64_t kServedBytesPerTickMax = 8u << 20;
inline constexpr uint32_t kCarriedBytesPerTickMax = 256u << 10;
// A carry record stays this small if its messages do, so that little of a segment's end is wasted.
inline constexpr uint32_t kCarriedRunBytesMax = 32u << 10;
inline constexpr uint32_t kCleanedRecordsPerTickMax = 64;
// Of one slot_end record, and so of one tick of cleaning: 16 KiB.
inline constexpr size_t kSlotEndsPerRecordMax = 1'024;
// A record up to this size is verified before a message of it is delivered: some 3 us of hashing.
inline constexpr uint64_t kVerifiedRecordBytes = 64u << 10;
inline constexpr uint32_t kMailPerTickMax = 4'096;
// Messages that go to dead-letter queues: copied, so as many bytes as cleaning carries.
inline constexpr uint32_t kDeadLettersPerTickMax = 512;
inline constexpr uint64_t kDeadLetterBytesPerTickMax = 1u << 20;
// Messages that move tasks take, of all tasks. A record of them stays as small as a carry does.
inline constexpr uint32_t kMovedPerTickMax = 1'024;
inline constexpr uint32_t kMovedBytesPerTickMax = 1u << 20;
inline constexpr uint32_t kMovedRunBytesMax = 32u << 10;
// Messages of a task that are on their way from one shard to others, and of one mail.
inline constexpr uint32_t kMovesOpenMax = 512;
inline constexpr uint32_t kMoveTasksRunningMax = 100;
inline constexpr int64_t kMoveTaskMsMax = 36 * 3'600'000;
inline constexpr int64_t kMoveReportMs = 100;     // how often a shard tells how far it is
inline constexpr int64_t kMoveRecordMs = 10'000;  // how often that is written down
inline constexpr int64_t kMoveRetryMs = 1'000;    // on a full disk
// A task with a rate moves what is due this often.
inline constexpr int64_t kMoveStepMs = 10;
// Messages whose age is looked at, for a queue.
inline constexpr uint32_t kRetentionSlotsPerTickMax = 4'096;
inline constexpr int64_t kRetentionStepMs = 1'000;
inline constexpr int64_t kRetentionSweepMs = 60'000;
// Pieces of one log that are being read for a backup, and how long one may last.
inline constexpr size_t kBackupReadsMax = 32;
inline constexpr int64_t kBackupMsMax = 86'400'000;
// Queues that name one another as dead-letter queues are followed this far.
inline constexpr uint32_t kDeadLetterChainMax = 16;

inline constexpr size_t kMailboxMails = 256;  // between two shards, each way; more waits outside
// Receives of one queue under way at one other shard: enough to hide the hop, few enough not to
// stampede over one new message.
inline constexpr uint32_t kRemoteReceivesPerQueueMax = 8;

// Far more than a shard can send in the second between two background syncs, and 48 bits of slots
// still outlast four million kills.
inline constexpr uint64_t kSlotsSkippedAfterLoss = 1u << 26;

inline constexpr uint16_t kCatalogLogId = 0x1000;  // shards have their number
inline constexpr uint64_t kCatalogSegmentBytes = 256u << 10;

}  // namespace millrace::engine
