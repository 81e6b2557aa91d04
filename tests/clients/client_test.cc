// The asynchronous client against a scripted server: order, bounds, and a server that errs.
#include "clients/cpp/client.h"

#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "clients/cpp/socket.h"
#include "tests/clients/fake_server.h"

namespace millrace::client {
namespace {

using wire::Opcode;

std::unique_ptr<Client> connect(const FakeServer& server, ClientOptions options = {}) {
  std::string why;
  auto client = Client::connect(server.address(), options, &why);
  EXPECT_TRUE(client) << why;
  return client ? std::move(*client) : nullptr;
}

// Turns until nothing is under way; false if that takes too long.
bool drain(Client& client) {
  for (int turn = 0; turn < 200 && client.in_flight() > 0; ++turn)
    if (!client.poll(50)) break;
  return client.in_flight() == 0;
}

TEST(Client, ChecksumCoversHeaderAndBodyAsTheProtocolSays) {
  ByteQueue out(64);
  std::byte* body = begin_frame(out, Opcode::echo, 7, 16);
  std::memset(body, 0x5A, 16);
  seal_frame(body, 16);
  ASSERT_EQ(out.size(), 40u);
  const auto header = take<wire::FrameHeader>(out.front());
  EXPECT_EQ(header.length, 40u);
  EXPECT_EQ(header.correlation, 7u);
  std::byte hashed[32];
  std::memcpy(hashed, out.front(), 16);
  std::memcpy(hashed + 16, body, 16);
  EXPECT_EQ(header.checksum, base::hash64(hashed, sizeof hashed, wire::kMagic));
}

// A unix socket says EAGAIN while its backlog is full.
TEST(Client, WaitsForRoomInAFullBacklog) {
  const TemporaryDirectory directory;
  const std::string path = directory / "socket";
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, address, sizeof name), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  std::vector<int> waiting;
  int error = 0;
  while (error == 0 && waiting.size() < 100) {
    waiting.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(waiting.back(), address, sizeof name) != 0) error = errno;
  }
  ASSERT_EQ(error, EAGAIN);
  std::string why;
  EXPECT_EQ(Socket::connect("unix:" + path, 30, &why).error(), Errc::timed_out) << why;
  std::thread server([&] {
    ::usleep(50'000);
    waiting.push_back(::accept(listener, nullptr, nullptr));
  });
  auto made = Socket::connect("unix:" + path, 10'000, &why);
  server.join();
  ASSERT_TRUE(made) << why;
  EXPECT_EQ(made->write(as_bytes("x")).value(), 1u);  // connected indeed
  for (const int fd : waiting)
    ::close(fd);
  ::close(listener);
}

TEST(Client, AnswersFindTheirRequestsWhateverTheOrder) {
  std::vector<Frame> held;
  std::vector<std::string> bodies;
  FakeServer server([&](const Frame& frame, ByteQueue& out) {
    held.push_back(frame);
    bodies.emplace_back(as_text(frame.body));
    if (held.size() < 3) return true;
    for (size_t i = 3; i > 0; --i)
      FakeServer::answer(out, held[i - 1], as_bytes(bodies[i - 1]));
    return true;
  });
  auto client = connect(server);
  std::vector<std::string> seen;
  for (const char* text : {"first...", "second..", "third..."})
    ASSERT_TRUE(client->echo(as_bytes(text), [&seen, text](const Answer& answer) {
      ASSERT_TRUE(answer);
      EXPECT_EQ(as_text(answer.echoed()), text);
      seen.emplace_back(text);
    }));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(seen, (std::vector<std::string>{"third...", "second..", "first..."}));
}

TEST(Client, RefusesMoreThanMayBeUnderWay) {
  FakeServer server([](const Frame&, ByteQueue&) { return true; }, 2);
  auto client = connect(server);
  ASSERT_EQ(client->inflight_max(), 2u);
  int failed = 0;
  const auto count = [&](const Answer& answer) { failed += answer ? 0 : 1; };
  EXPECT_TRUE(client->echo({}, count));
  EXPECT_TRUE(client->echo({}, count));
  EXPECT_EQ(client->echo({}, count).error(), Errc::throttled);
  client->close();
  EXPECT_EQ(failed, 2);
  EXPECT_EQ(client->echo({}, count).error(), Errc::connection_closed);
}

TEST(Client, CorrelationIdsRiseThoughSlotsAreReused) {
  uint64_t last = 0;
  bool rising = true;
  FakeServer server([&](const Frame& frame, ByteQueue& out) {
    rising = rising && frame.header.correlation > last;
    last = frame.header.correlation;
    FakeServer::answer(out, frame, frame.body);
    return true;
  });
  auto client = connect(server, {.inflight_max = 3});
  int answered = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(client->echo(as_bytes("12345678"), [&](const Answer&) { ++answered; }));
    ASSERT_TRUE(drain(*client));
  }
  EXPECT_EQ(answered, 60);
  EXPECT_TRUE(rising);
}

TEST(Client, AnErrorFrameCarriesItsTextAndEntry) {
  FakeServer server([](const Frame& frame, ByteQueue& out) {
    FakeServer::error(out, frame.header.correlation, Errc::message_too_large, "message 3 is 9 MiB",
                      3);
    return true;
  });
  auto client = connect(server);
  MessageBatch batch;
  ASSERT_TRUE(batch.add("x"));
  bool called = false;
  ASSERT_TRUE(client->send(QueueId{1}, batch, [&](const Answer& answer) {
    called = true;
    EXPECT_EQ(answer.error(), Errc::message_too_large);
    EXPECT_EQ(answer.text(), "message 3 is 9 MiB");
    EXPECT_EQ(answer.entry_index(), 3u);
  }));
  EXPECT_TRUE(drain(*client));
  EXPECT_TRUE(called);
  EXPECT_TRUE(client->open());
}

TEST(Client, ALostConnectionEndsEverythingUnderWay) {
  FakeServer server([](const Frame&, ByteQueue&) { return false; });
  auto client = connect(server);
  std::vector<Errc> errors;
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(client->echo({}, [&](const Answer& answer) { errors.push_back(answer.error()); }));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(errors, std::vector<Errc>(3, Errc::connection_closed));
  EXPECT_FALSE(client->open());
}

TEST(Client, TheConnectionsLastWordsAreItsFailureText) {
  FakeServer server([](const Frame&, ByteQueue& out) {
    FakeServer::error(out, 0, Errc::shutting_down, "the broker stops", 0xFFFFFFFF);
    return false;
  });
  auto client = connect(server);
  ASSERT_TRUE(client->echo({}, nullptr));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(client->failure(), Errc::shutting_down);
  EXPECT_EQ(client->failure_text(), "the broker stops");
}

// What a run of two messages is in the answer to a RECEIVE.
std::vector<std::byte> delivery_of_two(uint32_t second_offset) {
  MessageBatch batch;
  EXPECT_TRUE(batch.add(as_bytes("hello"), 0, as_bytes("properties")));
  EXPECT_TRUE(batch.add("second"));
  const Bytes run = batch.run();
  std::vector<std::byte> body(sizeof(wire::DeliveryHeader) + 2 * sizeof(wire::DeliveryEntry) +
                              run.size());
  std::byte* at = put(body.data(), wire::DeliveryHeader{2, static_cast<uint32_t>(run.size())});
  at = put(at, wire::DeliveryEntry{{1, 2, 3, 4}, 1000, 1, 0});
  at = put(at, wire::DeliveryEntry{{5, 6, 7, 8}, 2000, 9, second_offset});
  put_padded(at, run);
  return body;
}

TEST(Client, DeliveriesAreSeenAsTheyWereSent) {
  FakeServer server([](const Frame& frame, ByteQueue& out) {
    FakeServer::answer(out, frame, delivery_of_two(32));
    return true;
  });
  auto client = connect(server);
  std::vector<std::string> bodies;
  ASSERT_TRUE(client->receive({.queue = QueueId{1}}, [&](const Answer& answer) {
    ASSERT_TRUE(answer);
    for (const ReceivedMessage m : answer.messages())
      bodies.push_back(std::string(as_text(m.properties)) + "|" + std::string(as_text(m.body)));
    EXPECT_EQ(answer.messages()[1].receive_count, 9u);
    EXPECT_EQ(answer.messages().receipt(1).mac, 8u);
  }));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(bodies, (std::vector<std::string>{"properties|hello", "|second"}));
}

TEST(Client, AnAnswerThatDoesNotFitItsCountsEndsTheConnection) {
  const struct {
    const char* what;
    std::function<std::vector<std::byte>()> body;
  } rows[] = {
      {"no header", [] { return std::vector<std::byte>(); }},
      {"offset past the run", [] { return delivery_of_two(4096); }},
      {"offset in the last message", [] { return delivery_of_two(40); }},
      {"count past the frame",
       [] {
         auto body = delivery_of_two(32);
         body[2] = std::byte{1};
         return body;
       }},
  };
  for (const auto& row : rows) {
    FakeServer server([&](const Frame& frame, ByteQueue& out) {
      FakeServer::answer(out, frame, row.body());
      return true;
    });
    auto client = connect(server);
    Errc error = Errc::ok;
    ASSERT_TRUE(client->receive({.queue = QueueId{1}},
                                [&](const Answer& answer) { error = answer.error(); }));
    EXPECT_TRUE(drain(*client)) << row.what;
    EXPECT_EQ(error, Errc::connection_closed) << row.what;
    EXPECT_EQ(client->failure(), Errc::malformed) << row.what;
  }
}

TEST(Client, ADamagedFrameEndsTheConnection) {
  FakeServer server([](const Frame& frame, ByteQueue& out) {
    const size_t before = out.size();
    FakeServer::answer(out, frame, as_bytes("12345678"));
    out.front()[before + 24] ^= std::byte{1};
    return true;
  });
  auto client = connect(server);
  ASSERT_TRUE(client->echo(as_bytes("12345678"), nullptr));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(client->failure(), Errc::corrupt);
}

TEST(Client, ASubscriptionIsCalledForEachPushUntilItIsEnded) {
  uint64_t subscription = 0;
  FakeServer server([&](const Frame& frame, ByteQueue& out) {
    const auto opcode = static_cast<Opcode>(frame.header.opcode);
    if (opcode == Opcode::subscribe) {
      subscription = frame.header.correlation;
      FakeServer::answer(out, frame, std::as_bytes(std::span(&subscription, 1)));
      for (int i = 0; i < 3; ++i)
        FakeServer::reply(out, static_cast<int>(Opcode::deliver), subscription,
                          delivery_of_two(32));
    } else {
      EXPECT_EQ(take<uint64_t>(frame.body.data()), subscription);
      FakeServer::answer(out, frame, {});
    }
    return true;
  });
  auto client = connect(server);
  int accepted = 0;
  int pushed = 0;
  auto id =
      client->subscribe({.queue = QueueId{1}, .messages_max = 2}, 6, [&](const Answer& answer) {
        ASSERT_TRUE(answer);
        if (answer.opcode() == Opcode::subscribe) ++accepted;
        if (answer.opcode() == Opcode::deliver)
          pushed += static_cast<int>(answer.messages().size());
      });
  ASSERT_TRUE(id);
  for (int turn = 0; turn < 100 && pushed < 6; ++turn)
    ASSERT_TRUE(client->poll(50));
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(pushed, 6);
  EXPECT_EQ(client->in_flight(), 1u);
  ASSERT_TRUE(client->unsubscribe(*id, nullptr));
  EXPECT_TRUE(drain(*client));
}

TEST(Client, FramesLargerThanTheBuffersArriveWhole) {
  FakeServer server([](const Frame& frame, ByteQueue& out) {
    FakeServer::answer(out, frame, frame.body);
    return true;
  });
  auto client = connect(server, {.receive_buffer_bytes = 4096});
  const std::string large(3u << 20, 'x');
  size_t came = 0;
  ASSERT_TRUE(client->echo(as_bytes(large), [&](const Answer& answer) {
    came = answer.echoed().size();
    EXPECT_EQ(as_text(answer.echoed()), large);
  }));
  EXPECT_TRUE(drain(*client));
  EXPECT_EQ(came, large.size());
}

TEST(Client, RefusesAnAddressOrAListenerThatIsNone) {
  for (const char* address :
       {"", "localhost", ":7411", "127.0.0.1:", "127.0.0.1:notaport", "unix:"}) {
    std::string why;
    EXPECT_EQ(Client::connect(address, {}, &why).error(), Errc::invalid_argument) << address;
    EXPECT_NE(why.find(address), std::string::npos);
  }
  std::string why;
  EXPECT_EQ(Client::connect("unix:/nonexistent/socket", {}, &why).error(), Errc::connection_closed);
  EXPECT_NE(why.find("/nonexistent/socket"), std::string::npos);
}

TEST(MessageBatch, LaysMessagesOutAsTheLogKeepsThem) {
  MessageBatch batch;
  ASSERT_TRUE(batch.add(as_bytes("body"), 250, as_bytes("props")));
  ASSERT_TRUE(batch.add(""));
  EXPECT_EQ(batch.count(), 2u);
  ASSERT_EQ(batch.run().size(), 16u + 16u + 16u);
  const auto first = take<MessageHeader>(batch.run().data());
  EXPECT_EQ(first.body_bytes, 4u);
  EXPECT_EQ(first.properties_bytes, 5u);
  EXPECT_EQ(first.delay_ms, 250u);
  EXPECT_EQ(as_text(batch.run().subspan(16, 9)), "propsbody");
  EXPECT_EQ(take<MessageHeader>(batch.run().data() + 32).delay_ms, kDelayQueueDefault);
}

TEST(MessageBatch, RefusesWhatTheServerWouldRefuseAndStaysAsItWas) {
  MessageBatch batch;
  const std::string largest(kMessageBytesMax, 'x');
  EXPECT_EQ(batch.add(largest + "x").error(), Errc::message_too_large);
  EXPECT_EQ(batch.add(as_bytes(largest), 0, as_bytes("p")).error(), Errc::message_too_large);
  EXPECT_EQ(batch.add("x", kMessageDelayMsMax + 1).error(), Errc::invalid_argument);
  EXPECT_TRUE(batch.empty());
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(batch.add(largest));
  EXPECT_EQ(batch.add(largest).error(), Errc::batch_too_large);
  EXPECT_EQ(batch.count(), 3u);
  batch.clear();
  for (uint32_t i = 0; i < kBatchMessagesMax; ++i)
    ASSERT_TRUE(batch.add("x"));
  EXPECT_EQ(batch.add("x").error(), Errc::batch_too_large);
}

}  // namespace
}  // namespace millrace::client
