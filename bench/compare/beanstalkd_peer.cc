// beanstalkd over a plain socket: Debian has no C client of it, and its protocol is lines of text.
// Commands are pipelined; each message has a command of its own.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/compare/peer.h"

namespace millrace::compare {
namespace {

constexpr size_t kReadBytes = 64u << 10;

class BeanstalkdPeer final : public Peer {
 public:
  explicit BeanstalkdPeer(const PeerOptions& options)
      : put_("put 0 0 60 " + std::to_string(options.body.size()) + "\r\n" + options.body + "\r\n"),
        socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    demand(::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) == 1 &&
               ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
           "beanstalkd: no connection");
    const int yes = 1;
    (void)::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  ~BeanstalkdPeer() override { ::close(socket_); }
  BeanstalkdPeer(const BeanstalkdPeer&) = delete;
  BeanstalkdPeer& operator=(const BeanstalkdPeer&) = delete;

  void prepare() override {}  // the tube `default` is there
  void begin_send(uint32_t count) override {
    out_.clear();
    for (asked_ = 0; asked_ < count; ++asked_)
      out_ += put_;
    write();
  }
  void finish_send() override {
    for (; asked_ > 0; --asked_)
      demand(line().starts_with("INSERTED "), "beanstalkd: a message was not taken");
  }
  void begin_take(uint32_t count) override {
    out_.clear();
    for (asked_ = 0; asked_ < count; ++asked_)
      out_ += "reserve-with-timeout 0\r\n";
    write();
  }
  uint32_t finish_take() override {
    out_.clear();
    for (acking_ = 0; asked_ > 0; --asked_) {
      // RESERVED <id> <bytes>
      const std::string_view answer = line();
      if (answer == "TIMED_OUT") continue;
      demand(answer.starts_with("RESERVED "), "beanstalkd: nothing was reserved");
      const std::string_view rest = answer.substr(9);
      const size_t blank = rest.find(' ');
      out_ += "delete ";
      out_ += rest.substr(0, blank);
      out_ += "\r\n";
      skip(std::stoul(std::string(rest.substr(blank + 1))) + 2);
      ++acking_;
    }
    write();
    return acking_;
  }
  void finish_ack() override {
    for (; acking_ > 0; --acking_)
      demand(line() == "DELETED", "beanstalkd: a message was not deleted");
  }

 private:
  void write() {
    for (size_t done = 0; done < out_.size();) {
      const ssize_t wrote = ::send(socket_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
      demand(wrote > 0, "beanstalkd: the connection broke");
      done += static_cast<size_t>(wrote);
    }
  }
  void read() {
    in_.erase(0, at_);
    at_ = 0;
    const size_t had = in_.size();
    in_.resize(had + kReadBytes);
    const ssize_t got = ::recv(socket_, in_.data() + had, kReadBytes, 0);
    demand(got > 0, "beanstalkd: the connection broke");
    in_.resize(had + static_cast<size_t>(got));
  }
  // Valid until the next call.
  std::string_view line() {
    size_t end = 0;
    while ((end = in_.find("\r\n", at_)) == std::string::npos)
      read();
    const std::string_view text = std::string_view(in_).substr(at_, end - at_);
    at_ = end + 2;
    return text;
  }
  void skip(size_t bytes) {
    while (in_.size() - at_ < bytes)
      read();
    at_ += bytes;
  }

  const std::string put_;
  const int socket_;
  std::string out_;
  std::string in_;
  size_t at_ = 0;
  uint32_t asked_ = 0;
  uint32_t acking_ = 0;
};

}  // namespace

std::unique_ptr<Peer> open_beanstalkd(const PeerOptions& options) {
  return std::make_unique<BeanstalkdPeer>(options);
}

}  // namespace millrace::compare
