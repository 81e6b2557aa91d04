// The server with the real broker behind it, on the reactor that the test is for.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "net/server.h"
#include "tests/net/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::test {

class ServerTest : public testing::TestWithParam<ReactorKind> {
 protected:
  void SetUp() override {
    std::string reason;
    if (!make_reactor({.kind = GetParam()}, &reason)) GTEST_SKIP() << reason;
    options_.listen = "127.0.0.1:0";
    options_.reactor = GetParam();
  }
  void TearDown() override { stop(); }

  void start(uint16_t shards = 1) {
    std::string message;
    BrokerOptions broker_options;
    broker_options.data_directory = directory_.path() + "/data";
    broker_options.shards = shards;
    broker_options.segment_bytes = 4u << 20;
    auto broker = Broker::open(broker_options, &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(broker).value();
    auto server = Server::start(*broker_, options_, &message);
    ASSERT_TRUE(server) << message;
    server_ = std::move(server).value();
  }
  void stop() {
    server_.reset();
    broker_.reset();
  }
  const std::string& address() const { return server_->address(); }

  TemporaryDirectory directory_;
  ServerOptions options_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Server> server_;
};

inline std::string reactor_name(const testing::TestParamInfo<ReactorKind>& kind) {
  return kind.param == ReactorKind::epoll ? "epoll" : "uring";
}

}  // namespace millrace::net::test
