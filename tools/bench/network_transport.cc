// The load over the network: one Client a lane, one epoll over all of them.
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include "clients/cpp/blocking_client.h"
#include "clients/cpp/client.h"
#include "tools/bench/server_process.h"
#include "tools/bench/transport.h"
#include "tools/bench/wait_ready.h"

namespace millrace::tools {
namespace {

using client::Answer;
using client::Client;

// Beside the sends and the subscriptions: acknowledgements, credit.
constexpr uint32_t kInflightExtra = 1000;

struct Lane {
  std::unique_ptr<Client> client;
  std::vector<client::RequestId> subscriptions;
};

class NetworkTransport final : public Transport {
 public:
  ~NetworkTransport() override {
    if (epoll_ >= 0) ::close(epoll_);
  }

  bool open(const BenchOptions& options, std::string* message) {
    client::ClientOptions client_options;
    if (!options.login.read(client_options, message)) return false;
    auto control = client::BlockingClient::connect(options.server, client_options, message);
    if (!control) return false;
    control_ = std::move(*control);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    client_options.name = "millrace-bench";
    client_options.inflight_max = options.inflight + options.queues + kInflightExtra;
    for (uint32_t i = 0; i < options.connections; ++i) {
      auto connected = Client::connect(options.server, client_options, message);
      if (!connected) return false;
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = i;
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, (*connected)->fd(), &event) != 0) {
        *message = std::string("epoll: ") + std::strerror(errno);
        return false;
      }
      lanes_.push_back({std::move(*connected), {}});
    }
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // the schedule of an open loop is finer than 50 us
    name_ = options.server.starts_with("unix:") ? "unix" : "tcp";
    server_pid_ = options.server_pid != 0
                      ? options.server_pid
                      : find_server_process(options.server, control_->async().fd());
    return true;
  }

  Result<QueueId> make_queue(const std::string& name, const QueueSettings& settings) override {
    return noting(control_->create_queue(name, settings));
  }
  Result<QueueId> find_queue(const std::string& name) override {
    return noting(control_->resolve(name));
  }
  void delete_queue(QueueId queue) override { (void)control_->delete_queue(queue); }
  Result<QueueCounters> counters(QueueId queue) override {
    const QueueId wanted[] = {queue};
    auto found = noting(control_->queue_stats(wanted));
    if (!found) return fail(found.error());
    if (found->empty()) return fail(Errc::queue_not_found);
    return found->front().counters;
  }
  std::optional<Durability> durability() const override {
    return static_cast<Durability>(control_->async().welcome().durability);
  }
  std::string_view name() const override { return name_; }
  int64_t server_pid() const override { return server_pid_; }

  void set_events(LoadEvents* events) override { events_ = events; }

  Status send(uint32_t lane, QueueId queue, Bytes run, uint32_t count, uint32_t token) override {
    return queued(lanes_[lane].client->send({.queue = queue, .count = count, .messages = run},
                                            sent(lane, token)));
  }
  Status subscribe(uint32_t lane, uint32_t subscription, QueueId queue, uint32_t batch,
                   uint64_t credit) override {
    auto subscribed = lanes_[lane].client->subscribe({.queue = queue, .messages_max = batch},
                                                     credit, pushed(lane, subscription));
    if (subscribed) lanes_[lane].subscriptions.push_back(*subscribed);
    return queued(subscribed);
  }
  Status add_credit(uint32_t lane, uint32_t subscription, uint64_t messages) override {
    return queued(lanes_[lane].client->add_credit(lanes_[lane].subscriptions[subscription],
                                                  messages, client::Callback()));
  }
  Status ack(uint32_t lane, std::span<const Receipt> receipts) override {
    return queued(lanes_[lane].client->ack(receipts, acked(lane)));
  }

  Status turn(int64_t wait_ns) override {
    bool blocked = false;
    for (Lane& lane : lanes_) {
      if (lane.client->wants_write() && !lane.client->flush()) return lost(*lane.client);
      blocked = blocked || lane.client->wants_write();
    }
    epoll_event ready[64];
    const int count = wait_ready(epoll_, ready, wait_ns, blocked);
    for (int i = 0; i < count; ++i) {
      Client& client = *lanes_[ready[i].data.u32].client;
      if (!client.receive()) return lost(client);
    }
    return failure_.empty() ? Status() : fail(Errc::connection_closed);
  }
  const std::string& failure() const override { return failure_; }

 private:
  template <class T>
  Result<T> noting(Result<T> result) {
    if (!result) failure_ = control_->error_text();
    return result;
  }
  Status queued(const Result<client::RequestId>& request) {
    if (request) return {};
    failure_ = errc_text(request.error());
    return fail(request.error());
  }
  Status lost(const Client& client) {
    failure_ = client.failure_text();
    return fail(client.failure());
  }
  void refused(std::string_view what, const Answer& answer) {
    if (failure_.empty()) failure_ = std::string(what) + ": " + std::string(answer.text());
  }

  // The callbacks capture 16 bytes, which std::function keeps without an allocation.
  client::Callback sent(uint32_t lane, uint32_t token) {
    return [this, lane, token](const Answer& answer) {
      if (!answer) refused("send", answer);
      events_->on_sent(lane, token, answer.error());
    };
  }
  client::Callback pushed(uint32_t lane, uint32_t subscription) {
    return [this, lane, subscription](const Answer& answer) {
      if (!answer) {
        refused("subscription", answer);
        return;
      }
      if (answer.opcode() != wire::Opcode::deliver) return;
      arrived_.clear();
      for (const client::ReceivedMessage message : answer.messages())
        arrived_.push_back({message.receipt, message.body});
      events_->on_arrived(lane, subscription, arrived_);
    };
  }
  client::Callback acked(uint32_t lane) {
    return [this, lane](const Answer& answer) {
      if (!answer) {
        refused("ack", answer);
        return;
      }
      events_->on_acked(lane, answer.results_size(), answer.results_failed());
    };
  }

  std::unique_ptr<client::BlockingClient> control_;
  int epoll_ = -1;
  std::vector<Lane> lanes_;
  std::vector<Arrived> arrived_;
  LoadEvents* events_ = nullptr;
  std::string name_;
  std::string failure_;
  int64_t server_pid_ = 0;
};

}  // namespace

std::unique_ptr<Transport> make_network_transport(const BenchOptions& options,
                                                  std::string* message) {
  auto transport = std::make_unique<NetworkTransport>();
  if (!transport->open(options, message)) return nullptr;
  return transport;
}

}  // namespace millrace::tools
