// ReactorFixture: a reactor with sockets to give it, and the events it told.
#pragma once

#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/reactor.h"

namespace millrace::net::test {

class ReactorFixture : public testing::Test {
 protected:
  void TearDown() override {
    reactor_.reset();
    for (const int fd : to_close_)
      ::close(fd);
  }
  void make(const ReactorOptions& options) {
    std::string reason;
    auto made = make_reactor(options, &reason);
    if (!made && options.kind == ReactorKind::uring) GTEST_SKIP() << reason;
    ASSERT_TRUE(made) << reason;
    reactor_ = std::move(made).value();
  }

  struct Pair {
    uint32_t id;
    int peer;
  };
  // A connected pair of sockets, one of them the reactor's.
  Pair adopt_one() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    to_close_.push_back(fds[1]);
    return {reactor_->adopt(fds[0]), fds[1]};
  }
  int listen_on_loopback() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to_close_.push_back(listener);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener, 2048), 0);
    socklen_t length = sizeof address_;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address_), &length);
    return listener;
  }
  int connect_one() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to_close_.push_back(socket);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    return socket;
  }

  // One turn of the reactor; what it told is noted.
  virtual void turn_once() = 0;
  template <class Done>
  [[nodiscard]] bool turn_until(Done done) {
    for (int i = 0; i < turns_max_ && !done(); ++i)
      turn_once();
    return done();
  }
  size_t count(EventKind kind) const {
    size_t n = 0;
    for (const Event& event : events_)
      n += event.kind == kind ? 1 : 0;
    return n;
  }

  int turns_max_ = 2000;  // of turn_until()
  std::unique_ptr<Reactor> reactor_;
  std::vector<Event> events_;
  sockaddr_in address_{};
  std::vector<int> to_close_;
};

}  // namespace millrace::net::test
