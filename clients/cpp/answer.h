// Answer: what the server said to one request, or one push of a subscription.
//
// Its bytes were checked against their own lengths before the callback is called (an answer that
// does not fit closes the connection with `malformed`), so the accessors cannot fail. Each may be
// called only on the answer of the request it names, when error() is ok.
// Memory: views into the receive buffer, all of them valid until the callback returns.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "clients/cpp/frame.h"
#include "clients/cpp/topic_answer.h"
#include "millrace/engine.h"
#include "millrace/message.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::client {

struct ReceivedMessage {
  Receipt receipt;
  TimeMs sent_at;
  uint32_t receive_count;
  Bytes properties;
  Bytes body;
};

// The messages of a receive or of a push: for (ReceivedMessage m : answer.messages()) ...
class Messages {
 public:
  class Iterator;
  explicit Messages(Bytes delivery) : delivery_(delivery) {}
  uint32_t size() const { return take<wire::DeliveryHeader>(delivery_.data()).count; }
  bool empty() const { return size() == 0; }
  ReceivedMessage operator[](uint32_t index) const;
  // The receipt alone, for those who only acknowledge.
  Receipt receipt(uint32_t index) const;
  Iterator begin() const;
  Iterator end() const;

 private:
  Bytes delivery_;
};

class Messages::Iterator {
 public:
  Iterator(const Messages& of, uint32_t index) : of_(of), index_(index) {}
  ReceivedMessage operator*() const { return of_[index_]; }
  Iterator& operator++() {
    ++index_;
    return *this;
  }
  bool operator!=(const Iterator& other) const { return index_ != other.index_; }

 private:
  const Messages& of_;
  uint32_t index_;
};

struct PeekedBody {
  wire::PeekItem item;
  Bytes properties;
  Bytes body;
  std::string_view holder;  // who holds it, for people; empty: it is not leased
};

// A queue as the server tells it; in a list without attributes, tags and counters.
struct QueueDescription {
  QueueId id{};
  std::string name;
  ShardId first_shard{};  // FIFO: of those it lives on
  int64_t created_at_ms = 0;
  int64_t modified_at_ms = 0;
  std::vector<NamedText> attributes;
  std::vector<NamedText> tags;
  QueueCounters counters;
};

// A backup that was started: what there is to read of it.
struct BackupDescription {
  uint64_t backup = 0;
  TimeMs server_time{};
  std::vector<BackupLog> logs;  // the catalog's, then the shards' by number
};

class Answer {
 public:
  // An answer that arrived. Errors: malformed if the body does not fit its counts.
  static Result<Answer> parse(wire::Opcode request, const Frame& frame);
  // One that will never come.
  static Answer failed(wire::Opcode request, uint64_t correlation, Errc error,
                       std::string_view text);
  Answer() = default;

  explicit operator bool() const { return error_ == Errc::ok; }
  Errc error() const { return error_; }
  // One line for people, the server's own if it sent one.
  std::string_view text() const { return text_; }
  // The message or entry the error is about; 0xFFFFFFFF: the whole request.
  uint32_t entry_index() const { return entry_index_; }
  // The request's, or Opcode::deliver for a push of a subscription.
  wire::Opcode opcode() const { return opcode_; }
  // As returned when the request was made.
  uint64_t request() const { return correlation_; }

  Bytes echoed() const { return body_; }                 // echo
  QueueId queue() const;                                 // resolve, create_queue
  wire::SendAnswer sent() const;                         // send
  uint64_t sent_shard_slot(uint32_t index) const;        // send: where that message lies
  Messages messages() const { return Messages(body_); }  // receive, push
  uint32_t results_size() const;                         // ack, extend
  uint32_t results_failed() const;                       // ack, extend
  Errc result(uint32_t index) const;                     // ack, extend
  uint32_t peeked_size() const;                          // peek
  PeekedBody peeked(uint32_t index) const;               // peek
  std::vector<QueueDescription> queues() const;          // list_queues, queue_stats
  std::span<const wire::ShardItem> shards() const;       // server_stats
  std::vector<MoveTask> moves() const;                   // start_move, cancel_move, list_moves
  std::vector<TopicDescription> topics() const;          // create_topic, show_topic, list_topics
  std::vector<TopicSubscription> subscriptions() const;  // subscribe_topic, list_subscriptions
  std::vector<PublishedMessage> published() const;       // publish
  BackupDescription backup() const;                      // start_backup
  Bytes backup_bytes() const;                            // read_backup

 private:
  wire::Opcode opcode_ = wire::Opcode::error;
  Errc error_ = Errc::ok;
  uint32_t entry_index_ = 0xFFFFFFFF;
  uint64_t correlation_ = 0;
  std::string_view text_;
  Bytes body_;
};

inline Messages::Iterator Messages::begin() const {
  return {*this, 0};
}
inline Messages::Iterator Messages::end() const {
  return {*this, size()};
}

}  // namespace millrace::client
