// An endpoint in a thread: answers each connection with the same bytes, and keeps what it was sent.
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/delivery/reach.h"

namespace millrace::net::delivery {

inline constexpr const char* kTaken =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
inline constexpr const char* kFails =
    "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

inline Reach reach_of(std::string_view list) {
  std::string why;
  const auto parsed = Reach::parse(list, &why);
  EXPECT_TRUE(parsed) << list << ": " << why;
  return parsed.value_or(Reach());
}

class TinyServer {
 public:
  // `answer` empty: it hangs up. `waits`: nobody is answered before release(), or for 20 seconds.
  explicit TinyServer(std::string answer, bool waits = false)
      : answer_(std::move(answer)), waits_(waits) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<::sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TinyServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::string url(std::string_view path = "/") const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }
  void release() { waits_ = false; }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void run() {
    while (true) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      serve(connection);
      ::close(connection);
    }
  }
  void serve(int connection) {
    std::string request;
    char bytes[4096];
    while (request.find("\r\n\r\n") == std::string::npos || !whole(request)) {
      ::pollfd wait{connection, POLLIN, 0};
      if (::poll(&wait, 1, 2'000) <= 0) break;
      const ssize_t got = ::read(connection, bytes, sizeof bytes);
      if (got <= 0) break;
      request.append(bytes, static_cast<size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    for (int i = 0; i < 20'000 && waits_; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (size_t sent = 0; sent < answer_.size();) {
      const ssize_t went =
          ::send(connection, answer_.data() + sent, answer_.size() - sent, MSG_NOSIGNAL);
      if (went <= 0) break;
      sent += static_cast<size_t>(went);
    }
  }
  static bool whole(const std::string& request) {
    const size_t field = request.find("Content-Length: ");
    const size_t head = request.find("\r\n\r\n") + 4;
    if (field == std::string::npos) return true;
    return request.size() - head >= std::stoul(request.substr(field + 16));
  }

  const std::string answer_;
  std::atomic<bool> waits_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace millrace::net::delivery
