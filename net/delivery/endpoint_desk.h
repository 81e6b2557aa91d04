// EndpointDesk: what a server has to do with an endpoint outside besides delivering to it: looks
// whether it may be reached before it is subscribed, asks it to confirm, and tells it of its end.
//
// What it sends is signed, tried again as the topic's delivery policy says, and forgotten when the
// server stops: who subscribes again is asked again.
//
// Threads: shard-local; what is lent lives as long as the desk.
// Memory: what it has under way, kLettersMax letters of some kilobytes at most.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "millrace/engine.h"
#include "net/aws/request_id.h"
#include "net/delivery/poster.h"
#include "net/topics/delivery_policy.h"
#include "net/topics/envelope.h"
#include "net/topics/signer.h"

namespace millrace::net::delivery {

// A subscription, as its letters call it.
struct LetterAbout {
  std::string endpoint;
  std::string token;
  Uuid uuid{};
  TopicId topic{};
  std::string topic_arn;
  std::string base_url;  // where links lead
};

class EndpointDesk {
 public:
  static constexpr size_t kLettersMax = 10'000;

  EndpointDesk(ShardPort& port, topics::Signer& signer, Poster& poster, std::function<void()> wake,
               uint64_t seed);

  // What is wrong with an endpoint of a subscription by `protocol`, at once or later; "" if nothing
  // is. In SNS's words without its "Invalid parameter: ".
  using Judged = std::function<void(const std::string& fault)>;
  void judge(std::string_view protocol, std::string_view endpoint, Judged judged);

  void ask_to_confirm(LetterAbout about);
  void tell_of_end(LetterAbout about);
  // Once in each turn of the shard's loop.
  void turn();
  size_t under_way() const { return letters_.size(); }

 private:
  struct Letter {
    LetterAbout about;
    std::string type;
    std::string message;
    std::string message_id;
    std::string subscribe_url;
    std::string timestamp;
    std::string signature_version;
    topics::DeliveryPolicy policy;
    Post post{};
    uint32_t tries = 0;
    int64_t due_ns = INT64_MAX;            // when it is tried again
    topics::Confirmation content() const;  // views of it
  };

  void send(LetterAbout about, bool ends);
  void put_signature(uint64_t number, std::string_view signature, const topics::SigningKey& key);
  void post(uint64_t number);
  void posted(uint64_t number, Posted& posted);

  ShardPort& port_;
  topics::SigningDesk signing_;
  PostingDesk posting_;
  RequestIds ids_;
  std::unordered_map<uint64_t, Letter> letters_;  // by number
  uint64_t next_ = 0;
  int64_t due_ns_ = INT64_MAX;  // the earliest of them
};

}  // namespace millrace::net::delivery
