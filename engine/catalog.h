// Catalog: which queues and outboxes exist, as every shard sees them: its own copy, changed only by
// what the catalog's log has made durable. Also the bodies of the catalog's records.
//
// Threads: shard-local (each shard has a copy).  Memory: a QueueInfo and two table entries a queue;
// at most kQueuesMax.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/records.h"
#include "millrace/engine.h"

namespace millrace::engine {

class Catalog {
 public:
  // All live until the queue is changed or removed; counters are zero.
  const QueueInfo* find(std::string_view name) const;
  const QueueInfo* find(QueueId id) const;
  const QueueInfo* find_outbox(QueueId id) const;
  const QueueInfo* find_any(QueueId id) const {
    const QueueInfo* queue = find(id);
    return queue != nullptr ? queue : find_outbox(id);
  }
  // By name, those that begin with `prefix` and are greater than `after`, at most `max`.
  void list(std::string_view prefix, std::string_view after, uint32_t max,
            std::vector<QueueInfo>* queues) const;
  size_t size() const { return by_id_.size(); }
  // A FIFO queue whose groups would be at home elsewhere if there were more than `shards`: one that
  // is spread past the last of them and goes on with the first, as earlier versions made them.
  const QueueInfo* tied_to(uint16_t shards) const;

  void put(const QueueInfo& queue);  // new, or new attributes for an id that is known
  void put_outbox(const QueueInfo& outbox);
  void remove(QueueId id);  // or an outbox

  template <class F>
  void for_each(F&& f) const {
    for (const auto& [name, queue] : by_name_)
      f(*queue);
  }

 private:
  std::map<std::string, std::unique_ptr<QueueInfo>, std::less<>> by_name_;
  std::unordered_map<QueueId, QueueInfo*> by_id_;
  std::unordered_map<QueueId, QueueInfo> outboxes_;  // in none of the others
};

// The body of a queue_put record, and back. Nothing if it does not hold what it claims, or if there
// is more of the queue than this version knows: `why` then gets a line, unless it has one.
std::vector<std::byte> encode_queue(const QueueInfo& queue);
std::optional<QueueInfo> decode_queue(Bytes body, std::string* why);

}  // namespace millrace::engine
