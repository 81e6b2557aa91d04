// What the server does with peers that are slow, silent or too many, on both reactors.
#include <algorithm>
#include <fstream>
#include <memory>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/net/server_fixture.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

class ServerLimits : public ServerTest {};

TEST_P(ServerLimits, ClosesWhoDoesNotFinishAFrame) {
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

TEST_P(ServerLimits, ALargeFrameWaitsForRoomAndWhoStallsMeanwhileIsClosed) {
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
  // Its frame fits only when the larger of the two is gone.
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

TEST_P(ServerLimits, HalvesOfFramesDoNotFillTheMemory) {
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
  EXPECT_LT(after - std::min(before, after), uint64_t{48} << 10);
}

TEST_P(ServerLimits, ClosesAPeerThatNeverReads) {
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

TEST_P(ServerLimits, ClosesPeersThatReadNothingWhenTogetherTheyHoldTooMuch) {
  options_.limits.output_bytes_all = 8u << 20;
  options_.limits.crowded_output_ms = 100;
  start();
  RawClient patient(address());
  ASSERT_TRUE(patient.greet());
  const auto deafen = [](RawClient& client) {
    int small = 4096;
    ::setsockopt(client.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  };
  std::vector<std::unique_ptr<RawClient>> deaf;
  const ByteString large = frame(Opcode::echo, 2, ByteString(7 << 20));
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(std::make_unique<RawClient>(address()));
    ASSERT_TRUE(deaf.back()->greet());
    deafen(*deaf.back());
    deaf.back()->say(large);
  }
  // What the kernel took of their answers does not count: two may stay, and the patient one.
  const auto open_by = [this](uint32_t most) {
    for (int i = 0; i < 500 && server_->connections() > most; ++i)
      ::usleep(10'000);
    return server_->connections();
  };
  EXPECT_LE(open_by(3), 3u);
  EXPECT_TRUE(patient.ask(frame(Opcode::echo, 2)).is(Opcode::echo));
}

TEST_P(ServerLimits, ClosesWhoDoesNotSayHello) {
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

TEST_P(ServerLimits, RefusesMoreThanItTakes) {
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

TEST_P(ServerLimits, RefusesTooManyOfAnAddressThatHaveNotLoggedIn) {
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

INSTANTIATE_TEST_SUITE_P(, ServerLimits, testing::Values(ReactorKind::epoll, ReactorKind::uring),
                         reactor_name);

}  // namespace
}  // namespace millrace::net::test
