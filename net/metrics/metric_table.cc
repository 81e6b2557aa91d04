#include "net/metrics/metric_table.h"

#include <iterator>

namespace millrace::net {
namespace {

constexpr auto kGauge = MetricKind::gauge;
constexpr auto kCounter = MetricKind::counter;
constexpr auto kHistogram = MetricKind::histogram;

constexpr MetricFamily kTable[] = {
    {"millrace_queue_ready_messages", kGauge, "Messages that a receive would get."},
    {"millrace_queue_leased_messages", kGauge, "Messages that were received and not deleted yet."},
    {"millrace_queue_delayed_messages", kGauge, "Messages whose delay has not passed."},
    {"millrace_queue_bytes", kGauge, "Bytes of the queue's messages in the log."},
    {"millrace_queue_sent_messages_total", kCounter, "Messages sent."},
    {"millrace_queue_received_messages_total", kCounter, "Messages received, each time."},
    {"millrace_queue_deleted_messages_total", kCounter, "Messages deleted by their receivers."},
    {"millrace_queue_expired_leases_total", kCounter, "Leases that ended without a delete."},
    {"millrace_queue_empty_receives_total", kCounter, "Receives that found no message."},
    {"millrace_queue_redelivered_messages_total", kCounter,
     "Messages received that had been received before."},
    {"millrace_queue_dead_lettered_messages_total", kCounter,
     "Messages moved to the queue's dead-letter queue."},
    {"millrace_queue_aged_out_messages_total", kCounter,
     "Messages dropped because they were older than the queue keeps them."},
    {"millrace_queue_oldest_message_age_seconds", kGauge,
     "Time since the oldest message was sent, 0 without messages."},
    {"millrace_queue_wait_seconds", kHistogram,
     "Time from when a message could first be received to when it was."},
    {"millrace_queue_lease_seconds", kHistogram,
     "Time from a message's last receive to its delete."},
    {"millrace_queues", kGauge, "Queues there are."},
    {"millrace_queues_without_series", kGauge,
     "Queues that have no series of their own and are summed up in those of the empty name."},
    {"millrace_scrape_complete", kGauge,
     "1 if the figures of all queues are here, 0 if a shard did not give them."},
    {"millrace_shard_ticks_total", kCounter, "Turns of a shard's loop."},
    {"millrace_shard_busy_ticks_total", kCounter, "Turns that wrote to the shard's log."},
    {"millrace_shard_cpu_seconds_total", kCounter, "Processor time of a shard's thread."},
    {"millrace_shard_commit_seconds", kHistogram, "Time that answers waited for their sync."},
    {"millrace_shard_durable_lag_bytes", kGauge,
     "Bytes of the log that no finished sync covers yet."},
    {"millrace_shard_log_live_bytes", kGauge, "Bytes of the log that are still needed."},
    {"millrace_shard_log_disk_bytes", kGauge, "Bytes that the log takes on the disk."},
    {"millrace_shard_log_written_bytes_total", kCounter, "Bytes written to the log."},
    {"millrace_shard_index_bytes", kGauge, "Memory of the index of messages."},
    {"millrace_shard_syncs_total", kCounter, "Syncs of the log."},
    {"millrace_shard_scrubbed_bytes_total", kCounter,
     "Bytes of the log read back from the disk and found right."},
    {"millrace_shard_scrub_mended_total", kCounter,
     "Stretches of the log that had rotted on the disk and were written again from memory."},
    {"millrace_shard_scrub_unreadable_total", kCounter,
     "Reads of the log, in search of rot, that the disk refused."},
    {"millrace_shard_memory_bytes", kGauge, "Memory that counts against the budget."},
    {"millrace_shard_waiting_receives", kGauge, "Receives that wait, and subscriptions."},
    {"millrace_shard_timers", kGauge, "Leases and delays under way."},
    {"millrace_shard_refused_sends_total", kCounter,
     "Sends refused: memory, the budget is used up; behind, answers wait too long for the disk."},
    {"millrace_shard_backup_held_bytes", kGauge,
     "Bytes of the log that it has no use for any more, kept for a backup that is being read."},
    {"millrace_shard_backup_read_bytes_total", kCounter, "Bytes of the log read for backups."},
    {"millrace_shard_fenced", kGauge,
     "1 if a write or a sync failed: nothing is acknowledged any more."},
    {"millrace_shard_disk_full", kGauge, "1 if sends are refused for want of disk space."},
    {"millrace_shard_memory_full", kGauge,
     "1 if sends are refused because the memory budget is used up."},
    {"millrace_memory_budget_bytes", kGauge,
     "What all shards may hold in memory, 0 without bound."},
    {"millrace_connections", kGauge, "Open connections."},
    {"millrace_connections_accepted_total", kCounter, "Connections accepted."},
    {"millrace_connections_refused_total", kCounter,
     "Connections closed at once, since there were too many."},
    {"millrace_connections_dropped_total", kCounter,
     "Connections closed because they were too slow, silent, or did not read their answers."},
    {"millrace_sqs_requests_total", kCounter, "Requests of SQS that were answered."},
    {"millrace_sns_requests_total", kCounter, "Requests of SNS that were answered."},
    {"millrace_topics", kGauge, "Topics."},
    {"millrace_topic_messages_published_total", kCounter, "Messages published to topics."},
    {"millrace_topic_copies_total", kCounter,
     "What became of their copies: delivered to a queue, filtered out, redriven to a "
     "subscription's "
     "dead-letter queue, or dropped because no queue could take them."},
    {"millrace_topic_posts_total", kCounter,
     "What became of deliveries over HTTP: delivered, retried after a failure, redriven to the "
     "subscription's dead-letter queue in the end, or dropped."},
    {"millrace_audit_lines_total", kCounter, "Lines written to the audit log."},
    {"millrace_audit_lines_dropped_total", kCounter,
     "Lines of the audit log lost, for want of room or because its file could not be written."},
    {"millrace_build_info", kGauge, "Always 1; the version is in the label."},
    {"process_start_time_seconds", kGauge, "When the server started, in seconds since 1970."},
    {"process_cpu_seconds_total", kCounter, "Processor time of the process."},
    {"process_resident_memory_bytes", kGauge, "Resident memory of the process."},
};
static_assert(std::size(kTable) == kMetricCount);

}  // namespace

std::span<const MetricFamily> metric_table() {
  return kTable;
}

}  // namespace millrace::net
