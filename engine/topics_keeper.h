// TopicsKeeper: the one writer of topics and subscriptions, as CatalogKeeper is of queues and part
// of it: decides a change, appends its record, applies it.
//
// Threads: shard 0's.  Memory: the topics once more, and where the record of each lies.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/mailbox.h"
#include "engine/records.h"
#include "engine/topics.h"
#include "storage/log.h"

namespace millrace::engine {

class TopicsKeeper {
 public:
  // `next_id` is the catalog's, of queues too.
  explicit TopicsKeeper(uint32_t& next_id) : next_id_(next_id) {}
  void use(storage::Log& log) { log_ = &log; }

  struct Decided {
    Errc error = Errc::ok;
    std::string detail{};
    // Without error: what is told when all up to the log's end is durable, though it may be so
    // already.
    std::shared_ptr<const TopicChange> change{};
  };
  Decided decide(const Mail& mail, uint16_t shards, TimeMs now);

  // Replay and the live path. "", or what is wrong with a record that this program does not write.
  std::string on_record(const storage::Record& record);
  // Appends it again if it is in force (cleaning). Error: that of the append.
  Status carry(const storage::Record& record);

  const Topics& topics() const { return topics_; }
  // Of the last record appended.
  Position last_end() const { return last_end_; }

 private:
  struct Place {
    Position position{};
    uint64_t bytes = 0;
  };

  Decided create(const Mail& mail, uint16_t shards, TimeMs now);
  Decided set(const Mail& mail);
  Decided subscribe(const Mail& mail, TimeMs now);
  Decided set_subscription(const Mail& mail);
  Decided confirm(const Mail& mail);
  Decided remove(const Mail& mail);
  // What there may not be, of a subscription that is new or gets other attributes.
  Decided check(const TopicInfo& topic, const SubscriptionInfo& subscription,
                const SubscriptionInfo* before) const;
  // Each appends a record and applies it; the answer has what is now.
  Decided put(const TopicInfo& topic, storage::Space space);
  Decided put(const SubscriptionInfo& subscription, storage::Space space);
  Status append(RecordKind kind, Bytes body, storage::Space space);
  std::string on_topic(const storage::Record& record);
  std::string on_subscription(const storage::Record& record);
  void place(uint32_t id, const storage::Record& record);
  void unplace(uint32_t id);

  storage::Log* log_ = nullptr;
  uint32_t& next_id_;
  Topics topics_;
  std::unordered_map<uint32_t, Place> places_;  // by id, of topics and subscriptions
  // Replayed before their topic, whose attributes were set after they were written.
  std::unordered_map<TopicId, std::vector<SubscriptionInfo>> early_;
  Position last_end_{};
};

}  // namespace millrace::engine
