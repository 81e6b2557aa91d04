// OrderedPublish: what is to be published to a FIFO topic, on its way to the topic's home.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"
#include "millrace/engine.h"
#include "millrace/publish.h"

namespace millrace::engine {

// An OrderedPublishRequest that owns what it is about, and where its answer goes.
struct OrderedPublish {
  TopicId topic{};
  std::vector<std::byte> run;
  std::vector<uint32_t> stamps;
  std::vector<PublishCopy> copies;
  std::vector<OrderedForm> forms;
  std::vector<size_t> offsets;     // of each form in the run
  std::vector<base::Hash128> ids;  // of each message
  ReplyTo to{};                    // of this shard
  ShardId asker{};                 // else by mail
  uint64_t job = 0;
  Errc error = Errc::ok;
  std::vector<uint64_t> slots{};  // of each message, once it has one
  uint64_t fresh = 0;             // bit i: the i-th has it for the first time
  // Publishes of this round, by number, that brought a message here first.
  std::vector<size_t> repeats{};
  uint64_t bytes() const { return sizeof *this + run.size() + copies.size() * sizeof(PublishCopy); }
};

}  // namespace millrace::engine
