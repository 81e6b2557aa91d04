// The load against the library: a broker in this process, every shard driven by this thread.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include "base/os_clock.h"
#include "tools/bench/transport.h"

namespace millrace::tools {
namespace {

// A request's token: what it is, its lane, the load's own token.
enum class Kind : uint64_t { send = 1, arrivals = 2, ack = 3, admin = 4 };
constexpr int kKindShift = 56;
constexpr int kLaneShift = 32;

uint64_t pack(Kind kind, uint32_t lane, uint32_t token = 0) {
  return static_cast<uint64_t>(kind) << kKindShift | uint64_t{lane} << kLaneShift | token;
}
uint32_t lane_of(uint64_t packed) {
  return static_cast<uint32_t>(packed >> kLaneShift & 0xFFFFFF);
}

class EmbeddedTransport final : public Transport, public ReplySink {
 public:
  ~EmbeddedTransport() override {
    if (broker_) {
      for (uint16_t i = 0; i < broker_->shard_count(); ++i)
        broker_->shard(ShardId{i}).cancel_all(this);
      (void)broker_->stop();
      broker_.reset();
    }
    if (wake_ >= 0) ::close(wake_);
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
  }

  bool open(const BenchOptions& options, std::string* message) {
    BrokerOptions broker_options;
    broker_options.shards = options.shards;
    broker_options.durability = options.durability;
    broker_options.data_directory = options.data;
    if (options.data.empty()) {
      const char* place = std::getenv("TMPDIR");
      temporary_ = std::string(place != nullptr ? place : "/tmp") + "/millrace-bench-XXXXXX";
      if (::mkdtemp(temporary_.data()) == nullptr) {
        *message = temporary_ + ": " + std::strerror(errno);
        temporary_.clear();
        return false;
      }
      broker_options.data_directory = temporary_ + "/data";
    }
    auto opened = Broker::open(broker_options, message);
    if (!opened) return false;
    broker_ = std::move(*opened);
    durability_ = options.durability;
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      broker_->shard(ShardId{i}).set_waker([this] {
        const uint64_t one = 1;
        (void)!::write(wake_, &one, sizeof one);
      });
    return true;
  }

  Result<QueueId> make_queue(const std::string& name, const QueueSettings& settings) override {
    return admin_queue([&] { shard(0).create_queue(name, settings, admin()); });
  }
  Result<QueueId> find_queue(const std::string& name) override {
    const QueueInfo* found = shard(0).find_queue(name);
    if (found != nullptr) return found->id;
    failure_ = errc_text(Errc::queue_not_found);
    return fail(Errc::queue_not_found);
  }
  void delete_queue(QueueId queue) override {
    shard(0).delete_queue(queue, admin());
    (void)wait_for_admin();
  }
  Result<QueueCounters> counters(QueueId queue) override {
    const QueueId wanted[] = {queue};
    const Result<QueueId> found = admin_queue([&] { shard(0).queue_stats(wanted, admin()); });
    if (!found) return fail(found.error());
    return admin_counters_;
  }
  std::optional<Durability> durability() const override { return durability_; }
  std::string_view name() const override { return "embedded"; }
  int64_t server_pid() const override { return ::getpid(); }

  void set_events(LoadEvents* events) override { events_ = events; }
  Status send(uint32_t lane, QueueId queue, Bytes run, uint32_t count, uint32_t token) override {
    shard(lane).send({.queue = queue, .count = count, .messages = run},
                     {this, pack(Kind::send, lane, token)});
    return {};
  }
  Status subscribe(uint32_t lane, uint32_t subscription, QueueId queue, uint32_t batch,
                   uint64_t credit) override {
    return noting(shard(lane).subscribe({.queue = queue, .messages_max = batch}, credit,
                                        {this, pack(Kind::arrivals, lane, subscription)}));
  }
  Status add_credit(uint32_t lane, uint32_t subscription, uint64_t messages) override {
    return noting(
        shard(lane).add_credit({this, pack(Kind::arrivals, lane, subscription)}, messages));
  }
  Status ack(uint32_t lane, std::span<const Receipt> receipts) override {
    shard(lane).ack({receipts}, {this, pack(Kind::ack, lane)});
    return {};
  }

  Status turn(int64_t wait_ns) override {
    moved_ = false;
    const bool more = tick_all();
    if (!failure_.empty()) return fail(Errc::connection_closed);
    if (more || moved_ || wait_ns == 0) return {};
    sleep(wait_ns);
    (void)tick_all();
    return failure_.empty() ? Status() : fail(Errc::connection_closed);
  }
  const std::string& failure() const override { return failure_; }

  // --- ReplySink ---
  void on_send(uint64_t token, const SendReply& reply) override {
    moved_ = true;
    note(reply.error);
    events_->on_sent(lane_of(token), static_cast<uint32_t>(token), reply.error);
  }
  void on_receive(uint64_t token, const ReceiveReply& reply) override {
    moved_ = true;
    if (!note(reply.error)) return;
    arrived_.clear();
    for (const Delivery& delivery : reply.deliveries) {
      MessageHeader header{};
      std::memcpy(&header, delivery.message.data(), sizeof header);
      arrived_.push_back(
          {delivery.receipt,
           delivery.message.subspan(sizeof header + header.properties_bytes, header.body_bytes)});
    }
    events_->on_arrived(lane_of(token), static_cast<uint32_t>(token), arrived_);
  }
  void on_results(uint64_t token, const ResultsReply& reply) override {
    moved_ = true;
    if (!note(reply.error)) return;
    uint32_t refused = 0;
    for (const Errc result : reply.results)
      refused += result == Errc::ok ? 0 : 1;
    events_->on_acked(lane_of(token), static_cast<uint32_t>(reply.results.size()), refused);
  }
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply& reply) override {
    admin_done_ = true;
    admin_error_ = reply.error;
    admin_detail_ = reply.detail;
    if (reply.queues.empty()) return;
    admin_queue_ = reply.queues.front().id;
    admin_counters_ = reply.queues.front().counters;
  }
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

 private:
  ShardPort& shard(uint32_t lane) {
    return broker_->shard(ShardId{static_cast<uint16_t>(lane % broker_->shard_count())});
  }
  ReplyTo admin() {
    admin_done_ = false;
    return {this, pack(Kind::admin, 0)};
  }
  bool tick_all() {
    bool more = false;
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      more = broker_->shard(ShardId{i}).tick() || more;
    return more;
  }
  // Until a shard's waker, its next deadline, or `wait_ns`.
  void sleep(int64_t wait_ns) {
    for (uint16_t i = 0; i < broker_->shard_count(); ++i) {
      ShardPort& port = broker_->shard(ShardId{i});
      const TimeMs due = port.next_deadline();
      if (due != kNever)
        wait_ns = std::min(wait_ns, std::max<int64_t>(0, due - port.now()) * 1'000'000);
    }
    pollfd woken{wake_, POLLIN, 0};
    const timespec wait{wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
    if (::ppoll(&woken, 1, &wait, nullptr) == 1) {
      uint64_t times = 0;
      (void)!::read(wake_, &times, sizeof times);
    }
  }
  Status wait_for_admin() {
    constexpr int64_t kPatienceNs = 10'000'000'000;
    const int64_t give_up_ns = base::os_monotonic_ns() + kPatienceNs;
    while (!admin_done_ && base::os_monotonic_ns() < give_up_ns) {
      if (!tick_all() && !admin_done_) sleep(1'000'000);
    }
    if (!admin_done_) admin_error_ = Errc::timed_out;
    if (admin_error_ == Errc::ok) return {};
    failure_ = admin_detail_.empty() ? errc_text(admin_error_) : admin_detail_;
    return fail(admin_error_);
  }
  template <class Start>
  Result<QueueId> admin_queue(Start start) {
    start();
    if (Status done = wait_for_admin(); !done) return fail(done.error());
    return admin_queue_;
  }
  bool note(Errc error) {
    if (error != Errc::ok && failure_.empty()) failure_ = errc_text(error);
    return error == Errc::ok;
  }
  Status noting(Status status) {
    note(status.error());
    return status;
  }

  std::unique_ptr<Broker> broker_;
  Durability durability_{};
  std::string temporary_;
  int wake_ = -1;
  LoadEvents* events_ = nullptr;
  std::vector<Arrived> arrived_;
  bool moved_ = false;
  bool admin_done_ = false;
  Errc admin_error_ = Errc::ok;
  std::string admin_detail_;
  QueueId admin_queue_{};
  QueueCounters admin_counters_;
  std::string failure_;
};

}  // namespace

std::unique_ptr<Transport> make_embedded_transport(const BenchOptions& options,
                                                   std::string* message) {
  auto transport = std::make_unique<EmbeddedTransport>();
  if (!transport->open(options, message)) return nullptr;
  return transport;
}

}  // namespace millrace::tools
