// The server with the real broker, over real sockets, on both reactors.
#include <cerrno>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/net/server_fixture.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

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
                         reactor_name);

}  // namespace
}  // namespace millrace::net::test
