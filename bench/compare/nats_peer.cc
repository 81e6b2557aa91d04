// NATS JetStream by its C client: a stream of the kind work queue on files, published to without
// waiting for each answer, fetched from by one durable pull consumer. Acknowledgements have no
// answers of their own.
#include <nats/nats.h>

#include "bench/compare/peer.h"

namespace millrace::compare {
namespace {

constexpr int64_t kFetchMs = 1'000;
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
    demand_nats(natsConnection_Flush(connection_), "not flushed");
  }
  void finish_send() override {
    jsPubOptions limits;
    jsPubOptions_Init(&limits);
    limits.MaxWait = kPublishMs;
    demand_nats(js_PublishAsyncComplete(stream_, &limits), "messages were not acknowledged");
  }
  void begin_take(uint32_t count) override {
    if (subscription_ == nullptr) {
      jsSubOptions bound;
      jsSubOptions_Init(&bound);
      bound.Stream = "WORK";
      bound.Consumer = "worker";
      demand_nats(
          js_PullSubscribe(&subscription_, stream_, "work", "worker", nullptr, &bound, nullptr),
          "no subscription");
    }
    wanted_ = static_cast<int>(count);
  }
  uint32_t finish_take() override {
    natsMsgList list{};
    const natsStatus status =
        natsSubscription_Fetch(&list, subscription_, wanted_, kFetchMs, nullptr);
    if (status == NATS_TIMEOUT || status == NATS_NOT_FOUND) return 0;
    demand_nats(status, "nothing was fetched");
    for (int i = 0; i < list.Count; ++i)
      demand_nats(natsMsg_Ack(list.Msgs[i], nullptr), "not acknowledged");
    const auto taken = static_cast<uint32_t>(list.Count);
    natsMsgList_Destroy(&list);
    return taken;
  }
  void finish_ack() override {}

 private:
  const PeerOptions options_;
  natsConnection* connection_ = nullptr;
  jsCtx* stream_ = nullptr;
  natsSubscription* subscription_ = nullptr;
  int wanted_ = 0;
};

}  // namespace

std::unique_ptr<Peer> open_nats(const PeerOptions& options) {
  return std::make_unique<NatsPeer>(options);
}

}  // namespace millrace::compare
