// Both reactors with real sockets, through the same cases.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/reactor_fixture.h"

namespace millrace::net::test {
namespace {

constexpr int64_t kMs = 1'000'000;

// A reactor and what it told, gathered until a test has seen enough.
class ReactorTest : public ReactorFixture, public testing::WithParamInterface<ReactorKind> {
 protected:
  void SetUp() override { make({.kind = GetParam()}); }
  static void set_reset_on_close(int socket) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

  void turn(int64_t wait_ns = 20 * kMs) {
    for (const Event& event : reactor_->run_turn(wait_ns)) {
      if (event.kind == EventKind::data) {
        received_[event.connection].append(reinterpret_cast<const char*>(event.data.data()),
                                           event.data.size());
        pieces_ += 1;
        // The bytes are ours to change until the next turn.
        std::memset(event.data.data(), 0xEE, event.data.size());
      } else if (event.kind == EventKind::sent) {
        sent_[event.connection] += event.count;
      } else {
        events_.push_back(event);
      }
    }
  }
  void turn_once() override { turn(); }
  const Event* last(EventKind kind) const {
    for (auto it = events_.rbegin(); it != events_.rend(); ++it) {
      if (it->kind == kind) return &*it;
    }
    return nullptr;
  }
  void send(uint32_t id, std::string_view text) { sent_[id] += reactor_->send(id, as_bytes(text)); }

  std::map<uint32_t, std::string> received_;
  std::map<uint32_t, size_t> sent_;
  size_t pieces_ = 0;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    ASSERT_GT(n, 0) << std::strerror(errno);
    text.remove_prefix(static_cast<size_t>(n));
  }
}

std::string read_some(int fd, size_t bytes_max) {
  std::string text(bytes_max, '\0');
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&wait, 1, 5000) <= 0) return {};
  const ssize_t n = ::recv(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

std::string pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

TEST_P(ReactorTest, BringsDataAndSendsAnswers) {
  const Pair pair = adopt_one();
  write_all(pair.peer, "hello");
  ASSERT_TRUE(turn_until([&] { return received_[pair.id] == "hello"; }));
  const std::string answer = "good day";
  send(pair.id, answer);
  ASSERT_TRUE(turn_until([&] { return sent_[pair.id] == answer.size(); }));
  EXPECT_EQ(read_some(pair.peer, 100), answer);
}

// Epoll sends at once, io_uring with the next turn: what goes at once is told by send() itself, and
// by no event.
TEST_P(ReactorTest, TellsOnceOfEveryByteThatLeft) {
  const Pair pair = adopt_one();
  const std::string text = pattern(1000);
  const uint32_t at_once = reactor_->send(pair.id, as_bytes(text));
  EXPECT_EQ(at_once, GetParam() == ReactorKind::epoll ? 1000u : 0u);
  for (int i = 0; i < 5; ++i)
    turn(kMs);
  EXPECT_EQ(at_once + sent_[pair.id], 1000u);
  // All of it is gone, so the next may follow.
  send(pair.id, text);
  ASSERT_TRUE(turn_until([&] { return at_once + sent_[pair.id] == 2000u; }));
  std::string heard;
  while (heard.size() < 2000) {
    const std::string piece = read_some(pair.peer, 4000);
    ASSERT_FALSE(piece.empty());
    heard += piece;
  }
  EXPECT_EQ(heard, text + text);
}

TEST_P(ReactorTest, ReturnsAtOnceWhenThereIsNothingToWaitFor) {
  EXPECT_TRUE(reactor_->run_turn(0).empty());
  EXPECT_TRUE(reactor_->run_turn(kMs).empty());
}

TEST_P(ReactorTest, IsWokenByAnotherThread) {
  std::atomic<bool> woke{false};
  std::thread other([&] {
    while (!woke) {
      ::usleep(2000);
      reactor_->wake();
    }
  });
  for (int i = 0; i < 20; ++i)
    reactor_->run_turn(Reactor::kForever);
  woke = true;
  other.join();
}

TEST_P(ReactorTest, AWakeBeforeTheSleepIsNotLost) {
  for (int i = 0; i < 100; ++i) {
    reactor_->wake();
    reactor_->run_turn(Reactor::kForever);
  }
}

// Many always have something to say, and there are few buffers: each gets one in its turn.
TEST_P(ReactorTest, LetsNobodyWaitBehindThoseWhoNeverStop) {
  make({.kind = GetParam(), .receive_buffers = 2, .receive_buffer_bytes = 4096});
  constexpr size_t kPairs = 16;
  constexpr int kTurnsEach = 4;
  std::vector<Pair> pairs;
  for (size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(adopt_one());
    write_all(pairs.back().peer, pattern(100 << 10));  // 25 pieces
  }
  for (size_t i = 0; i < kPairs * kTurnsEach; ++i)
    turn(kMs);
  for (const Pair& pair : pairs)
    EXPECT_GE(received_[pair.id].size(), size_t{4096}) << pair.id;
}

// Bytes that take long to handle come a little in each turn, and what is short comes at once.
TEST_P(ReactorTest, ShortPiecesDoNotWaitBehindLongOnes) {
  constexpr size_t kPairs = 8;
  constexpr size_t kBytesEach = 100 << 10;
  std::vector<Pair> busy;
  for (size_t i = 0; i < kPairs; ++i) {
    busy.push_back(adopt_one());
    write_all(busy.back().peer, pattern(kBytesEach));
  }
  const Pair other = adopt_one();
  const auto received_of_busy = [&] {
    size_t bytes = 0;
    for (const Pair& pair : busy)
      bytes += received_[pair.id].size();
    return bytes;
  };
  turn();  // of a connection that said nothing yet a whole buffer is taken: 64 KiB of each
  for (int i = 0; i < 100; ++i)
    reactor_->handled_long(10'000,
                           10'000'000);  // a turn has time for 100 bytes: the least there is
  size_t turns = 0;
  size_t turns_with_long_pieces = 0;
  for (; turns < size_t(turns_max_) && received_of_busy() < kPairs * kBytesEach; ++turns) {
    const size_t before = received_of_busy();
    write_all(other.peer, "ping");
    turn();
    EXPECT_EQ(received_[other.id].size(), 4 * (turns + 1));
    if (received_of_busy() > before) ++turns_with_long_pieces;
  }
  EXPECT_EQ(received_of_busy(), kPairs * kBytesEach);
  // 288 KiB were left, 72 times the least. How much it is depends on what a turn's time was.
  EXPECT_GE(turns_with_long_pieces, 8u);
}

TEST_P(ReactorTest, ServesAThousandConnections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  constexpr size_t kConnections = 1000;
  reactor_->start_accepting(listen_on_loopback(), 0);
  std::vector<int> peers;
  for (size_t i = 0; i < kConnections; ++i) {
    peers.push_back(connect_one());
    if (i % 100 == 99) turn();
  }
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == kConnections; }));
  for (int round = 0; round < 3; ++round) {
    received_.clear();
    sent_.clear();
    for (size_t i = 0; i < kConnections; ++i)
      write_all(peers[i], "ping " + std::to_string(i));
    size_t bytes = 0;
    for (size_t i = 0; i < kConnections; ++i)
      bytes += 5 + std::to_string(i).size();
    const auto total = [&] {
      size_t n = 0;
      for (const auto& [id, text] : received_)
        n += text.size();
      return n;
    };
    ASSERT_TRUE(turn_until([&] { return total() == bytes; }));
    const std::map<uint32_t, std::string> answers = received_;
    for (const auto& [id, text] : answers)
      send(id, text);
    ASSERT_TRUE(turn_until([&] {
      size_t n = 0;
      for (const auto& [id, sent] : sent_)
        n += sent;
      return n == bytes;
    }));
    for (size_t i = 0; i < kConnections; ++i) {
      EXPECT_EQ(read_some(peers[i], 100), "ping " + std::to_string(i));
    }
  }
}

TEST_P(ReactorTest, PassesBigStreamsBothWays) {
  const Pair pair = adopt_one();
  const std::string text = pattern(9 << 20);
  std::thread writer([&] { write_all(pair.peer, text); });
  ASSERT_TRUE(turn_until([&] { return received_[pair.id].size() == text.size(); }));
  writer.join();
  EXPECT_EQ(received_[pair.id], text);

  std::string heard;
  std::thread reader([&] {
    while (heard.size() < text.size()) {
      const std::string piece = read_some(pair.peer, 1 << 20);
      if (piece.empty()) return;
      heard += piece;
    }
  });
  send(pair.id, text);
  EXPECT_TRUE(turn_until([&] { return sent_[pair.id] == text.size(); }));
  reader.join();
  EXPECT_EQ(heard, text);
}

TEST_P(ReactorTest, RunsOutOfBuffersAndGoesOn) {
  make({.kind = GetParam(), .receive_buffers = 2, .receive_buffer_bytes = 4096});
  std::vector<Pair> pairs;
  const std::string text = pattern(60'000);
  for (int i = 0; i < 20; ++i) {
    pairs.push_back(adopt_one());
    write_all(pairs.back().peer, text);
  }
  EXPECT_TRUE(turn_until([&] {
    for (const Pair& pair : pairs) {
      if (received_[pair.id].size() < text.size()) return false;
    }
    return true;
  }));
  for (const Pair& pair : pairs)
    EXPECT_EQ(received_[pair.id], text);
}

TEST_P(ReactorTest, TellsOfAHalfCloseAndStillSends) {
  const Pair pair = adopt_one();
  write_all(pair.peer, "last words");
  ::shutdown(pair.peer, SHUT_WR);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(last(EventKind::end)->error, 0);
  EXPECT_EQ(received_[pair.id], "last words");
  const std::string answer = "an answer";
  send(pair.id, answer);
  EXPECT_TRUE(turn_until([&] { return sent_[pair.id] == answer.size(); }));
  EXPECT_EQ(read_some(pair.peer, 100), answer);
  reactor_->close(pair.id);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
  EXPECT_EQ(count(EventKind::end), 1u);
}

TEST_P(ReactorTest, TellsWhichListenerAConnectionCameFrom) {
  reactor_->start_accepting(listen_on_loopback(), 0);
  const sockaddr_in first = address_;
  reactor_->start_accepting(listen_on_loopback(), 3);
  connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
  EXPECT_EQ(last(EventKind::accepted)->listener, 3);
  address_ = first;
  connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == 2; }));
  EXPECT_EQ(last(EventKind::accepted)->listener, 0);
  reactor_->stop_accepting();
  turn();
  connect_one();
  for (int i = 0; i < 3; ++i)
    turn();
  EXPECT_EQ(count(EventKind::accepted), 2u);
}

TEST_P(ReactorTest, TellsOfAReset) {
  reactor_->start_accepting(listen_on_loopback(), 0);
  const int peer = connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
  set_reset_on_close(peer);
  to_close_.pop_back();
  ::close(peer);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(last(EventKind::end)->error, ECONNRESET);
  reactor_->close(last(EventKind::end)->connection);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
}

TEST_P(ReactorTest, TellsOfAResetWhileASendWaits) {
  reactor_->start_accepting(listen_on_loopback(), 0);
  const int peer = connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
  const uint32_t id = last(EventKind::accepted)->connection;
  ::shutdown(peer, SHUT_WR);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  const std::string text = pattern(32 << 20);
  send(id, text);
  turn();
  set_reset_on_close(peer);
  to_close_.pop_back();
  ::close(peer);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 2; }));
  EXPECT_NE(last(EventKind::end)->error, 0);
  reactor_->close(id);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
}

TEST_P(ReactorTest, ClosesAConnectionWhosePeerNeverReads) {
  const Pair pair = adopt_one();
  const std::string text = pattern(32 << 20);
  send(pair.id, text);
  turn();
  turn();
  EXPECT_LT(sent_[pair.id], text.size());
  reactor_->close(pair.id);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
  turn(0);
  // The number comes back, and what belonged to the old connection does not.
  const Pair next = adopt_one();
  EXPECT_EQ(next.id, pair.id);
  write_all(next.peer, "new");
  EXPECT_TRUE(turn_until([&] { return received_[next.id] == "new"; }));
}

TEST_P(ReactorTest, PausesAndResumesReading) {
  const Pair pair = adopt_one();
  turn(0);
  reactor_->pause_reading(pair.id);
  turn(0);
  turn(0);
  write_all(pair.peer, "waiting");
  for (int i = 0; i < 3; ++i)
    turn(kMs);
  EXPECT_EQ(received_[pair.id], "");
  reactor_->resume_reading(pair.id);
  ASSERT_TRUE(turn_until([&] { return received_[pair.id] == "waiting"; }));
  // Back and forth within a turn.
  for (int i = 0; i < 50; ++i) {
    reactor_->pause_reading(pair.id);
    if (i % 3 == 0) turn(0);
    reactor_->resume_reading(pair.id);
    write_all(pair.peer, "x");
    turn(0);
  }
  EXPECT_TRUE(turn_until([&] { return received_[pair.id].size() == 57; }));
  // A peer that goes while reading is paused is found when it is resumed.
  reactor_->pause_reading(pair.id);
  turn(0);
  write_all(pair.peer, "bye");
  ::shutdown(pair.peer, SHUT_RDWR);
  for (int i = 0; i < 3; ++i)
    turn(kMs);
  EXPECT_EQ(count(EventKind::end), 0u);
  reactor_->resume_reading(pair.id);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(received_[pair.id].size(), 60u);
}

// Whatever the peer's sockets hold by then: a burst must not outrun who would say stop.
TEST_P(ReactorTest, BringsOnePieceInATurnAndAtMostOneAfterAPause) {
  make({.kind = GetParam(), .receive_buffers = 32, .receive_buffer_bytes = 4096});
  const Pair pair = adopt_one();
  turn(0);
  const std::string text = pattern(100 << 10);
  ASSERT_EQ(::send(pair.peer, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
  ASSERT_TRUE(turn_until([&] { return !received_[pair.id].empty(); }));
  EXPECT_LE(received_[pair.id].size(), 4096u);
  reactor_->pause_reading(pair.id);
  for (int i = 0; i < 20; ++i)
    turn(kMs);
  EXPECT_LE(received_[pair.id].size(), 2u * 4096);
  reactor_->resume_reading(pair.id);
  EXPECT_TRUE(turn_until([&] { return received_[pair.id] == text; }));
}

TEST_P(ReactorTest, AnErrorThatNobodyExpectsIsTheEndOfItsConnectionOnly) {
  const Pair good = adopt_one();
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const uint32_t no_socket = reactor_->adopt(pipe[0]);
  ASSERT_EQ(::write(pipe[1], "x", 1), 1);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(events_.back().connection, no_socket);
  EXPECT_EQ(events_.back().error, ENOTSOCK);
  reactor_->close(no_socket);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
  ::close(pipe[1]);
  write_all(good.peer, "still here");
  EXPECT_TRUE(turn_until([&] { return received_[good.id] == "still here"; }));
}

TEST_P(ReactorTest, AnIdlePeerThatHungUpWhilePausedCostsNothing) {
  const Pair pair = adopt_one();
  reactor_->pause_reading(pair.id);
  turn(0);
  ::shutdown(pair.peer, SHUT_RDWR);
  for (int i = 0; i < 3; ++i)
    turn(kMs);
  rusage before{};
  ::getrusage(RUSAGE_THREAD, &before);
  for (int i = 0; i < 20; ++i)
    turn(5 * kMs);
  rusage after{};
  ::getrusage(RUSAGE_THREAD, &after);
  // Twenty sleeps, not a loop that comes back at once.
  EXPECT_GE(after.ru_nvcsw - before.ru_nvcsw, 20);
}

TEST_P(ReactorTest, FinishesSendingAndReadsOn) {
  const Pair pair = adopt_one();
  const std::string answer = "the end";
  send(pair.id, answer);
  ASSERT_TRUE(turn_until([&] { return sent_[pair.id] == answer.size(); }));
  reactor_->finish_sending(pair.id);
  EXPECT_EQ(read_some(pair.peer, 100), answer);
  EXPECT_EQ(read_some(pair.peer, 100), "");
  write_all(pair.peer, "more");
  EXPECT_TRUE(turn_until([&] { return received_[pair.id] == "more"; }));
}

TEST_P(ReactorTest, StopsAccepting) {
  const int listener = listen_on_loopback();
  reactor_->start_accepting(listener, 0);
  connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
  reactor_->stop_accepting();
  turn(0);
  turn(0);
  connect_one();
  for (int i = 0; i < 3; ++i)
    turn(kMs);
  EXPECT_EQ(count(EventKind::accepted), 1u);
}

TEST_P(ReactorTest, WaitsWithAcceptingWhenDescriptorsRunOut) {
  const int listener = listen_on_loopback();
  const int peer = connect_one();
  rlimit normal{};
  ::getrlimit(RLIMIT_NOFILE, &normal);
  rlimit full = normal;
  full.rlim_cur = static_cast<rlim_t>(peer) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
  // Everything below the limit is taken.
  std::vector<int> fillers;
  for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) {
    fillers.push_back(fd);
  }
  reactor_->start_accepting(listener, 0);
  const bool told = turn_until([&] { return count(EventKind::accept_failed) == 1; });
  ::setrlimit(RLIMIT_NOFILE, &normal);
  for (const int fd : fillers)
    ::close(fd);
  ASSERT_TRUE(told);
  EXPECT_EQ(last(EventKind::accept_failed)->error, EMFILE);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
}

INSTANTIATE_TEST_SUITE_P(, ReactorTest, testing::Values(ReactorKind::epoll, ReactorKind::uring),
                         [](const testing::TestParamInfo<ReactorKind>& kind) {
                           return kind.param == ReactorKind::epoll ? "epoll" : "uring";
                         });

TEST(MakeReactor, SaysWhichAndWhy) {
  std::string reason;
  ::unsetenv("MILLRACE_REACTOR");
  auto any = make_reactor({}, &reason);
  ASSERT_TRUE(any);
  EXPECT_NE(reason.find((*any)->name()), std::string::npos) << reason;
  ::setenv("MILLRACE_REACTOR", "epoll", 1);
  auto epoll = make_reactor({}, &reason);
  ASSERT_TRUE(epoll);
  EXPECT_EQ((*epoll)->name(), "epoll");
  EXPECT_EQ(reason, "epoll, asked for by MILLRACE_REACTOR");
  ::setenv("MILLRACE_REACTOR", "select", 1);
  EXPECT_EQ(make_reactor({}, &reason).error(), Errc::unsupported);
  EXPECT_EQ(reason, "MILLRACE_REACTOR is 'select'; allowed are auto, uring and epoll");
  ::unsetenv("MILLRACE_REACTOR");
}

}  // namespace
}  // namespace millrace::net::test
