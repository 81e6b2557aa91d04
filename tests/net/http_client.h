// HttpClient: a blocking client socket that speaks HTTP, for tests of a server as its peers see it.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "net/address.h"
#include "tests/net/http_peer.h"

namespace millrace::net::test {

class HttpClient {
 public:
  explicit HttpClient(const std::string& address) {
    std::string message;
    const Result<Address> to = parse_address(address, &message);
    socket_ = ::socket(to->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = ::connect(socket_, to->raw(), to->length) == 0;
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~HttpClient() { ::close(socket_); }
  HttpClient(HttpClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  HttpClient& operator=(HttpClient&&) = delete;

  bool connected() const { return connected_; }
  int socket() const { return socket_; }
  bool say(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // The next answer; its status is 0 if there is none.
  HttpAnswer hear() {
    while (true) {
      const size_t end = heard_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t at = heard_.find("\r\nContent-Length: ");
        const size_t length = at < end ? std::stoul(heard_.substr(at + 18)) : 0;
        const size_t whole = end + 4 + length;
        if (heard_.size() >= whole) {
          const HttpAnswer answer = parse_answers(heard_.substr(0, whole)).front();
          heard_.erase(0, whole);
          return answer;
        }
      }
      if (!read_more()) return {};
    }
  }
  HttpAnswer ask(std::string_view text) {
    say(text);
    return hear();
  }
  // Closed by the server, with nothing more said.
  bool at_end() { return heard_.empty() && !read_more() && ended_; }

 private:
  bool read_more() {
    char piece[16 << 10];
    ssize_t n = 0;
    do {
      n = ::recv(socket_, piece, sizeof piece, 0);
    } while (n < 0 && errno == EINTR);
    ended_ = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n > 0) heard_.append(piece, static_cast<size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string heard_;
};

}  // namespace millrace::net::test
