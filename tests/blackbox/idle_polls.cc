// millrace-idle-polls: many long polls on a real millraced: what they cost while nothing happens,
// and how soon a message finds the one that waits for it.
//
//   millrace-idle-polls --server build/tools/millraced --polls 10000 --strict
//
// The polls are spread over queues, each on a connection of its own. Every message sent must wake a
// poll of its queue, and no other. Exit 0: so it was. 1: it was not, or with --strict: more
// processor time, memory or delay than is promised. 2: the run itself failed.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "base/prng.h"
#include "clients/cpp/socket.h"
#include "tests/blackbox/server_process.h"
#include "tests/support/temporary_directory.h"
#include "tools/bench/server_process.h"
#include "tools/common/parser.h"
#include "tools/common/quantity.h"

namespace millrace::blackbox {
namespace {

constexpr int kStartMs = 20'000;
constexpr int kPatienceMs = 10'000;
constexpr uint32_t kWakes = 300;
// What is promised.
constexpr double kProcessorShareMax = 0.005;
constexpr uint64_t kBytesEachMax = 4'096;
constexpr uint64_t kWakeUsMax = 1'000;

struct PollOptions {
  std::string server;
  uint64_t polls = 1'000, queues = 100, shards = 2, idle_s = 10;
  bool strict = false;
};

// Pages in the buffers of TCP sockets, of the whole machine, both ends.
uint64_t tcp_pages() {
  std::FILE* file = std::fopen("/proc/net/sockstat", "r");
  char line[256];
  uint64_t pages = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr)
    (void)std::sscanf(line, "TCP: %*u %*s %*u %*s %*u %*s %*u %*s %*u mem %lu", &pages);
  if (file != nullptr) std::fclose(file);
  return pages;
}

class IdlePolls {
 public:
  explicit IdlePolls(const PollOptions& options) : options_(options), prng_(1) {}
  ~IdlePolls() {
    if (epoll_ >= 0) ::close(epoll_);
  }

  int go() {
    if (!start() || !make_queues() || !open_polls()) return 2;
    measure_idle();
    const bool right = wake_some();
    server_.terminate(kPatienceMs);
    return right ? report() : 1;
  }

 private:
  struct Poll {
    client::Socket socket;
    uint32_t queue = 0;
  };

  static bool failed(const std::string& why) {
    fmt::print(stderr, "millrace-idle-polls: {}\n", why);
    return false;
  }

  bool start() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < options_.polls + 200)
      return failed(fmt::format("only {} descriptors are allowed", limit.rlim_max));
    std::string why;
    const ServerCommand command{
        .program = options_.server,
        .data_directory = folder_ / "data",
        .socket_path = folder_ / "socket",
        .arguments = {"--shards", std::to_string(options_.shards), "--durability", "none",
                      "--segment-size", "4MiB", "--log-level", "error"},
        .environment = {},
        .http = "127.0.0.1:0",
        .log_path = folder_ / "log"};
    if (!server_.start(command, kStartMs, &why)) return failed(why);
    const std::string& line = server_.ready_line();
    const size_t at = line.find(" http=") + 6;
    address_ = line.substr(at, line.find(' ', at) - at);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    return connect(control_);
  }

  bool connect(client::Socket& socket) {
    std::string why;
    auto connected = client::Socket::connect(address_, kPatienceMs, &why);
    if (!connected) return failed(why);
    socket = std::move(*connected);
    return true;
  }

  bool ask(client::Socket& socket, std::string_view action, const std::string& body) const {
    const std::string request = fmt::format(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "X-Amz-Target: AmazonSQS.{}\r\nContent-Length: {}\r\n\r\n{}",
        action, body.size(), body);
    const auto written = socket.write(as_bytes(request));
    return (written && *written == request.size()) || failed("a request could not be written");
  }

  // One whole answer, which comes in one piece or soon; empty if none does, or it is no 200.
  static std::string hear(client::Socket& socket) {
    std::string heard;
    std::byte piece[8192];
    while (true) {
      const size_t head = heard.find("\r\n\r\n");
      const size_t length = heard.find("Content-Length: ");
      if (head != std::string::npos && length < head &&
          heard.size() >= head + 4 + std::strtoull(heard.c_str() + length + 16, nullptr, 10))
        return heard.starts_with("HTTP/1.1 200 ") ? heard.substr(head + 4) : "";
      if (!socket.wait(false, kPatienceMs)) return "";
      const auto read = socket.read(piece);
      if (!read) return "";
      heard.append(reinterpret_cast<const char*>(piece), *read);
    }
  }

  static std::string queue_url(uint32_t queue) {
    return fmt::format("http://localhost/000000000000/idle{}", queue);
  }

  bool make_queues() {
    for (uint32_t i = 0; i < options_.queues; ++i)
      if (!ask(control_, "CreateQueue", fmt::format(R"({{"QueueName":"idle{}"}})", i)) ||
          hear(control_).empty())
        return failed("a queue could not be made");
    return true;
  }

  bool ask_poll(Poll& poll) const {
    return ask(poll.socket, "ReceiveMessage",
               fmt::format(R"({{"QueueUrl":"{}","WaitTimeSeconds":20,"VisibilityTimeout":43200}})",
                           queue_url(poll.queue)));
  }

  bool open_polls() {
    before_ = tools::process_use(server_.pid());
    tcp_before_ = tcp_pages();
    polls_.resize(options_.polls);
    for (uint32_t i = 0; i < polls_.size(); ++i) {
      polls_[i].queue = i % static_cast<uint32_t>(options_.queues);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = i;
      if (!connect(polls_[i].socket) || !ask_poll(polls_[i]) ||
          ::epoll_ctl(epoll_, EPOLL_CTL_ADD, polls_[i].socket.fd(), &event) != 0)
        return failed(fmt::format("poll {} could not be opened", i));
    }
    ::usleep(1'000'000);  // what followed the last one is over
    return true;
  }

  // Messages sent after this are sent before the polls' 20 s are over, if --idle-seconds allows it.
  void measure_idle() {
    const auto at_first = tools::process_use(server_.pid());
    ::usleep(static_cast<useconds_t>(options_.idle_s * 1'000'000));
    const auto at_last = tools::process_use(server_.pid());
    if (!before_ || !at_first || !at_last) return;
    idle_cpu_s_ = at_last->cpu_s - at_first->cpu_s;
    bytes_each_ = at_last->rss_kb > before_->rss_kb
                      ? (at_last->rss_kb - before_->rss_kb) * 1024 / options_.polls
                      : 0;
    const uint64_t pages = tcp_pages();
    tcp_bytes_each_ = pages > tcp_before_ ? (pages - tcp_before_) * 4096 / options_.polls : 0;
  }

  bool wake_some() {
    for (uint32_t i = 0; i < kWakes; ++i)
      if (!wake_one(i)) return false;
    std::sort(wake_us_.begin(), wake_us_.end());
    return true;
  }

  bool wake_one(uint32_t number) {
    const auto queue = static_cast<uint32_t>(prng_.below(options_.queues));
    const std::string body = fmt::format("message-{}", number);
    const int64_t begin_ns = base::os_monotonic_ns();
    if (!ask(control_, "SendMessage",
             fmt::format(R"({{"QueueUrl":"{}","MessageBody":"{}"}})", queue_url(queue), body)))
      return false;
    epoll_event ready[2];
    const int count = ::epoll_wait(epoll_, ready, 2, kPatienceMs);
    wake_us_.push_back(static_cast<uint64_t>(base::os_monotonic_ns() - begin_ns) / 1000);
    if (count != 1) return failed(fmt::format("{} polls woke of a message", count));
    Poll& poll = polls_[ready[0].data.u32];
    if (poll.queue != queue) return failed("a poll of another queue woke");
    if (hear(poll.socket).find(body) == std::string::npos)
      return failed("a poll woke without the message");
    if (hear(control_).empty()) return failed("a send was not answered");
    if (::epoll_wait(epoll_, ready, 2, 0) != 0) return failed("another poll woke as well");
    return ask_poll(poll);
  }

  int report() const {
    const double share = idle_cpu_s_ / static_cast<double>(options_.idle_s);
    const uint64_t p50 = wake_us_[wake_us_.size() / 2];
    const uint64_t p99 = wake_us_[wake_us_.size() * 99 / 100];
    fmt::print(
        "{} polls on {} queues: {:.0f} ms of CPU in {} s; {} B resident each, {} B in "
        "socket buffers; {} wakes, each the right one: p50 {} us, p99 {} us\n",
        options_.polls, options_.queues, idle_cpu_s_ * 1000, options_.idle_s, bytes_each_,
        tcp_bytes_each_, wake_us_.size(), p50, p99);
    if (!options_.strict) return 0;
    return share <= kProcessorShareMax && bytes_each_ <= kBytesEachMax && p50 < kWakeUsMax ? 0 : 1;
  }

  const PollOptions options_;
  base::Prng prng_;
  TemporaryDirectory folder_;
  ServerProcess server_;
  std::string address_;
  client::Socket control_;
  std::vector<Poll> polls_;
  int epoll_ = -1;
  std::optional<tools::ProcessUse> before_;
  uint64_t tcp_before_ = 0;
  double idle_cpu_s_ = 0;
  uint64_t bytes_each_ = 0;
  uint64_t tcp_bytes_each_ = 0;
  std::vector<uint64_t> wake_us_;
};

}  // namespace
}  // namespace millrace::blackbox

int main(int argc, char** argv) {
  using namespace millrace::tools;
  millrace::blackbox::PollOptions options;
  std::string polls = "1000", queues = "100", shards = "2", idle = "10";
  Parser parser("millrace-idle-polls", "Many long polls on a real millraced.", MILLRACE_VERSION);
  parser.root()
      .option("--server", "PROGRAM", options.server, "millraced")
      .option("--polls", "N", polls, "[1000]", whole_between(1, 50'000))
      .option("--queues", "N", queues, "they are spread over [100]", whole_between(1, 10'000))
      .option("--shards", "N", shards, "[2]", whole_between(1, 64))
      .option("--idle-seconds", "S", idle, "nothing is sent, at most 15 [10]", whole_between(1, 15))
      .flag("--strict", options.strict, "the promised figures are asked for");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  options.polls = parse_whole(polls).value_or(0);
  options.queues = std::min(parse_whole(queues).value_or(0), options.polls);
  options.shards = parse_whole(shards).value_or(0);
  options.idle_s = parse_whole(idle).value_or(0);
  return millrace::blackbox::IdlePolls(options).go();
}
