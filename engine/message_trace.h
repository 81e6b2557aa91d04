// MessageTrace: the life of one message, told from the records of the shard it was sent to.
//
// A message never leaves its shard, so the records of one log tell all of it, as far back as their
// segments are there: sent, received, hidden for longer or shown again, moved to a dead-letter
// queue, acknowledged, purged, expired. Feed it that log's records and commit marks in order
// (storage/log_inspect.h). What comes to pass without a record - a lease or a delay that ends - is
// told as the time it was to end. Where the record of an event has no time, its batch's commit mark
// has: the event is told when that has come.
//
// Threads: one.  Memory: the events.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/records.h"
#include "millrace/message_id.h"
#include "storage/log_inspect.h"

namespace millrace::engine {

struct TraceEvent {
  enum class Kind : uint8_t {
    sent,
    found,  // its earlier records are gone: how it was when cleaning carried it
    received,
    extended,  // hidden until `until`; ready, if that is 0
    acknowledged,
    dead_lettered,  // to `queue`
    moved,          // by a move task, to `queue`, where it is another message; 0: on another shard
    purged,
    expired,
  };
  Kind kind{};
  Position position{};  // of the record
  TimeMs at{};          // server time
  QueueId queue{};      // the message's, after the event
  uint64_t slot = 0;    // there
  // received, found, dead_lettered: how often it was received by then
  uint32_t receive_count = 0;
  TimeMs until{};      // hidden until then; 0: not hidden
  uint32_t bytes = 0;  // sent, found: of its body
};

class MessageTrace {
 public:
  explicit MessageTrace(const MessageId& id) : id_(id) {}

  void on_record(const storage::Record& record);
  void on_mark(const storage::CommitMark& mark);

  // So far. Events of a batch without its mark have no time yet.
  const std::vector<TraceEvent>& events() const { return events_; }

 private:
  void on_run(const storage::Record& record, uint64_t head_bytes);
  void on_move(const storage::Record& record);
  void on_carry(const storage::Record& record);
  void on_publish(const storage::Record& record);
  void on_carry_shared(const storage::Record& record);
  void on_dead_letter(const storage::Record& record);
  void on_extend(const storage::Record& record);
  bool is_here(uint32_t queue_id, uint64_t slot) const {
    return there_ && QueueId{queue_id} == queue_ && slot == slot_;
  }
  // Whether the message, which lies in `slot` of a queue now, is the one.
  bool is_it(uint32_t queue_id, uint64_t slot, Bytes message) const;
  bool in_runs(Bytes body, size_t head_bytes, uint32_t queue_id, uint32_t run_count) const;
  TraceEvent& add(TraceEvent::Kind kind, const storage::Record& record, TimeMs at);

  MessageId id_;
  bool there_ = false;    // it is somewhere, as far as is known
  bool leaving_ = false;  // a move task hides it, on its way to another shard
  QueueId queue_{};
  uint64_t slot_ = 0;
  uint32_t receive_count_ = 0;
  std::vector<TraceEvent> events_;
  size_t timed_ = 0;  // events before it have their time
};

}  // namespace millrace::engine
