// The load over SQS's JSON protocol: a connection a lane for what is sent, and another for what is
// received and deleted, one epoll over all of them.
//
// A lane receives by one ReceiveMessage at a time; what came is deleted before the next. With one
// request under way a connection, each waits for the answer to the one before, as clients do; with
// more, requests are pipelined.
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "base/os_clock.h"
#include "tools/bench/http_connection.h"
#include "tools/bench/server_process.h"
#include "tools/bench/sqs_requests.h"
#include "tools/bench/sqs_text.h"
#include "tools/bench/transport.h"
#include "tools/bench/wait_ready.h"

namespace millrace::tools {
namespace {

using SqsJson = nlohmann::ordered_json;  // as the report: one instantiation

constexpr int kHttpPatienceMs = 10'000;
constexpr std::string_view kEchoPath = "/_millrace/echo";
// Long enough to cost nothing, short enough for a run to end.
constexpr int kWaitSeconds = 1;

enum class Asked : uint32_t { control, send, echo, receive, remove };

struct HttpLane {
  std::unique_ptr<HttpConnection> sender, receiver;
  bool subscribed = false;
  bool receiving = false;
  uint64_t credit = 0;
  std::string handles;  // of what came in this turn; a Receipt says where
};

Receipt receipt_at(size_t offset, size_t length) {
  return {
      .shard_slot = offset, .queue_id = static_cast<uint32_t>(length), .generation = 1, .mac = 0};
}

class HttpTransport final : public Transport, public HttpAnswers {
 public:
  explicit HttpTransport(const BenchOptions& options)
      : options_(options),
        requests_(options.server.starts_with("unix:") ? "localhost" : options.server,
                  {.id = options.sign_id,
                   .secret = options.sign_secret,
                   .token = options.sign_token,
                   .region = options.region}),
        scratch_(kReadBytes),
        lanes_(options.connections) {}
  ~HttpTransport() override {
    if (epoll_ >= 0) ::close(epoll_);
  }

  bool open(std::string* message) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    control_ = connect(0, false, message);
    if (!control_) return false;
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // the schedule of an open loop is finer than 50 us
    server_pid_ = options_.server_pid != 0 ? options_.server_pid
                                           : find_server_process(options_.server, control_->fd());
    const bool sends = options_.workload != Workload::consume || options_.messages > 0;
    const bool receives =
        options_.workload != Workload::produce && options_.workload != Workload::echo;
    for (uint32_t i = 0; i < lanes_.size(); ++i) {
      if (sends && !(lanes_[i].sender = connect(i, true, message))) return false;
      if (receives && !(lanes_[i].receiver = connect(i, true, message))) return false;
    }
    return true;
  }

  Result<QueueId> make_queue(const std::string& name, const QueueSettings& settings) override {
    SqsJson body{{"QueueName", name}, {"Attributes", SqsJson::object()}};
    for (const auto& attribute : settings.attributes)
      body["Attributes"][std::string(attribute.name)] = std::string(attribute.value);
    return queue_of(call("CreateQueue", body));
  }
  Result<QueueId> find_queue(const std::string& name) override {
    return queue_of(call("GetQueueUrl", {{"QueueName", name}}));
  }
  void delete_queue(QueueId) override { (void)call("DeleteQueue", {{"QueueUrl", queue_url_}}); }
  Result<QueueCounters> counters(QueueId) override {
    constexpr const char* kNames[] = {"ApproximateNumberOfMessages",
                                      "ApproximateNumberOfMessagesNotVisible",
                                      "ApproximateNumberOfMessagesDelayed"};
    const auto answer =
        call("GetQueueAttributes", {{"QueueUrl", queue_url_}, {"AttributeNames", kNames}});
    if (!answer) return fail(answer.error());
    const SqsJson counts = answer->value("Attributes", SqsJson::object());
    const auto count = [&counts](const char* name) {
      return static_cast<uint64_t>(
          std::strtoull(counts.value(name, std::string()).c_str(), nullptr, 10));
    };
    QueueCounters counters;
    counters.ready = count(kNames[0]);
    counters.leased = count(kNames[1]);
    counters.delayed = count(kNames[2]);
    return counters;
  }
  std::optional<Durability> durability() const override { return std::nullopt; }
  std::string_view name() const override { return "http"; }
  int64_t server_pid() const override { return server_pid_; }

  void set_events(LoadEvents* events) override { events_ = events; }

  Status send(uint32_t lane, QueueId, Bytes run, uint32_t count, uint32_t token) override {
    const bool alone = options_.batch == 1;
    const std::string_view action = alone ? "SendMessage" : "SendMessageBatch";
    HttpConnection& connection = *lanes_[lane].sender;
    body_.clear();
    append_sends(body_, queue_url_, run, count, options_.size, alone);
    if (options_.workload == Workload::echo) {
      requests_.write_to(kEchoPath, action, body_, connection.out());
    } else {
      requests_.write(action, body_, now_s_, connection.out());
    }
    note_asked(connection, options_.workload == Workload::echo ? Asked::echo : Asked::send, token);
    return {};
  }
  Status subscribe(uint32_t lane, uint32_t, QueueId, uint32_t, uint64_t credit) override {
    lanes_[lane].subscribed = true;
    lanes_[lane].credit = credit;
    return {};
  }
  Status add_credit(uint32_t lane, uint32_t, uint64_t messages) override {
    lanes_[lane].credit += messages;
    return {};
  }
  Status ack(uint32_t lane, std::span<const Receipt> receipts) override {
    const bool alone = options_.batch == 1;
    handles_.clear();
    for (const Receipt& receipt : receipts)
      handles_.push_back(
          std::string_view(lanes_[lane].handles).substr(receipt.shard_slot, receipt.queue_id));
    body_.clear();
    append_deletes(body_, queue_url_, handles_, alone);
    HttpConnection& connection = *lanes_[lane].receiver;
    requests_.write(alone ? "DeleteMessage" : "DeleteMessageBatch", body_, now_s_,
                    connection.out());
    note_asked(connection, Asked::remove, static_cast<uint32_t>(receipts.size()));
    return {};
  }

  Status turn(int64_t wait_ns) override {
    now_s_ = base::os_wall_ms() / 1000;
    bool blocked = false;
    for (HttpLane& lane : lanes_) {
      lane.handles.clear();  // what came was acknowledged since
      receive_more(lane);
      for (HttpConnection* connection : {lane.sender.get(), lane.receiver.get()}) {
        if (connection == nullptr || !connection->wants_write()) continue;
        if (Status flushed = connection->flush(); !flushed) return lost(flushed.error());
        blocked = blocked || connection->wants_write();
      }
    }
    epoll_event ready[256];
    const int count = wait_ready(epoll_, ready, wait_ns, blocked);
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<HttpConnection*>(ready[i].data.ptr);
      if (Status received = connection.receive(scratch_); !received) return lost(received.error());
    }
    return failure_.empty() ? Status() : fail(Errc::connection_closed);
  }
  const std::string& failure() const override { return failure_; }

 private:
  static constexpr size_t kReadBytes = 256 * 1024;

  std::unique_ptr<HttpConnection> connect(uint32_t lane, bool watched, std::string* message) {
    auto connected = client::Socket::connect(options_.server, 5000, message);
    if (!connected) return nullptr;
    auto connection = std::make_unique<HttpConnection>(std::move(*connected), lane, *this);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connection.get();
    if (watched && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event) != 0) {
      *message = std::string("epoll: ") + std::strerror(errno);
      return nullptr;
    }
    return connection;
  }

  void note_asked(HttpConnection& connection, Asked what, uint32_t token) {
    connection.asked({static_cast<uint32_t>(what), token, body_.size()});
  }

  void receive_more(HttpLane& lane) {
    if (!lane.subscribed || lane.receiving || lane.credit < options_.batch ||
        lane.receiver->under_way() >= options_.inflight)
      return;
    if (receive_body_.empty())
      receive_body_ = SqsJson{
          {"QueueUrl", queue_url_},
          {"MaxNumberOfMessages", options_.batch},
          {"WaitTimeSeconds",
           kWaitSeconds}}.dump();
    requests_.write("ReceiveMessage", receive_body_, now_s_, lane.receiver->out());
    note_asked(*lane.receiver, Asked::receive, 0);
    lane.receiving = true;
  }

  bool on_answer(HttpConnection& connection, HttpAsked asked, uint32_t status,
                 std::string& body) override {
    const Asked what{asked.kind};
    if (what == Asked::control) {
      control_status_ = status;
      control_answer_ = std::move(body);
      return true;
    }
    if (status != 200) return refused(fmt::format("{} {}", status, body));
    const uint32_t lane = connection.lane();
    switch (what) {
      case Asked::echo:
        if (body.size() != asked.bytes) return refused("an echo is not as long as what was said");
        events_->on_sent(lane, asked.token, Errc::ok);
        return true;
      case Asked::send:
        if (failed_entries(body) > 0) return refused(body);
        events_->on_sent(lane, asked.token, Errc::ok);
        return true;
      case Asked::receive:
        lanes_[lane].receiving = false;
        return on_received(lane, body) || refused("an answer is no ReceiveMessage's: " + body);
      case Asked::remove:
        events_->on_acked(lane, asked.token, failed_entries(body));
        return true;
      case Asked::control:
        break;
    }
    return false;
  }

  bool on_received(uint32_t index, std::string& body) {
    if (!texts_.read(body)) return false;
    HttpLane& lane = lanes_[index];
    arrived_.clear();
    for (const ReceivedTexts::Message& message : texts_.messages()) {
      arrived_.push_back({receipt_at(lane.handles.size(), message.handle.size()), message.stamp});
      lane.handles += message.handle;
    }
    lane.credit -= std::min<uint64_t>(lane.credit, arrived_.size());
    if (!arrived_.empty()) events_->on_arrived(index, 0, arrived_);
    return true;
  }

  // One request, and its answer waited for. A refusal's text is kept.
  Result<SqsJson> call(std::string_view action, const SqsJson& body) {
    requests_.write(action, body.dump(), base::os_wall_ms() / 1000, control_->out());
    note_asked(*control_, Asked::control, 0);
    const int64_t end_ns = base::os_monotonic_ns() + int64_t{kHttpPatienceMs} * 1'000'000;
    while (control_->under_way() > 0) {
      Status moved = control_->flush();
      if (moved) (void)control_->socket().wait(control_->wants_write(), 100);
      if (moved) moved = control_->receive(scratch_);
      if (moved && base::os_monotonic_ns() > end_ns) moved = fail(Errc::timed_out);
      if (!moved) {
        (void)lost(moved.error());
        return fail(moved.error());
      }
    }
    SqsJson answer = base::parse_bounded_json<SqsJson>(control_answer_);
    if (control_status_ == 200 && (answer.is_object() || control_answer_.empty())) return answer;
    failure_ = fmt::format("{}: {} {}", action, control_status_, control_answer_);
    return fail(Errc::invalid_argument);
  }
  Result<QueueId> queue_of(const Result<SqsJson>& answer) {
    if (!answer) return fail(answer.error());
    queue_url_ = answer->value("QueueUrl", std::string());
    return QueueId{};
  }

  Status lost(Errc error) {
    if (failure_.empty())
      failure_ = error == Errc::malformed ? "an answer is not HTTP, or not to what was asked"
                                          : errc_text(error);
    return fail(error);
  }
  bool refused(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
    return false;
  }

  const BenchOptions& options_;
  SqsRequests requests_;
  std::vector<std::byte> scratch_;
  int epoll_ = -1;
  std::unique_ptr<HttpConnection> control_;
  uint32_t control_status_ = 0;
  std::string control_answer_;
  std::vector<HttpLane> lanes_;
  std::string queue_url_;
  std::string receive_body_;
  std::string body_;
  ReceivedTexts texts_;
  std::vector<Arrived> arrived_;
  std::vector<std::string_view> handles_;
  LoadEvents* events_ = nullptr;
  int64_t now_s_ = base::os_wall_ms() / 1000;
  int64_t server_pid_ = 0;
  std::string failure_;
};

}  // namespace

std::unique_ptr<Transport> make_http_transport(const BenchOptions& options, std::string* message) {
  auto transport = std::make_unique<HttpTransport>(options);
  if (!transport->open(message)) return nullptr;
  return transport;
}

}  // namespace millrace::tools
