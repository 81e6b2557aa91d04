// FifoIntake: what of a producer's run for a FIFO queue is stored, and what is a duplicate.
//
// A message whose deduplication id is in force (DedupWindow), or came earlier in the same run, is
// not stored again: its answer is the slot of the first one. On a queue that deduplicates by
// content a message without an id gets the SHA-256 of its body as a property, so that replay need
// not know what the queue was told to do when the message came.
//
// When a queue's scope of ids was changed, an id is in force too if it came in the other scope less
// than five minutes ago: who repeats a send across the change does not get two messages. Replay
// takes all ids in the scope that the queue has by then.
//
// Threads: shard-local; one object reused by all sends of a shard.  Memory: a run, if it has to be
// written anew, and 100 bytes a message.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/message_names.h"
#include "engine/partition.h"
#include "millrace/options.h"

namespace millrace::engine {

class FifoIntake {
 public:
  // `run` was checked (check_run). Afterwards stored() is the run to append.
  void read(const Partition& partition, const base::KeyedHash& names, bool by_content, Bytes run,
            uint32_t count, TimeMs now);

  Bytes stored() const { return copied_ ? Bytes(copy_) : run_; }
  uint32_t stored_count() const { return static_cast<uint32_t>(stored_names_.size()); }
  std::span<const MessageNames> stored_names() const { return stored_names_; }
  // Slots in the order of the run, if what is stored begins at `first`.
  std::span<const Slot> slots(Slot first);
  bool has_duplicates() const { return stored_names_.size() != outcomes_.size(); }

 private:
  struct Outcome {
    bool known = false;  // `slot` is an older message's
    uint64_t slot = 0;   // else: number within what is stored
  };
  void copy_message(const std::byte* message, Bytes properties);
  uint64_t number_of(const base::Hash128& id);

  Bytes run_;
  bool copied_ = false;
  std::vector<std::byte> copy_;
  std::vector<MessageNames> names_;  // of each message
  std::vector<const DedupWindow::Entry*> known_;
  std::vector<Outcome> outcomes_;
  std::vector<MessageNames> stored_names_;
  std::vector<Slot> slots_;
  boost::unordered_flat_map<base::Hash128, uint64_t, DedupWindow::Hash> batch_;  // long runs
};

}  // namespace millrace::engine
