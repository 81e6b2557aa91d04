// The server without traffic: addresses it takes and refuses, sockets it finds, fences it reports.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "net/listener.h"
#include "net/server.h"
#include "tests/net/fake_port.h"
#include "tests/net/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

class FakeBroker final : public Broker {
 public:
  uint16_t shard_count() const override { return 1; }
  ShardPort& shard(ShardId) override { return port; }
  const std::vector<std::string>& recovery_report() const override { return report_; }
  const std::vector<std::string>& damage_report() const override { return report_; }
  Status start_threads() override { return {}; }
  Status stop() override { return {}; }

  FakePort port;

 private:
  std::vector<std::string> report_;
};

TEST(ServerStart, SaysInOneLineWhyItCannotListen) {
  struct Row {
    const char* listen;
    Errc error;
    const char* part;
  };
  const Row rows[] = {
      {"7411", Errc::invalid_argument, "has no port"},
      {"127.0.0.1:", Errc::invalid_argument, "has no port"},
      {"127.0.0.1:65536", Errc::invalid_argument, "has no port"},
      {"127.0.0.1:-1", Errc::invalid_argument, "has no port"},
      {"127.0.0.1:80x", Errc::invalid_argument, "has no port"},
      {"example.org:80", Errc::invalid_argument, "not a numeric address"},
      {"::1:80", Errc::invalid_argument, "not a numeric address"},
      {"[::1:80", Errc::invalid_argument, "not a numeric address"},
      {"unix:", Errc::invalid_argument, "path of a unix socket"},
      {"", Errc::invalid_argument, "has no port"},
      {"0.0.0.0:0", Errc::invalid_argument, "without --insecure"},
      {"[::]:0", Errc::invalid_argument, "without --insecure"},
      {"unix:/no/such/directory/m.sock", Errc::io_error, "cannot listen on unix:/no/such"},
  };
  for (const Row& row : rows) {
    FakeBroker broker;
    std::string message;
    const auto server = Server::start(broker, {.listen = row.listen}, &message);
    ASSERT_FALSE(server) << row.listen;
    EXPECT_EQ(server.error(), row.error) << row.listen;
    EXPECT_NE(message.find(row.part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(ServerStart, FindsItsPortTaken) {
  FakeBroker first_broker;
  std::string message;
  const auto first = Server::start(first_broker, {.listen = "127.0.0.1:0"}, &message);
  ASSERT_TRUE(first) << message;
  FakeBroker second_broker;
  const auto second = Server::start(second_broker, {.listen = (*first)->address()}, &message);
  EXPECT_EQ(second.error(), Errc::address_in_use);
  EXPECT_EQ(message, "cannot listen on " + (*first)->address() + ": Address already in use");
}

TEST(ServerStart, ReplacesTheSocketOfAKilledServerAndNoOther) {
  const TemporaryDirectory directory;
  const std::string listen = "unix:" + directory.path() + "/m.sock";
  std::string message;
  {
    const Result<Address> address = parse_address(listen, &message);
    const int left_behind = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(left_behind, address->raw(), address->length), 0);
    ::close(left_behind);
  }
  FakeBroker broker;
  const auto server = Server::start(broker, {.listen = listen}, &message);
  ASSERT_TRUE(server) << message;
  FakeBroker other_broker;
  EXPECT_EQ(Server::start(other_broker, {.listen = listen}, &message).error(),
            Errc::address_in_use);
  const std::string file = directory.path() + "/file";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_EQ(Server::start(other_broker, {.listen = "unix:" + file}, &message).error(),
            Errc::address_in_use);
  EXPECT_TRUE(std::filesystem::exists(file));
}

// What a killed server leaves for a moment: its process is gone, its socket not yet.
TEST(ServerStart, WaitsForTheSocketOfADyingServer) {
  const TemporaryDirectory directory;
  for (const std::string& listen :
       {"unix:" + directory.path() + "/m.sock", std::string("127.0.0.1:0")}) {
    std::string message;
    Result<Address> address = parse_address(listen, &message);
    ASSERT_TRUE(address);
    const int dying = ::socket(address->bytes.ss_family, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(dying, address->raw(), address->length), 0);
    ASSERT_EQ(::listen(dying, 1), 0);
    address->length = sizeof address->bytes;
    ::getsockname(dying, address->raw(), &address->length);
    std::thread death([dying] {
      ::usleep(200'000);
      ::close(dying);
    });
    FakeBroker broker;
    const auto server = Server::start(broker, {.listen = address->text()}, &message);
    death.join();
    ASSERT_TRUE(server) << message;
    RawClient client((*server)->address());
    EXPECT_TRUE(client.greet());
  }
}

TEST(ServerStart, OfManyThatStartOnAnAbandonedSocketOneServes) {
  const TemporaryDirectory directory;
  const std::string listen = "unix:" + directory.path() + "/m.sock";
  for (int round = 0; round < 2; ++round) {
    std::string message;
    const Result<Address> address = parse_address(listen, &message);
    const int left_behind = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(left_behind, address->raw(), address->length), 0);
    ::close(left_behind);
    std::vector<std::unique_ptr<Listener>> live(4);
    std::vector<std::thread> starters;
    for (auto& place : live) {
      starters.emplace_back([&] {
        std::string why;
        auto listener = Listener::open(*address, 1, &why);
        if (listener) place = std::move(listener).value();
      });
    }
    for (std::thread& starter : starters)
      starter.join();
    EXPECT_EQ(std::count(live.begin(), live.end(), nullptr), 3);
    // And it is the one that a client reaches.
    RawClient client(listen);
    EXPECT_TRUE(client.connected());
  }
}

TEST(ServerStart, SaysAgainAndAgainThatItListensUnprotected) {
  testing::internal::CaptureStderr();
  {
    FakeBroker broker;
    std::string message;
    ServerOptions options{.listen = "0.0.0.0:0", .insecure_listen = true};
    options.limits.insecure_warning_ms = 20;
    const auto server = Server::start(broker, options, &message);
    ASSERT_TRUE(server) << message;
    ::usleep(400'000);
  }
  const std::string log = testing::internal::GetCapturedStderr();
  size_t lines = 0;
  const std::string_view said = "without encryption or credentials";
  for (size_t at = log.find(said); at != std::string::npos; at = log.find(said, at + 1))
    ++lines;
  EXPECT_GE(lines, 3u) << log;
}

TEST(ServerStart, ListensOnIpv6AndByNameOnLocalhost) {
  for (const char* listen : {"[::1]:0", "localhost:0"}) {
    FakeBroker broker;
    std::string message;
    const auto server = Server::start(broker, {.listen = listen}, &message);
    if (!server && message.find("[::1]") != std::string::npos) continue;  // no IPv6 here
    ASSERT_TRUE(server) << message;
    RawClient client((*server)->address());
    EXPECT_TRUE(client.greet());
  }
}

TEST(ServerFence, TellsOfAFencedShard) {
  FakeBroker broker;
  const QueueId queue = broker.port.add_queue("q");
  broker.port.send_error = Errc::shard_fenced;
  std::string message;
  const auto server = Server::start(broker, {.listen = "127.0.0.1:0"}, &message);
  ASSERT_TRUE(server) << message;
  EXPECT_FALSE((*server)->fenced());
  RawClient client((*server)->address());
  ASSERT_TRUE(client.greet());
  EXPECT_TRUE(client.ask(send(2, queue, {"x"})).is_error(Errc::shard_fenced));
  pollfd wait{.fd = (*server)->fence_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
  EXPECT_TRUE((*server)->fenced());
}

TEST(ServerFence, FindsAFenceThatNoAnswerTells) {
  FakeBroker broker;
  broker.port.is_fenced = true;
  std::string message;
  const auto server = Server::start(broker, {.listen = "127.0.0.1:0"}, &message);
  ASSERT_TRUE(server) << message;
  pollfd wait{.fd = (*server)->fence_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
}

}  // namespace
}  // namespace millrace::net::test
