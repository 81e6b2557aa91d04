// /healthz and /readyz, on a fake shard.
#include <string>

#include <gtest/gtest.h>

#include "net/http/health_front.h"
#include "tests/net/fake_exchange.h"
#include "tests/net/fake_port.h"

namespace millrace::net::test {
namespace {

HttpRequest request(std::string_view method, std::string_view path) {
  HttpRequest made;
  made.method = method;
  made.target = path;
  return made;
}

class HttpHealth : public testing::Test {
 protected:
  FakeExchange ask(std::string_view path, std::string_view method = "GET") {
    FakeExchange noted;
    front_.handle(request(method, path), noted);
    return noted;
  }
  FakePort port_;
  StopGate gate_{1};
  HealthFront front_{port_, gate_};
};

TEST_F(HttpHealth, IsOk) {
  for (const char* path : {"/healthz", "/readyz", "/readyz?verbose"}) {
    const FakeExchange noted = ask(path);
    EXPECT_EQ(noted.status, 200) << path;
    EXPECT_EQ(noted.body, "ok\n") << path;
  }
  EXPECT_EQ(ask("/healthz", "HEAD").status, 200);
  EXPECT_EQ(ask("/healthz", "POST").status, 405);
}

TEST_F(HttpHealth, AFencedShardFailsBoth) {
  port_.is_fenced = true;
  for (const char* path : {"/healthz", "/readyz"}) {
    const FakeExchange noted = ask(path);
    EXPECT_EQ(noted.status, 503);
    EXPECT_EQ(noted.body,
              "shard 3 is fenced: a write or a sync failed, nothing is acknowledged any more\n");
  }
}

TEST_F(HttpHealth, AFullDiskAndAStopFailOnlyReadiness) {
  port_.disk_full = true;
  EXPECT_EQ(ask("/healthz").status, 200);
  EXPECT_EQ(ask("/readyz").status, 503);
  EXPECT_EQ(ask("/readyz").body, "shard 3 has no disk space: sends are refused\n");
  gate_.ask_to_stop();
  EXPECT_EQ(ask("/healthz").status, 200);
  EXPECT_EQ(ask("/readyz").body, "the server is stopping\n");
}

TEST_F(HttpHealth, AsksTheShardsOnceForAllWhoWait) {
  port_.held_stats = true;
  FakeExchange one, two, gone;
  front_.handle(request("GET", "/healthz"), one);
  front_.handle(request("GET", "/readyz"), gone);
  front_.handle(request("GET", "/readyz"), two);
  EXPECT_EQ(port_.answers.size(), 1u);
  front_.cancel(gone);
  port_.disk_full = true;
  port_.release(0);
  EXPECT_EQ(one.status, 200);
  EXPECT_EQ(two.status, 503);
  EXPECT_EQ(gone.answers, 0);
  // The last who waits takes the question back.
  front_.handle(request("GET", "/healthz"), one);
  front_.cancel(one);
  EXPECT_EQ(port_.answers.size(), 0u);
  EXPECT_EQ(one.answers, 1);
}

}  // namespace
}  // namespace millrace::net::test
