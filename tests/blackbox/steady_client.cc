#include "tests/blackbox/steady_client.h"

#include <array>
#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>

#include "clients/cpp/blocking_client.h"
#include "clients/cpp/socket.h"

namespace millrace::blackbox {
namespace {

constexpr useconds_t kPauseUs = 1'000;
constexpr int kAnswerMs = 20'000;

class SteadyBinary final : public SteadyPort {
 public:
  explicit SteadyBinary(std::unique_ptr<client::BlockingClient> client)
      : client_(std::move(client)) {
    client_->set_timeout_ms(kAnswerMs);
  }
  bool make_queue(const std::string& name) {
    const auto made = client_->create_queue(name, {});
    if (made) queue_ = *made;
    return made || failed(std::string(client_->error_text()));
  }
  bool send(const std::string& body) override {
    return client_->send(queue_, body) || failed(std::string(client_->error_text()));
  }
  bool take(std::string* body) override {
    const auto got = client_->receive({.queue = queue_, .messages_max = 1, .wait_ms = 0});
    if (!got) return failed(std::string(client_->error_text()));
    if (got->size() != 1) return failed(fmt::format("{} messages were there, not 1", got->size()));
    *body = got->front().body;
    const auto acked = client_->ack({&got->front().receipt, 1});
    if (!acked) return failed(std::string(client_->error_text()));
    return acked->front() == Errc::ok || failed(std::string(errc_text(acked->front())));
  }

 private:
  std::unique_ptr<client::BlockingClient> client_;
  QueueId queue_{};
};

class SteadyHttp final : public SteadyPort {
 public:
  SteadyHttp(client::Socket socket, std::string queue)
      : socket_(std::move(socket)), queue_(std::move(queue)) {}

  bool make_queue() {
    return ask("CreateQueue", fmt::format(R"({{"QueueName":"{}"}})", queue_), nullptr);
  }
  bool send(const std::string& body) override {
    return ask("SendMessage", fmt::format(R"({{{},"MessageBody":"{}"}})", url(), body), nullptr);
  }
  bool take(std::string* body) override {
    std::string answer;
    if (!ask("ReceiveMessage", fmt::format("{{{}}}", url()), &answer)) return false;
    *body = member(answer, "Body");
    const std::string receipt = member(answer, "ReceiptHandle");
    if (receipt.empty()) return failed("no message was there: " + answer);
    return ask("DeleteMessage", fmt::format(R"({{{},"ReceiptHandle":"{}"}})", url(), receipt),
               nullptr);
  }

 private:
  std::string url() const {
    return fmt::format(R"("QueueUrl":"http://localhost/000000000000/{}")", queue_);
  }
  // Of an answer without escapes.
  static std::string member(const std::string& json, const std::string& name) {
    const std::string begin = "\"" + name + "\":\"";
    const size_t at = json.find(begin);
    if (at == std::string::npos) return {};
    return json.substr(at + begin.size(), json.find('"', at + begin.size()) - at - begin.size());
  }
  bool ask(std::string_view action, const std::string& body, std::string* answer) {
    const std::string request = fmt::format(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "X-Amz-Target: AmazonSQS.{}\r\nContent-Length: {}\r\n\r\n{}",
        action, body.size(), body);
    const auto written = socket_.write(std::as_bytes(std::span(request)));
    if (!written || *written != request.size()) return failed("a request could not be written");
    std::string heard;
    std::array<std::byte, 8192> piece;
    while (true) {
      const size_t head = heard.find("\r\n\r\n");
      const size_t length = heard.find("Content-Length: ");
      if (head != std::string::npos &&
          (length > head ||
           heard.size() >= head + 4 + std::strtoull(heard.c_str() + length + 16, nullptr, 10))) {
        if (!heard.starts_with("HTTP/1.1 200 ")) return failed(heard);
        if (answer != nullptr) *answer = heard.substr(head + 4);
        return true;
      }
      if (!socket_.wait(false, kAnswerMs)) return failed("no answer came");
      const auto read = socket_.read(piece);
      if (!read) return failed("the connection was closed");
      heard.append(reinterpret_cast<const char*>(piece.data()), *read);
    }
  }

  client::Socket socket_;
  const std::string queue_;
};

}  // namespace

std::unique_ptr<SteadyPort> steady_binary(const std::string& address, const std::string& queue,
                                          std::string* why) {
  auto client = client::BlockingClient::connect(address, {.connect_timeout_ms = kAnswerMs}, why);
  if (!client) return nullptr;
  auto port = std::make_unique<SteadyBinary>(std::move(*client));
  if (port->make_queue(queue)) return port;
  *why = port->why();
  return nullptr;
}

std::unique_ptr<SteadyPort> steady_http(const std::string& address, const std::string& queue,
                                        std::string* why) {
  auto socket = client::Socket::connect(address, kAnswerMs, why);
  if (!socket) return nullptr;
  auto port = std::make_unique<SteadyHttp>(std::move(*socket), queue);
  if (port->make_queue()) return port;
  *why = port->why();
  return nullptr;
}

void SteadyClient::stop() {
  stopping_.store(true, std::memory_order_release);
  if (thread_.joinable()) thread_.join();
}

void SteadyClient::run() {
  for (uint64_t i = 0; !stopping_.load(std::memory_order_acquire); ++i) {
    while (paused_.load(std::memory_order_relaxed) && !stopping_.load(std::memory_order_acquire))
      ::usleep(kPauseUs);
    const std::string body = fmt::format("{} {}", name_, i);
    if (!port_->send(body)) {
      if (!only_sends_) failure_ = port_->why();
      break;
    }
    if (only_sends_) acknowledged_.push_back(body);
    std::string got;
    if (!only_sends_ && (!port_->take(&got) || got != body)) {
      failure_ = port_->why().empty() ? "another message came than was sent" : port_->why();
      break;
    }
    turns_.fetch_add(1, std::memory_order_relaxed);
  }
  ended_.store(true, std::memory_order_release);
}

}  // namespace millrace::blackbox
