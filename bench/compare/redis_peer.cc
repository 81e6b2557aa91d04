// Redis by hiredis. Lists: a message is leased by moving it to a list of the connection's own, as
// Redis documents for reliable queues. Streams: a consumer group; what is acknowledged is deleted.
#include <hiredis/hiredis.h>

#include "bench/compare/peer.h"

namespace millrace::compare {
namespace {

class RedisPeer : public Peer {
 public:
  explicit RedisPeer(const PeerOptions& options)
      : options_(options), redis_(redisConnect(options.host.c_str(), options.port)) {
    demand(redis_ != nullptr && redis_->err == 0, "redis: no connection");
  }
  ~RedisPeer() override { redisFree(redis_); }
  RedisPeer(const RedisPeer&) = delete;
  RedisPeer& operator=(const RedisPeer&) = delete;

 protected:
  struct Free {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  using Reply = std::unique_ptr<redisReply, Free>;

  void ask(const std::vector<std::string_view>& words) {
    values_.clear();
    sizes_.clear();
    for (const std::string_view word : words) {
      values_.push_back(word.data());
      sizes_.push_back(word.size());
    }
    demand(redisAppendCommandArgv(redis_, static_cast<int>(words.size()), values_.data(),
                                  sizes_.data()) == REDIS_OK,
           "redis: a command was not taken");
  }
  // Sends what was asked without waiting for answers.
  void flush() {
    for (int done = 0; done == 0;)
      demand(redisBufferWrite(redis_, &done) == REDIS_OK, "redis: the connection broke");
  }
  Reply answer() {
    void* reply = nullptr;
    demand(redisGetReply(redis_, &reply) == REDIS_OK, "redis: the connection broke");
    Reply owned(static_cast<redisReply*>(reply));
    if (owned->type == REDIS_REPLY_ERROR) demand(false, std::string("redis: ") + owned->str);
    return owned;
  }

  const PeerOptions options_;
  uint32_t asked_ = 0;

 private:
  redisContext* redis_;
  std::vector<const char*> values_;
  std::vector<size_t> sizes_;
};

class RedisLists final : public RedisPeer {
 public:
  explicit RedisLists(const PeerOptions& options)
      : RedisPeer(options), own_("leased-" + std::to_string(options.connection)) {}
  void prepare() override {
    ask({"FLUSHALL"});
    answer();
  }
  void begin_send(uint32_t count) override {
    words_.assign({"RPUSH", "work"});
    words_.insert(words_.end(), count, options_.body);
    ask(words_);
    flush();
  }
  void finish_send() override { answer(); }
  void begin_take(uint32_t count) override {
    for (asked_ = 0; asked_ < count; ++asked_)
      ask({"LMOVE", "work", own_, "LEFT", "RIGHT"});
    flush();
  }
  uint32_t finish_take() override {
    uint32_t taken = 0;
    for (; asked_ > 0; --asked_)
      taken += answer()->type == REDIS_REPLY_STRING;
    acking_ = taken > 0;
    if (acking_) {
      ask({"LPOP", own_, std::to_string(taken)});
      flush();
    }
    return taken;
  }
  void finish_ack() override {
    if (acking_) answer();
  }

 private:
  const std::string own_;
  std::vector<std::string_view> words_;
  bool acking_ = false;
};

class RedisStreams final : public RedisPeer {
 public:
  explicit RedisStreams(const PeerOptions& options)
      : RedisPeer(options), own_("c" + std::to_string(options.connection)) {}
  void prepare() override {
    ask({"FLUSHALL"});
    ask({"XGROUP", "CREATE", "work", "group", "0", "MKSTREAM"});
    answer();
    answer();
  }
  void begin_send(uint32_t count) override {
    for (asked_ = 0; asked_ < count; ++asked_)
      ask({"XADD", "work", "*", "b", options_.body});
    flush();
  }
  void finish_send() override {
    for (; asked_ > 0; --asked_)
      answer();
  }
  void begin_take(uint32_t count) override {
    ask({"XREADGROUP", "GROUP", "group", own_, "COUNT", std::to_string(count), "STREAMS", "work",
         ">"});
    flush();
  }
  uint32_t finish_take() override {
    const Reply reply = answer();
    acking_ = reply->type == REDIS_REPLY_ARRAY;
    if (!acking_) return 0;
    const redisReply* messages = reply->element[0]->element[1];
    acked_.assign({"XACK", "work", "group"});
    deleted_.assign({"XDEL", "work"});
    for (size_t i = 0; i < messages->elements; ++i) {
      const redisReply* id = messages->element[i]->element[0];
      acked_.emplace_back(id->str, id->len);
      deleted_.emplace_back(id->str, id->len);
    }
    ask(acked_);
    ask(deleted_);
    flush();
    return static_cast<uint32_t>(messages->elements);
  }
  void finish_ack() override {
    if (!acking_) return;
    answer();
    answer();
  }

 private:
  const std::string own_;
  std::vector<std::string_view> acked_;
  std::vector<std::string_view> deleted_;
  bool acking_ = false;
};

}  // namespace

std::unique_ptr<Peer> open_redis_lists(const PeerOptions& options) {
  return std::make_unique<RedisLists>(options);
}
std::unique_ptr<Peer> open_redis_streams(const PeerOptions& options) {
  return std::make_unique<RedisStreams>(options);
}

}  // namespace millrace::compare
