// RabbitMQ by librabbitmq: persistent messages to a durable queue, classic or quorum, with
// publisher confirms; consumed with a prefetch of one batch, acknowledged a batch at a time.
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <sys/time.h>

#include "bench/compare/peer.h"

namespace millrace::compare {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr int kFrameBytesMax = 131'072;

class RabbitPeer final : public Peer {
 public:
  explicit RabbitPeer(const PeerOptions& options)
      : options_(options), connection_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(connection_);
    demand(socket != nullptr &&
               amqp_socket_open(socket, options.host.c_str(), options.port) == AMQP_STATUS_OK,
           "rabbitmq: no connection");
    demand_rpc(amqp_login(connection_, "/", 0, kFrameBytesMax, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                          "guest"),
               "no log-in");
    amqp_channel_open(connection_, kChannel);
    demand_rpc(amqp_get_rpc_reply(connection_), "no channel");
    queue_ = amqp_cstring_bytes("work");
  }
  ~RabbitPeer() override {
    (void)amqp_connection_close(connection_, AMQP_REPLY_SUCCESS);
    (void)amqp_destroy_connection(connection_);
  }
  RabbitPeer(const RabbitPeer&) = delete;
  RabbitPeer& operator=(const RabbitPeer&) = delete;

  void prepare() override {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes("x-queue-type");
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(options_.variant.c_str());
    const amqp_table_t arguments{1, &entry};
    amqp_queue_declare(connection_, kChannel, queue_, 0, 1, 0, 0, arguments);
    demand_rpc(amqp_get_rpc_reply(connection_), "no queue");
  }
  void begin_send(uint32_t count) override {
    if (!confirms_) {
      amqp_confirm_select(connection_, kChannel);
      demand_rpc(amqp_get_rpc_reply(connection_), "no confirms");
      confirms_ = true;
    }
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = 2;
    const amqp_bytes_t body{options_.body.size(), const_cast<char*>(options_.body.data())};
    for (uint32_t i = 0; i < count; ++i)
      demand(amqp_basic_publish(connection_, kChannel, amqp_empty_bytes, queue_, 0, 0, &properties,
                                body) == AMQP_STATUS_OK,
             "rabbitmq: a message was not taken");
    published_ += count;
  }
  void finish_send() override {
    while (confirmed_ < published_) {
      amqp_frame_t frame;
      demand(amqp_simple_wait_frame(connection_, &frame) == AMQP_STATUS_OK &&
                 frame.frame_type == AMQP_FRAME_METHOD &&
                 frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
             "rabbitmq: a message was not confirmed");
      const auto* ack = static_cast<const amqp_basic_ack_t*>(frame.payload.method.decoded);
      confirmed_ = ack->multiple ? ack->delivery_tag : confirmed_ + 1;
      amqp_maybe_release_buffers(connection_);
    }
  }
  void begin_take(uint32_t count) override {
    if (!consuming_) {
      amqp_basic_qos(connection_, kChannel, 0, static_cast<uint16_t>(count), 0);
      demand_rpc(amqp_get_rpc_reply(connection_), "no prefetch");
      amqp_basic_consume(connection_, kChannel, queue_, amqp_empty_bytes, 0, 0, 0,
                         amqp_empty_table);
      demand_rpc(amqp_get_rpc_reply(connection_), "no consumer");
      consuming_ = true;
    }
    wanted_ = count;
  }
  uint32_t finish_take() override {
    uint32_t taken = 0;
    uint64_t last = 0;
    while (taken < wanted_) {
      amqp_envelope_t envelope;
      const timeval none{0, 1'000};
      const amqp_rpc_reply_t got = amqp_consume_message(connection_, &envelope, &none, 0);
      if (got.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
          got.library_error == AMQP_STATUS_TIMEOUT)
        break;
      demand_rpc(got, "nothing was delivered");
      last = envelope.delivery_tag;
      amqp_destroy_envelope(&envelope);
      ++taken;
    }
    if (taken > 0)
      demand(amqp_basic_ack(connection_, kChannel, last, 1) == AMQP_STATUS_OK,
             "rabbitmq: not acknowledged");
    amqp_maybe_release_buffers(connection_);
    return taken;
  }
  void finish_ack() override {}

 private:
  static void demand_rpc(const amqp_rpc_reply_t& reply, const char* what) {
    demand(reply.reply_type == AMQP_RESPONSE_NORMAL, std::string("rabbitmq: ") + what);
  }

  const PeerOptions options_;
  amqp_connection_state_t connection_;
  amqp_bytes_t queue_{};
  bool confirms_ = false;
  bool consuming_ = false;
  uint32_t wanted_ = 0;
  uint64_t published_ = 0;
  uint64_t confirmed_ = 0;
};

}  // namespace

std::unique_ptr<Peer> open_rabbitmq(const PeerOptions& options) {
  return std::make_unique<RabbitPeer>(options);
}

}  // namespace millrace::compare
