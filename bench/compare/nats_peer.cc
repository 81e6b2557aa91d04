// NATS JetStream by its C client: a stream of the kind work queue on files, published to without
// waiting for each answer, and asked for messages through one durable pull consumer. The library's
// own fetch waits for its messages before another connection can ask, so requests are written here
// as its protocol has them. Acknowledgements have no answers of their own.
#include <nats/nats.h>

#include "bench/compare/peer.h"

namespace millrace::compare {
namespace {

// What there is, at once; nothing is heard of a request without an answer in that time.
constexpr const char* kNext = "$JS.API.CONSUMER.MSG.NEXT.WORK.worker";
constexpr int64_t kAnswerMs = 1'000;
constexpr int64_t kPublishMs = 30'000;

void demand_nats(natsStatus status, const char* what) {
  demand(status == NATS_OK, std::string("nats: ") + what + ": " + natsStatus_GetText(status));
}

class NatsPeer final : public Peer {
 public:
  explicit NatsPeer(const PeerOptions& options) : options_(options) {
    const std::string url = "nats://" + options.host + ":" + std::to_string(options.port);
    demand_nats(natsConnection_ConnectTo(&connection_, url.c_str()), "no connection");
    jsOptions settings;
    jsOptions_Init(&settings);
    settings.PublishAsync.MaxPending = options.batch_max * 2;
    demand_nats(natsConnection_JetStream(&stream_, connection_, &settings), "no JetStream");
  }
  ~NatsPeer() override {
    natsSubscription_Destroy(subscription_);
    natsInbox_Destroy(inbox_);
    jsCtx_Destroy(stream_);
    natsConnection_Destroy(connection_);
  }
  NatsPeer(const NatsPeer&) = delete;
  NatsPeer& operator=(const NatsPeer&) = delete;

  void prepare() override {
    const char* subjects[] = {"work"};
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = "WORK";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = js_WorkQueuePolicy;
    (void)js_DeleteStream(stream_, "WORK", nullptr, nullptr);
    demand_nats(js_AddStream(nullptr, stream_, &config, nullptr, nullptr), "no stream");
    jsConsumerConfig consumer;
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = "worker";
    consumer.AckPolicy = js_AckExplicit;
    consumer.MaxAckPending = 1'000'000;
    demand_nats(js_AddConsumer(nullptr, stream_, "WORK", &consumer, nullptr, nullptr),
                "no consumer");
  }
  void begin_send(uint32_t count) override {
    for (uint32_t i = 0; i < count; ++i)
      demand_nats(js_PublishAsync(stream_, "work", options_.body.data(),
                                  static_cast<int>(options_.body.size()), nullptr),
                  "a message was not taken");
  }
  void finish_send() override {
    jsPubOptions limits;
    jsPubOptions_Init(&limits);
    limits.MaxWait = kPublishMs;
    demand_nats(js_PublishAsyncComplete(stream_, &limits), "messages were not acknowledged");
  }
  void begin_take(uint32_t count) override {
    if (subscription_ == nullptr) {
      demand_nats(natsInbox_Create(&inbox_), "no inbox");
      demand_nats(natsConnection_SubscribeSync(&subscription_, connection_, inbox_),
                  "no subscription");
    }
    wanted_ = count;
    const std::string request =
        "{\"batch\":" + std::to_string(count) + ",\"no_wait\":true,\"expires\":100000000}";
    demand_nats(natsConnection_PublishRequestString(connection_, kNext, inbox_, request.c_str()),
                "messages were not asked for");
  }
  uint32_t finish_take() override {
    uint32_t taken = 0;
    while (taken < wanted_) {
      natsMsg* message = nullptr;
      demand_nats(natsSubscription_NextMsg(&message, subscription_, kAnswerMs), "no answer");
      const char* status = nullptr;
      const bool no_more = natsMsgHeader_Get(message, "Status", &status) == NATS_OK;
      if (!no_more)
        demand_nats(natsConnection_PublishString(connection_, natsMsg_GetReply(message), "+ACK"),
                    "not acknowledged");
      natsMsg_Destroy(message);
      if (no_more) break;
      ++taken;
    }
    return taken;
  }
  void finish_ack() override {}

 private:
  const PeerOptions options_;
  natsConnection* connection_ = nullptr;
  jsCtx* stream_ = nullptr;
  natsSubscription* subscription_ = nullptr;
  natsInbox* inbox_ = nullptr;
  uint32_t wanted_ = 0;
};

}  // namespace

std::unique_ptr<Peer> open_nats(const PeerOptions& options) {
  return std::make_unique<NatsPeer>(options);
}

}  // namespace millrace::compare
