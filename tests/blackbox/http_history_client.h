// A HistoryClient that speaks SQS's JSON protocol over HTTP, unsigned.
//
// Leases are the same in both protocols: a receipt handle is the receipt in base64.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tests/blackbox/history_client.h"
#include "tools/bench/http_connection.h"

namespace millrace::blackbox {

class HttpHistoryClient final : public HistoryClient, private tools::HttpAnswers {
 public:
  using HistoryClient::HistoryClient;
  bool connect(const std::string& address) override;
  int fd() const override { return connection_ ? connection_->fd() : -1; }

 private:
  struct Sends {
    size_t queue;
    std::vector<Outgoing> messages;
  };
  struct Receives {
    size_t queue;
    uint64_t number;
  };
  struct Removes {
    std::vector<Held> held;
    std::vector<uint64_t> numbers;
  };
  struct Change {
    uint64_t number;
  };
  using Asked = std::variant<Sends, Receives, Removes, Change>;

  const Manner& manner() const override;
  size_t under_way() const override { return asked_.size(); }
  bool exchange() override;
  void ask_send(size_t queue, std::vector<Outgoing> messages) override;
  void ask_receive(size_t queue, uint64_t number, uint32_t visibility_ms, uint32_t wait_ms,
                   uint32_t messages_max) override;
  void ask_remove(std::vector<Held> held, std::vector<uint64_t> numbers) override;
  void ask_visibility(const Held& held, uint64_t number, uint32_t visibility_ms) override;

  void ask(const char* action, const std::string& body, Asked asked);
  bool on_answer(tools::HttpConnection& connection, tools::HttpAsked asked, uint32_t status,
                 std::string& body) override;
  void take(const Sends& asked, uint32_t status, const std::string& body);
  void take(const Receives& asked, uint32_t status, const std::string& body);
  void take(const Removes& asked, uint32_t status, const std::string& body);
  void take(const Change& asked, uint32_t status, const std::string& body);
  void lose();

  std::unique_ptr<tools::HttpConnection> connection_;
  std::deque<Asked> asked_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(size_t{64} << 10);
};

}  // namespace millrace::blackbox
