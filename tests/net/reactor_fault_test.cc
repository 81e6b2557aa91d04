// Reactors when the kernel is out of memory or of watches. The calls that fail are this program's
// own definitions of epoll_ctl() and io_uring_enter2(), which the linker prefers to the libraries'.
#include <cerrno>
#include <cstring>
#include <liburing.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/reactor_fixture.h"

namespace {

int g_epoll_error = 0;  // what adding and changing watches fails with; 0: nothing
int g_enter_error = 0;

}  // namespace

extern "C" {

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (g_epoll_error != 0 && operation != EPOLL_CTL_DEL) {
    errno = g_epoll_error;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

int io_uring_enter2(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t* argument,
                    size_t bytes) {
  if (g_enter_error != 0) return -g_enter_error;
  const long n = ::syscall(SYS_io_uring_enter, fd, submit, wait, flags, argument, bytes);
  return n < 0 ? -errno : static_cast<int>(n);
}

}  // extern "C"

namespace millrace::net::test {
namespace {

constexpr int64_t kMs = 1'000'000;

class Starving : public ReactorFixture {
 protected:
  Starving() { turns_max_ = 500; }
  void TearDown() override {
    g_epoll_error = g_enter_error = 0;
    ReactorFixture::TearDown();
  }
  using ReactorFixture::make;
  void make(ReactorKind kind) { make(ReactorOptions{.kind = kind}); }
  void turn() { turn_once(); }
  void turn_once() override {
    for (const Event& event : reactor_->run_turn(10 * kMs)) {
      if (event.kind == EventKind::data) bytes_ += event.data.size();
      events_.push_back(event);
    }
  }
  size_t bytes_ = 0;
};

TEST_F(Starving, AConnectionThatEpollDoesNotTakeBreaksAndTheOthersGoOn) {
  make(ReactorKind::epoll);
  const Pair good = adopt_one();
  g_epoll_error = ENOSPC;
  const Pair bad = adopt_one();
  g_epoll_error = 0;
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(events_[0].connection, bad.id);
  EXPECT_EQ(events_[0].error, ENOSPC);
  reactor_->close(bad.id);
  ASSERT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
  EXPECT_EQ(::send(good.peer, "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(turn_until([&] { return bytes_ == 1; }));
  EXPECT_EQ(count(EventKind::end), 1u);
}

TEST_F(Starving, AnAcceptedConnectionThatEpollDoesNotTakeIsToldFirst) {
  make(ReactorKind::epoll);
  reactor_->start_accepting(listen_on_loopback(), 0);
  connect_one();
  g_epoll_error = ENOMEM;
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].kind, EventKind::accepted);
  EXPECT_EQ(events_[1].connection, events_[0].connection);
}

TEST_F(Starving, ASendWhoseRestCannotBeWaitedForBreaksTheConnection) {
  make(ReactorKind::epoll);
  const Pair pair = adopt_one();
  turn();
  g_epoll_error = ENOMEM;
  const std::string text(8 << 20, 'x');
  EXPECT_LT(reactor_->send(pair.id, as_bytes(text)), text.size());
  ASSERT_TRUE(turn_until([&] { return count(EventKind::end) == 1; }));
  EXPECT_EQ(events_.back().error, ENOMEM);
  reactor_->close(pair.id);
  EXPECT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
}

TEST_F(Starving, AListenerThatEpollDoesNotTakeIsTriedAgain) {
  make(ReactorKind::epoll);
  g_epoll_error = ENOSPC;
  reactor_->start_accepting(listen_on_loopback(), 0);
  connect_one();
  ASSERT_TRUE(turn_until([&] { return count(EventKind::accept_failed) >= 2; }));
  g_epoll_error = 0;
  EXPECT_TRUE(turn_until([&] { return count(EventKind::accepted) == 1; }));
}

TEST_F(Starving, WithoutAWatchForItsWakerThereIsNoEpollReactor) {
  g_epoll_error = ENOSPC;
  std::string reason;
  EXPECT_EQ(make_reactor({.kind = ReactorKind::epoll}, &reason).error(), Errc::io_error);
  EXPECT_EQ(reason, "epoll cannot be had: out of memory or of watches");
}

// More operations than the ring has room for, while the kernel takes none off it.
TEST_F(Starving, WhatIoUringDoesNotTakeIsSubmittedLater) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  make(ReactorKind::uring);
  if (IsSkipped()) return;
  constexpr size_t kConnections = 1500;
  for (const int error : {EAGAIN, ENOMEM, EBUSY}) {
    g_enter_error = error;
    std::vector<Pair> pairs;
    for (size_t i = 0; i < kConnections; ++i)
      pairs.push_back(adopt_one());
    const std::string text = "hello";
    for (const Pair& pair : pairs)
      reactor_->send(pair.id, as_bytes(text));
    // The last one's operations are all postponed, and it goes before they could begin.
    reactor_->close(pairs.back().id);
    pairs.pop_back();
    for (int i = 0; i < 5; ++i)
      turn();
    EXPECT_EQ(count(EventKind::closed), 0u);
    g_enter_error = 0;
    bytes_ = 0;
    for (const Pair& pair : pairs)
      EXPECT_EQ(::send(pair.peer, "x", 1, MSG_NOSIGNAL), 1);
    ASSERT_TRUE(turn_until([&] { return bytes_ == pairs.size(); }));
    ASSERT_TRUE(turn_until([&] { return count(EventKind::closed) == 1; }));
    EXPECT_EQ(count(EventKind::end), 0u);
    char heard[8] = {};
    for (const Pair& pair : pairs)
      EXPECT_EQ(::recv(pair.peer, heard, sizeof heard, MSG_DONTWAIT), 5);
    for (const Pair& pair : pairs)
      reactor_->close(pair.id);
    ASSERT_TRUE(turn_until([&] { return count(EventKind::closed) == 1 + pairs.size(); }));
    events_.clear();
    for (const int fd : to_close_)
      ::close(fd);
    to_close_.clear();
  }
}

}  // namespace
}  // namespace millrace::net::test
