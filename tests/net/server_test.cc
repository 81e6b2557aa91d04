// The server with the real broker, over real sockets, on both reactors.
#include "net/server.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "net/listener.h"
#include "tests/net/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

class ServerTest : public testing::TestWithParam<ReactorKind> {
 protected:
  void SetUp() override {
    std::string reason;
    if (!make_reactor({.kind = GetParam()}, &reason)) GTEST_SKIP() << reason;
    options_.listen = "127.0.0.1:0";
    options_.reactor = GetParam();
  }
  void TearDown() override { stop(); }

  void start(uint16_t shards = 1) {
    std::string message;
    BrokerOptions broker_options;
    broker_options.data_directory = directory_.path() + "/data";
    broker_options.shards = shards;
    broker_options.segment_bytes = 4u << 20;
    auto broker = Broker::open(broker_options, &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(broker).value();
    auto server = Server::start(*broker_, options_, &message);
    ASSERT_TRUE(server) << message;
    server_ = std::move(server).value();
  }
  void stop() {
    server_.reset();
    broker_.reset();
  }
  const std::string& address() const { return server_->address(); }

  TemporaryDirectory directory_;
  ServerOptions options_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Server> server_;
};

TEST_P(ServerTest, ServesAConversation) {
  start();
  EXPECT_EQ(server_->reactor(), GetParam() == ReactorKind::epoll ? "epoll" : "io_uring");
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  const QueueId queue = client.create("orders");
  EXPECT_EQ(client.ask(frame(Opcode::resolve, 3, padded("orders"))).as<wire::QueueRef>().queue_id,
            raw(queue));
  const auto sent = client.ask(send(4, queue, {"one", "two", "three"})).as<wire::SendAnswer>();
  EXPECT_EQ(sent.count, 3u);
  EXPECT_EQ(sent.durability, static_cast<uint8_t>(Durability::commit));
  const Answer received = client.ask(receive(5, queue, 10));
  ASSERT_TRUE(received.is(Opcode::receive)) << received.error_text();
  EXPECT_EQ(received.as<wire::DeliveryHeader>().count, 3u);
  EXPECT_EQ(client.ask(ack(6, received.receipts())).as<wire::ResultsAnswer>().failed, 0u);
  EXPECT_EQ(client.ask(receive(7, queue, 10)).as<wire::DeliveryHeader>().count, 0u);
  const uint32_t ids[2] = {raw(queue), 0};
  const Answer stats =
      client.ask(frame(Opcode::queue_stats, 8, bytes_of(wire::CountBody{1, 0}) + bytes_of(ids)));
  EXPECT_EQ(stats.as<wire::QueueItem>(sizeof(wire::CountBody)).acked, 3u);
}

TEST_P(ServerTest, ServesOnAUnixSocketForItsOwnerOnly) {
  const std::string path = directory_.path() + "/m.sock";
  options_.listen = "unix:" + path;
  start(2);
  EXPECT_EQ(address(), "unix:" + path);
  struct stat file {};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777u, 0600u);
  for (int i = 0; i < 5; ++i) {
    RawClient client(address());
    EXPECT_TRUE(client.greet());
  }
  stop();
  EXPECT_NE(::stat(path.c_str(), &file), 0);
}

TEST_P(ServerTest, PipelinesAndServesLargeBatches) {
  start();
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  const QueueId queue = client.create("big");
  const std::vector<std::string> batch(100, std::string(40'000, 'b'));
  std::thread writer([&] {
    for (uint64_t i = 0; i < 10; ++i)
      client.say(send(10 + i, queue, batch));
  });
  size_t sent = 0;
  for (int i = 0; i < 10; ++i)
    sent += client.hear().as<wire::SendAnswer>().count;
  writer.join();
  EXPECT_EQ(sent, 1000u);
  size_t received = 0;
  for (uint64_t correlation = 30; received < 1000 && correlation < 200; correlation += 2) {
    const Answer answer = client.ask(receive(correlation, queue, 100));
    ASSERT_TRUE(answer.is(Opcode::receive));
    received += answer.receipts().size();
    EXPECT_EQ(client.ask(ack(correlation + 1, answer.receipts())).as<wire::ResultsAnswer>().failed,
              0u);
  }
  EXPECT_EQ(received, 1000u);
}

TEST_P(ServerTest, AnEchoStreamComesBackWhole) {
  start();
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  constexpr uint64_t kFrames = 5000;
  std::thread writer([&] {
    ByteString bytes;
    for (uint64_t i = 0; i < kFrames; ++i) {
      bytes =
          std::move(bytes) +
          frame(Opcode::echo, 2 + i, padded(std::string(i % 200, static_cast<char>('a' + i % 26))));
      if (i % 100 == 99) {
        client.say(bytes);
        bytes.clear();
      }
    }
  });
  for (uint64_t i = 0; i < kFrames; ++i) {
    const Answer answer = client.hear();
    if (answer.header.correlation != 2 + i || !answer.is(Opcode::echo)) {
      ADD_FAILURE() << "frame " << i;
      break;
    }
    EXPECT_EQ(answer.body, padded(std::string(i % 200, static_cast<char>('a' + i % 26))));
  }
  writer.join();
}

TEST_P(ServerTest, AWaitingReceiveIsServedByAnotherConnectionsSend) {
  start(2);
  RawClient consumer(address());
  RawClient producer(address());
  ASSERT_TRUE(consumer.greet() && producer.greet());
  const QueueId queue = producer.create("q");
  consumer.say(receive(2, queue, 10, 10'000));
  EXPECT_EQ(producer.ask(send(3, queue, {"now"})).as<wire::SendAnswer>().count, 1u);
  EXPECT_EQ(consumer.hear().as<wire::DeliveryHeader>().count, 1u);
}

TEST_P(ServerTest, PushesToASubscription) {
  start(2);
  RawClient consumer(address());
  RawClient producer(address());
  ASSERT_TRUE(consumer.greet() && producer.greet());
  const QueueId queue = producer.create("q");
  EXPECT_TRUE(consumer.ask(subscribe(2, queue, 10, 1000)).is(Opcode::subscribe));
  for (uint64_t i = 0; i < 20; ++i) {
    producer.ask(send(3 + i, queue, {"a", "b", "c", "d", "e"}));
  }
  size_t delivered = 0;
  while (delivered < 100) {
    const Answer pushed = consumer.hear();
    ASSERT_EQ(pushed.header.opcode, static_cast<uint8_t>(Opcode::deliver));
    ASSERT_EQ(pushed.header.correlation, 2u);
    delivered += pushed.receipts().size();
  }
  EXPECT_EQ(delivered, 100u);
}

TEST_P(ServerTest, BadInputIsAnsweredAndOtherClientsDoNotNotice) {
  start();
  RawClient good(address());
  ASSERT_TRUE(good.greet());
  const QueueId queue = good.create("q");
  const std::pair<ByteString, Errc> cases[] = {
      {padded("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Errc::frame_too_large},
      {ByteString(4096), Errc::malformed},
      {hello() + hello(), Errc::protocol_violation},
      {hello() + frame(Opcode::ack, 2, bytes_of(wire::CountBody{1u << 31, 0})), Errc::malformed},
  };
  uint64_t correlation = 3;
  for (const auto& [bytes, code] : cases) {
    RawClient bad(address());
    bad.say(bytes);
    Answer answer = bad.hear();
    if (answer.is(Opcode::hello)) answer = bad.hear();
    EXPECT_TRUE(answer.is_error(code)) << errc_name(code);
    EXPECT_TRUE(bad.at_end());
    EXPECT_EQ(good.ask(send(correlation++, queue, {"still here"})).as<wire::SendAnswer>().count,
              1u);
  }
}

TEST_P(ServerTest, AFatalErrorIsReadThoughMoreInputWasOnItsWay) {
  start();
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  ByteString bytes = frame(Opcode::echo, 1);
  bytes.resize(bytes.size() + (2 << 20));
  std::thread writer([&] { client.say(bytes); });
  EXPECT_TRUE(client.hear().is_error(Errc::protocol_violation));
  EXPECT_TRUE(client.at_end());
  ::shutdown(client.socket(), SHUT_RDWR);
  writer.join();
}

TEST_P(ServerTest, AfterAHalfCloseTheAnswersStillCome) {
  start();
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  const QueueId queue = client.create("q");
  client.say(send(3, queue, {"x"}) + receive(4, queue, 1, 60'000) + receive(5, queue, 1, 60'000));
  ::shutdown(client.socket(), SHUT_WR);
  int sends = 0;
  int receives = 0;
  for (int i = 0; i < 3; ++i) {
    const Answer answer = client.hear();
    sends += answer.is(Opcode::send) ? 1 : 0;
    receives += answer.header.correlation >= 4 ? 1 : 0;
  }
  EXPECT_EQ(sends, 1);
  EXPECT_EQ(receives, 2);
  EXPECT_TRUE(client.at_end());
}

// More requests than may be under way at once, in one write with the end.
TEST_P(ServerTest, AfterAHalfCloseAllWholeRequestsAreServed) {
  options_.limits.inflight_max = 4;
  start();
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  const QueueId queue = client.create("q");
  ByteString bytes;
  constexpr uint64_t kSends = 200;
  for (uint64_t i = 0; i < kSends; ++i)
    bytes = std::move(bytes) + send(3 + i, queue, {"m"});
  client.say(bytes);
  ::shutdown(client.socket(), SHUT_WR);
  for (uint64_t i = 0; i < kSends; ++i)
    ASSERT_TRUE(client.hear().is(Opcode::send)) << i;
  EXPECT_TRUE(client.at_end());
}

TEST_P(ServerTest, ClosesWhoDoesNotFinishAFrame) {
  options_.limits.frame_ms = 300;
  start();
  RawClient slow(address());
  RawClient idle(address());
  ASSERT_TRUE(slow.greet() && idle.greet());
  const ByteString bytes = frame(Opcode::echo, 2, ByteString(1000));
  slow.say({bytes.begin(), bytes.begin() + 500});
  const Answer answer = slow.hear();
  EXPECT_TRUE(answer.is_error(Errc::timed_out)) << answer.error_text();
  EXPECT_TRUE(slow.at_end());
  // Who is between frames may be silent for as long as it likes.
  EXPECT_TRUE(idle.ask(frame(Opcode::echo, 2)).is(Opcode::echo));
}

TEST_P(ServerTest, ALargeFrameWaitsForRoomAndWhoStallsMeanwhileIsClosed) {
  options_.limits.input_bytes_free = 16 << 10;
  options_.limits.input_bytes_max = 7 << 20;
  options_.limits.stalled_input_ms = 700;
  start();
  RawClient smaller(address());
  RawClient larger(address());
  RawClient healthy(address());
  ASSERT_TRUE(smaller.greet() && larger.greet() && healthy.greet());
  const auto stall = [](RawClient& client, size_t bytes) {
    const ByteString begun = frame(Opcode::echo, 2, ByteString(bytes));
    client.say({begun.begin(), begun.begin() + (40 << 10)});
  };
  stall(smaller, 2 << 20);
  stall(larger, 3 << 20);
  EXPECT_TRUE(healthy.ask(frame(Opcode::echo, 2)).is(Opcode::echo));
  // Its frame fits only when the larger of the two is gone. (Much larger than what a socket's
  // buffer takes: io_uring still brings what had been received when reading was paused.)
  const ByteString large = frame(Opcode::echo, 3, ByteString(4 << 20));
  std::thread writer([&] { healthy.say(large); });
  const Answer answer = healthy.hear();
  writer.join();
  EXPECT_TRUE(answer.is(Opcode::echo));
  EXPECT_EQ(answer.body.size(), size_t{4} << 20);
  const Answer refusal = larger.hear();
  EXPECT_TRUE(refusal.is_error(Errc::throttled)) << errc_name(refusal.status());
  EXPECT_TRUE(larger.at_end());
  // The smaller one was not in the way.
  const ByteString begun = frame(Opcode::echo, 2, ByteString(2 << 20));
  std::thread finisher([&] { smaller.say({begun.begin() + (40 << 10), begun.end()}); });
  EXPECT_TRUE(smaller.hear().is(Opcode::echo));
  finisher.join();
}

uint64_t resident_kb() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  uint64_t resident = 0;
  statm >> pages >> resident;
  return resident * 4;
}

TEST_P(ServerTest, HalvesOfFramesDoNotFillTheMemory) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer's own memory is in the figure";
#endif
  options_.limits.input_bytes_max = 8 << 20;
  start();
  const uint64_t before = resident_kb();
  ByteString begun = frame(Opcode::echo, 2, ByteString((8 << 20) - 24));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    ASSERT_TRUE(clients.back()->greet());
  }
  // What the server does not read stays in the sockets' buffers, and then here.
  for (int round = 0; round < 20; ++round) {
    for (auto& client : clients)
      (void)!::send(client->socket(), begun.data(), 256 << 10, MSG_DONTWAIT | MSG_NOSIGNAL);
    ::usleep(5'000);
  }
  const uint64_t after = resident_kb();
  // 60 x 64 KiB and one frame of 8 MiB with the buffer it outgrew; all that was offered is 300 MiB.
  // io_uring also brings what the sockets had received when reading was paused.
  EXPECT_LT(after - std::min(before, after),
            GetParam() == ReactorKind::epoll ? uint64_t{48} << 10 : uint64_t{144} << 10);
}

TEST_P(ServerTest, ClosesAPeerThatNeverReads) {
  options_.limits.stalled_output_ms = 300;
  start();
  RawClient deaf(address());
  ASSERT_TRUE(deaf.greet());
  int small = 4096;
  ::setsockopt(deaf.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  // 64 MiB of echoes: more than all buffers between us. The server stops reading, then closes.
  const ByteString megabyte(1 << 20);
  timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(deaf.socket(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  bool closed = false;
  for (uint64_t i = 0; i < 64 && !closed; ++i) {
    closed = !deaf.say(frame(Opcode::echo, 2 + i, megabyte));
  }
  EXPECT_TRUE(closed);
  RawClient other(address());
  EXPECT_TRUE(other.greet());
}

TEST_P(ServerTest, ClosesWhoDoesNotSayHello) {
  options_.limits.login_ms = 100;
  start();
  RawClient silent(address());
  RawClient slow(address());
  const ByteString greeting = hello();
  slow.say({greeting.begin(), greeting.begin() + 10});
  EXPECT_TRUE(silent.hear().is_error(Errc::timed_out));
  EXPECT_TRUE(silent.at_end());
  EXPECT_TRUE(slow.hear().is_error(Errc::timed_out));
}

TEST_P(ServerTest, RefusesMoreThanItTakes) {
  options_.limits.connections_max = 3;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    ASSERT_TRUE(clients.back()->greet());
  }
  EXPECT_EQ(server_->connections(), 3u);
  RawClient fourth(address());
  EXPECT_TRUE(fourth.hear().is_error(Errc::over_limit));
  EXPECT_TRUE(fourth.at_end());
  clients.pop_back();
  bool served = false;
  for (int i = 0; i < 100 && !served; ++i) {
    RawClient again(address());
    served = again.ask(hello()).is(Opcode::hello);
    if (!served) ::usleep(10'000);
  }
  EXPECT_TRUE(served);
}

TEST_P(ServerTest, RefusesTooManyOfAnAddressThatHaveNotLoggedIn) {
  options_.limits.prelogin_per_address_max = 2;
  start();
  RawClient first(address());
  ASSERT_TRUE(first.greet());
  RawClient second(address());
  RawClient third(address());
  RawClient fourth(address());
  EXPECT_TRUE(fourth.hear().is_error(Errc::over_limit));
  EXPECT_TRUE(second.greet());
}

TEST_P(ServerTest, AStopAnswersWhatIsUnderWayAndNothingIsLost) {
  start(2);
  RawClient client(address());
  ASSERT_TRUE(client.greet());
  const QueueId queue = client.create("q");
  ASSERT_EQ(client.ask(send(3, queue, {"kept"})).as<wire::SendAnswer>().count, 1u);
  client.ask(receive(4, queue, 1));
  client.say(receive(5, queue, 1, 60'000));
  client.ask(frame(Opcode::echo, 6));
  std::thread stopper([&] { server_->stop(); });
  EXPECT_TRUE(client.hear().is_error(Errc::shutting_down));
  EXPECT_TRUE(client.at_end());
  stopper.join();
  RawClient late(address());
  EXPECT_FALSE(late.connected());
  stop();
  start(2);
  RawClient again(address());
  ASSERT_TRUE(again.greet());
  const Answer stats = again.ask(frame(Opcode::queue_stats, 2, bytes_of(wire::CountBody{0, 0})));
  EXPECT_EQ(stats.as<wire::QueueItem>(sizeof(wire::CountBody)).leased, 1u);
}

TEST_P(ServerTest, DrivesTheBrokerWithoutListening) {
  options_.listen = "off";
  start(2);
  EXPECT_EQ(address(), "off");
  server_->stop();
  server_->stop();
}

TEST_P(ServerTest, ConnectionsComeAndGo) {
  start(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<RawClient>(address()));
      if (i % 3 == 0) continue;  // some never speak
      clients.back()->say(hello());
      if (i % 3 == 1) {
        EXPECT_TRUE(clients.back()->hear().is(Opcode::hello));
      }
    }
  }
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    gone = server_->connections() == 0;
    if (!gone) ::usleep(10'000);
  }
  EXPECT_TRUE(gone);
}

INSTANTIATE_TEST_SUITE_P(, ServerTest, testing::Values(ReactorKind::epoll, ReactorKind::uring),
                         [](const testing::TestParamInfo<ReactorKind>& kind) {
                           return kind.param == ReactorKind::epoll ? "epoll" : "uring";
                         });

// --- what needs no traffic ---

class FakeBroker final : public Broker {
 public:
  uint16_t shard_count() const override { return 1; }
  ShardPort& shard(ShardId) override { return port; }
  const std::vector<std::string>& recovery_report() const override { return report_; }
  Status start_threads() override { return {}; }
  Status stop() override { return {}; }

  FakePort port;

 private:
  std::vector<std::string> report_;
};

TEST(Server, SaysInOneLineWhyItCannotListen) {
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

TEST(Server, FindsItsPortTaken) {
  FakeBroker first_broker;
  std::string message;
  const auto first = Server::start(first_broker, {.listen = "127.0.0.1:0"}, &message);
  ASSERT_TRUE(first) << message;
  FakeBroker second_broker;
  const auto second = Server::start(second_broker, {.listen = (*first)->address()}, &message);
  EXPECT_EQ(second.error(), Errc::address_in_use);
  EXPECT_EQ(message, "cannot listen on " + (*first)->address() + ": Address already in use");
}

TEST(Server, ReplacesTheSocketOfAKilledServerAndNoOther) {
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
TEST(Server, WaitsForTheSocketOfADyingServer) {
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

TEST(Server, OfManyThatStartOnAnAbandonedSocketOneServes) {
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

TEST(Server, SaysAgainAndAgainThatItListensUnprotected) {
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

TEST(Server, ListensOnIpv6AndByNameOnLocalhost) {
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

TEST(Server, TellsOfAFencedShard) {
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

TEST(Server, FindsAFenceThatNoAnswerTells) {
  FakeBroker broker;
  broker.port.fenced = true;
  std::string message;
  const auto server = Server::start(broker, {.listen = "127.0.0.1:0"}, &message);
  ASSERT_TRUE(server) << message;
  RawClient client((*server)->address());
  ASSERT_TRUE(client.greet());
  pollfd wait{.fd = (*server)->fence_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
}

}  // namespace
}  // namespace millrace::net::test
