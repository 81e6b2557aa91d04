// A HistoryClient that speaks the binary protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/client.h"
#include "tests/blackbox/history_client.h"

namespace millrace::blackbox {

class BinaryHistoryClient final : public HistoryClient {
 public:
  using HistoryClient::HistoryClient;
  bool connect(const std::string& address) override;
  int fd() const override { return client_ && client_->open() ? client_->fd() : -1; }

 private:
  const Manner& manner() const override;
  size_t under_way() const override { return client_ ? client_->in_flight() : 0; }
  bool exchange() override;
  void ask_send(size_t queue, std::vector<Outgoing> messages) override;
  void ask_receive(size_t queue, uint64_t number, uint32_t visibility_ms, uint32_t wait_ms,
                   uint32_t messages_max) override;
  void ask_remove(std::vector<Held> held, std::vector<uint64_t> numbers) override;
  void ask_visibility(const Held& held, uint64_t number, uint32_t visibility_ms) override;
  void ask_change() override;
  void ask_publish(std::vector<Copies> messages) override;
  void ask_purge(size_t queue);
  void ask_again(size_t queue);
  void ask_creation(size_t queue);
  void ask_move(size_t queue);
  bool asked(const Result<client::RequestId>& request, const char* what);

  std::unique_ptr<client::Client> client_;
};

}  // namespace millrace::blackbox
