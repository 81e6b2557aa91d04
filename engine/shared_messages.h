// SharedMessages: which messages of a shard's log are in several queues, and in how many still.
//
// A published message is written once and is in every queue that wants it. What its queues add to
// the log's accounts is their reference each (kReferenceBytes); the message itself is accounted
// here, until the last of them is gone.
//
// Threads: shard-local.  Memory: some 30 bytes for each message that is in several queues.
#pragma once

#include <cstdint>

#include <boost/unordered/unordered_flat_map.hpp>

#include "engine/records.h"
#include "storage/format.h"
#include "storage/log.h"

namespace millrace::engine {

inline constexpr uint64_t kReferenceBytes = sizeof(SharedReference);
// Of that what carrying it adds, in the measure of Log::add_apart().
inline constexpr uint64_t kSharedApartBytes =
    sizeof(storage::RecordHeader) + sizeof(CarrySharedHead) + sizeof(SharedHead);

// What carrying a shared message takes beside its references.
constexpr uint64_t shared_cost(const MessageHeader& header) {
  return kSharedApartBytes + message_stride(header);
}

class SharedMessages {
 public:
  // `position` of its header. References that come with one record are added together.
  void add(storage::Log& log, Position position, const MessageHeader& header, uint32_t references) {
    if (references == 0) return;
    const auto bytes = static_cast<uint32_t>(shared_cost(header));
    messages_[position.value] = {references, bytes};
    log.add_live(position, bytes);
    log.add_apart(kSharedApartBytes);
  }
  // False: it is none that is known.
  [[nodiscard]] bool remove(storage::Log& log, Position position) {
    const auto found = messages_.find(position.value);
    if (found == messages_.end()) return false;
    if (--found->second.references > 0) return true;
    log.remove_live(position, found->second.bytes);
    log.remove_apart(kSharedApartBytes);
    messages_.erase(found);
    return true;
  }
  // Calls f(Position, uint32_t references, uint32_t bytes) for each, in no order.
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [position, message] : messages_)
      f(Position{position}, message.references, message.bytes);
  }
  // From a checkpoint; accounted by account(), once the log is open.
  void put(Position position, uint32_t references, uint32_t bytes) {
    messages_[position.value] = {references, bytes};
  }
  void account(storage::Log& log) const {
    for_each([&](Position position, uint32_t, uint32_t bytes) {
      log.add_live(position, bytes);
      log.add_apart(kSharedApartBytes);
    });
  }
  // A reference that is not accounted; nothing happens if it is to none of these.
  void forget(Position position) {
    const auto found = messages_.find(position.value);
    if (found != messages_.end() && --found->second.references == 0) messages_.erase(found);
  }
  size_t size() const { return messages_.size(); }
  uint64_t memory_bytes() const {
    return messages_.bucket_count() * (sizeof(uint64_t) + sizeof(Message) + 1);
  }

 private:
  struct Message {
    uint32_t references;
    uint32_t bytes;
  };
  boost::unordered_flat_map<uint64_t, Message> messages_;
};

}  // namespace millrace::engine
