// What CreateQueue, SetQueueAttributes and TagQueue ask to be set of a queue, checked with SQS's
// texts and turned into the engine's settings. The engine checks again, all or nothing.
//
// Ours besides SQS's: Durability, InFlightMax and, when a FIFO queue is created, Partitions.
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "net/aws/error.h"
#include "net/aws/shape.h"
#include "net/sqs/settings.h"

namespace millrace::net::sqs {

struct SettingsContext {
  const ShardPort& port;  // to find dead-letter queues
  const SqsSettings& settings;
  std::string_view name;     // the queue's
  const QueueInfo* current;  // null: it is being created
  bool fifo = false;
};

// FifoQueue is given as true.
bool asks_for_fifo(const List<Pair>& attributes);

AwsError read_attributes(const List<Pair>& attributes, const SettingsContext& context,
                         QueueSettings* settings);
// `has`: the tags there are.
AwsError read_tags(const List<Pair>& tags, std::string_view queue_name,
                   std::span<const NamedText> has, QueueSettings* settings);

}  // namespace millrace::net::sqs
