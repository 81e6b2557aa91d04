// HTTP on the real server, on both reactors.
#include <atomic>
#include <malloc.h>
#include <string>
#include <sys/resource.h>
#include <sys/time.h>
#include <thread>
#include <vector>

#include "net/http/echo_front.h"
#include "tests/net/http_client.h"
#include "tests/net/server_fixture.h"

namespace millrace::net::test {
namespace {

// Holds each request until it is told to stop waiting, and counts what happens.
class HoldingFront final : public HttpFront {
 public:
  struct Counts {
    std::atomic<int> held = 0;
    std::atomic<int> canceled = 0;
    std::atomic<int> stopped = 0;
  };
  explicit HoldingFront(Counts& counts) : counts_(counts) {}
  void handle(const HttpRequest&, HttpExchange&) override { ++counts_.held; }
  void cancel(HttpExchange&) override { ++counts_.canceled; }
  void stop_waiting(HttpExchange& exchange) override {
    ++counts_.stopped;
    exchange.answer({.body = "stopped"});
  }

 private:
  Counts& counts_;
};

constexpr std::string_view kHealth = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kHold = "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";

std::string echo(const std::string& body, const std::string& fields = "") {
  return "POST /_millrace/echo HTTP/1.1\r\nHost: h\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class HttpServer : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options_.http = "127.0.0.1:0";
    options_.http_fronts = [this](ShardPort&, HttpRouter& router) {
      router.add(std::string(kEchoPath), router.own(std::make_unique<EchoFront>()));
      router.add("/hold", router.own(std::make_unique<HoldingFront>(counts_)));
    };
  }
  const std::string& http() const { return server_->http_address(); }
  [[nodiscard]] bool reached(const std::atomic<int>& counter, int value) {
    for (int i = 0; i < 2000 && counter < value; ++i)
      ::usleep(5'000);
    return counter >= value;
  }

  HoldingFront::Counts counts_;
};

TEST_P(HttpServer, AnswersBesideTheBinaryProtocol) {
  start(2);
  HttpClient client(http());
  RawClient binary(address());
  ASSERT_TRUE(binary.greet());
  EXPECT_NE(http(), address());
  const HttpAnswer health = client.ask(kHealth);
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body, "ok\n");
  EXPECT_EQ(client.ask("HEAD /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").status, 0);
  HttpClient other(http());
  EXPECT_EQ(other.ask("GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").body, "ok\n");
  EXPECT_EQ(other.ask("POST /readyz HTTP/1.1\r\nHost: h\r\n\r\n").status, 405);
  EXPECT_EQ(other.ask("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n").status, 404);
  EXPECT_TRUE(binary.ask(frame(wire::Opcode::echo, 2)).is(wire::Opcode::echo));
}

TEST_P(HttpServer, ListensOnAUnixSocketOrNotAtAll) {
  options_.http = "unix:" + directory_.path() + "/http";
  start();
  HttpClient client(http());
  EXPECT_EQ(client.ask(kHealth).body, "ok\n");
  stop();
  options_.http = "off";
  start();
  EXPECT_EQ(http(), "off");
}

TEST_P(HttpServer, AnAddressOthersReachNeedsTheFlag) {
  start();
  std::string message;
  ServerOptions open = options_;
  open.http = "0.0.0.0:0";
  const auto refused = Server::start(*broker_, open, &message);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Errc::invalid_argument);
  EXPECT_NE(message.find("0.0.0.0"), std::string::npos) << message;
}

TEST_P(HttpServer, CarriesBodiesOfTwoMebibytes) {
  start();
  HttpClient client(http());
  std::string body(2 << 20, ' ');
  for (size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>('a' + i % 23);
  for (int i = 0; i < 3; ++i) {
    std::thread writer([&] { client.say(echo(body)); });
    const HttpAnswer answer = client.hear();
    writer.join();
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == body);
  }
  EXPECT_EQ(client.ask(echo("x", "Expect: 100-continue\r\n")).status, 100);
  EXPECT_EQ(client.hear().body, "x");
  EXPECT_EQ(client.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2097153\r\n\r\n").status,
            413);
  EXPECT_TRUE(client.at_end());
}

TEST_P(HttpServer, AnswersAThousandPipelinedRequestsInOrder) {
  start();
  HttpClient client(http());
  std::string stream;
  for (int i = 0; i < 1000; ++i)
    stream += echo("number " + std::to_string(i) + std::string(200, '.'));
  std::thread writer([&] { client.say(stream); });
  for (int i = 0; i < 1000; ++i) {
    const HttpAnswer answer = client.hear();
    EXPECT_TRUE(answer.body.starts_with("number " + std::to_string(i) + ".")) << answer.body;
  }
  writer.join();
}

TEST_P(HttpServer, NoticesWhoHangsUpWhileARequestWaits) {
  start();
  {
    HttpClient gone(http());
    HttpClient reset(http());
    gone.say(kHold);
    reset.say(std::string(kHold) + std::string(kHealth));
    ASSERT_TRUE(reached(counts_.held, 2));
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(reset.socket(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  // A close looks like a half-close at first: it is told to stop waiting, and a reset cancels.
  ASSERT_TRUE(reached(counts_.canceled, 1));
  ASSERT_TRUE(reached(counts_.stopped, 1));
  HttpClient half(http());
  half.say(kHold);
  ASSERT_TRUE(reached(counts_.held, 3));
  ::shutdown(half.socket(), SHUT_WR);
  EXPECT_EQ(half.hear().body, "stopped");
  EXPECT_TRUE(half.at_end());
  for (int i = 0; i < 2000 && server_->connections() > 0; ++i)
    ::usleep(5'000);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_P(HttpServer, AStopAnswersWhatWaitsAndCloses) {
  options_.limits.stop_ms = 600'000;  // it does not wait for its time to be up
  start(2);
  std::vector<HttpClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(http());
    clients.back().say(kHold);
  }
  HttpClient idle(http());
  EXPECT_EQ(idle.ask(kHealth).status, 200);
  ASSERT_TRUE(reached(counts_.held, 20));
  std::thread stopper([this] { server_->stop(); });
  for (HttpClient& client : clients) {
    const HttpAnswer answer = client.hear();
    EXPECT_EQ(answer.body, "stopped");
    EXPECT_TRUE(answer.says("Connection: close"));
    EXPECT_TRUE(client.at_end());
  }
  EXPECT_TRUE(idle.at_end());
  stopper.join();
}

TEST_P(HttpServer, ClosesWhoIsSlowOrSilent) {
  options_.limits.http_head_ms = 300;
  options_.limits.http_body_ms = 400;
  options_.limits.http_idle_ms = 900;
  options_.limits.linger_ms = 100;
  start();
  HttpClient head(http());
  HttpClient body(http());
  HttpClient idle(http());
  HttpClient waiting(http());
  head.say("GET / HTTP/1.1\r\nHo");
  body.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nbeginning");
  waiting.say(kHold);
  EXPECT_EQ(idle.ask(kHealth).status, 200);
  EXPECT_EQ(head.hear().status, 408);
  EXPECT_TRUE(head.at_end());
  EXPECT_EQ(body.hear().status, 408);
  EXPECT_TRUE(body.at_end());
  EXPECT_TRUE(idle.at_end());
  EXPECT_EQ(counts_.held, 1);
  EXPECT_EQ(counts_.canceled + counts_.stopped, 0);
  for (int i = 0; i < 2000 && server_->connections() > 1; ++i)
    ::usleep(5'000);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_P(HttpServer, ALargeBodyWaitsForRoomAndWhoStallsMeanwhileIsClosed) {
  options_.limits.input_bytes_free = 16 << 10;
  options_.limits.input_bytes_max = 3 << 20;
  options_.limits.stalled_input_ms = 700;
  start();
  HttpClient stalled(http());
  HttpClient healthy(http());
  const std::string body(2 << 20, 'x');
  stalled.say(
      "POST /_millrace/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "100000\r\n" +
      std::string(40 << 10, 'x'));
  EXPECT_EQ(healthy.ask(kHealth).status, 200);
  // It may be any length: both do not fit.
  std::thread writer([&] { healthy.say(echo(body)); });
  EXPECT_EQ(healthy.hear().body.size(), body.size());
  writer.join();
  const HttpAnswer refusal = stalled.hear();
  EXPECT_EQ(refusal.status, 408);
  EXPECT_EQ(refusal.body, "large input was begun and did not go on while others waited for room\n");
  EXPECT_TRUE(stalled.at_end());
}

TEST_P(HttpServer, ClosesAPeerThatNeverReads) {
  options_.limits.stalled_output_ms = 300;
  start();
  HttpClient deaf(http());
  const int small = 4096;
  ::setsockopt(deaf.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  const std::string megabyte = echo(std::string(1 << 20, 'x'));
  bool closed = false;
  for (int i = 0; i < 64 && !closed; ++i)
    closed = !deaf.say(megabyte);
  EXPECT_TRUE(closed);
}

TEST_P(HttpServer, TakesAsManyConnectionsAsTheServerDoes) {
  options_.limits.connections_max = 20;
  options_.limits.prelogin_per_address_max = 4;
  start();
  std::vector<HttpClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(http());
    ASSERT_TRUE(clients.back().connected());
  }
  // All of one address, and none has said anything yet.
  for (HttpClient& client : clients)
    ASSERT_EQ(client.ask(kHealth).status, 200);
  HttpClient refused(http());
  const HttpAnswer answer = refused.hear();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "20 connections are open, as many as this server takes\n");
  EXPECT_TRUE(refused.at_end());
  RawClient binary(address());
  EXPECT_TRUE(binary.hear().is_error(Errc::over_limit));
}

int64_t processor_us() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * int64_t{1'000'000} + use.ru_utime.tv_usec +
         use.ru_stime.tv_usec;
}

// Of the allocator, over all threads: what is in use, mapped blocks included.
size_t allocated_bytes() {
  const struct mallinfo2 use = ::mallinfo2();
  return use.uordblks + use.hblkhd;
}

TEST_P(HttpServer, AWaitingRequestCostsAFewHundredBytesAndNoProcessorTime) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer has an allocator of its own";
#endif
  constexpr int kConnections = 2'000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * kConnections + 100) GTEST_SKIP() << "too few descriptors are allowed";
  start();
  HttpClient first(http());
  ASSERT_EQ(first.ask(kHealth).status, 200);
  std::vector<HttpClient> clients;
  clients.reserve(kConnections);
  const size_t before = allocated_bytes();
  for (int i = 0; i < kConnections; ++i) {
    clients.emplace_back(http());
    ASSERT_TRUE(clients.back().connected());
    clients.back().say(kHold);
  }
  ASSERT_TRUE(reached(counts_.held, kConnections));
  const size_t each = (allocated_bytes() - before) / kConnections;
  RecordProperty("bytes_each", static_cast<int>(each));
  EXPECT_GT(each, 200u);
  EXPECT_LE(each, 1'024u);
  ::usleep(1'000'000);  // what followed the last one is over
  const int64_t used_us = processor_us();
  ::usleep(1'000'000);
  EXPECT_LT(processor_us() - used_us, 20'000);
}

INSTANTIATE_TEST_SUITE_P(Reactors, HttpServer,
                         testing::Values(ReactorKind::uring, ReactorKind::epoll), reactor_name);

}  // namespace
}  // namespace millrace::net::test
