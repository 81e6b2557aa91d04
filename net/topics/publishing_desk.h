// PublishingDesk: the TopicDesk of one shard of a server: the messages of PUBLISH frames, checked
// as those of SNS are and given to a Publisher of its own.
//
// A message with a fault is refused for itself; the others of its frame are published together.
//
// Threads: shard-local; what is lent lives as long as the desk.
// Memory: the Publisher's, and some 100 bytes for each message under way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/aws/authorizer.h"
#include "net/binary/topic_desk.h"
#include "net/topics/publisher.h"

namespace millrace::net::topics {

struct DeskParts {
  ShardPort& port;
  Signer& signer;
  std::function<void()> wake;  // see SigningDesk
  std::unique_ptr<Authorizer> authorizer;
  PublishFigures* figures = nullptr;  // null: nobody counts
  uint64_t seed = 0;                  // of message ids
  std::string account;
  std::string region;    // of the ARNs that it makes
  std::string base_url;  // where links in envelopes lead
  bool accept_undeliverable = false;
};

class PublishingDesk final : public TopicDesk, private PublishSink {
 public:
  explicit PublishingDesk(DeskParts parts);

  void publish(std::string_view topic, std::span<const PublishEntry> entries,
               PublishListener& listener, uint64_t token) override;
  void forget(PublishListener& listener) override;
  void turn() override { publisher_.turn(); }
  std::string settings_fault(const TopicSettings& settings) override;
  std::string read_endpoint(std::string_view protocol, std::string_view endpoint,
                            SubscribeRequest* request, std::string* kept) override;
  std::string arn_of(std::string_view topic) const override;
  TopicCounts counts_of(TopicId topic) const override;

 private:
  // A frame's messages; those without an error are the Publisher's, in their order.
  struct Under {
    PublishListener* listener = nullptr;  // null: it is gone
    uint64_t token = 0;
    std::vector<PublishEntryResult> results;
  };
  void on_published(uint64_t number, const Published& published) override;

  ShardPort& port_;
  const std::unique_ptr<Authorizer> authorizer_;
  const std::string account_;
  const std::string region_;
  const std::string base_url_;
  const bool accept_undeliverable_;
  const PublishFigures* const figures_;
  Publisher publisher_;
  std::unordered_map<uint64_t, Under> under_way_;  // by number
  uint64_t next_ = 0;
};

}  // namespace millrace::net::topics
