// POST /_millrace/reset, on a fake shard.
#include <string>

#include <gtest/gtest.h>

#include "net/http/reset_front.h"
#include "tests/net/fake_exchange.h"
#include "tests/net/fake_port.h"
#include "tests/net/fake_topics.h"

namespace millrace::net::test {
namespace {

class HttpReset : public testing::Test {
 protected:
  void ask(FakeExchange& answer, std::string_view peer = "127.0.0.1",
           std::string_view method = "POST") {
    HttpRequest request;
    request.method = method;
    request.target = ResetFront::kPath;
    request.peer = peer;
    front_.handle(request, answer);
  }
  void SetUp() override { port_.topic_port = &topics_; }

  int forgotten_ = 0;
  FakeTopics topics_;
  FakePort port_;
  ResetFront front_{port_, [this] { ++forgotten_; }};
};

TEST_F(HttpReset, DeletesAllQueuesAndTopicsAndSaysHowMany) {
  for (const char* name : {"a", "b", "c"})
    port_.add_queue(name);
  FakeExchange answer;
  ask(answer);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"queues\":3,\"topics\":1}\n");
  EXPECT_EQ(port_.find_queue("a"), nullptr);
  EXPECT_EQ(topics_.find("orders"), nullptr);
  EXPECT_EQ(forgotten_, 1);
  FakeExchange again;
  ask(again, "");
  EXPECT_EQ(again.body, "{\"queues\":0,\"topics\":0}\n");
}

TEST_F(HttpReset, IsForThisMachineOnly) {
  const QueueId kept = port_.add_queue("kept");
  for (const char* peer : {"10.0.0.1", "192.168.127.1", "1270.0.0.1", "::2", "fe80::1"}) {
    FakeExchange answer;
    ask(answer, peer);
    EXPECT_EQ(answer.status, 403) << peer;
  }
  FakeExchange answer;
  ask(answer, "::1", "GET");
  EXPECT_EQ(answer.status, 405);
  EXPECT_NE(port_.find_queue(kept), nullptr);
}

TEST_F(HttpReset, WhoAsksMeanwhileGetsItsAnswerAndWhoLeavesNone) {
  port_.held_queues = true;
  FakeExchange first;
  FakeExchange second;
  FakeExchange gone;
  for (FakeExchange* answer : {&first, &second, &gone})
    ask(*answer);
  ASSERT_EQ(port_.answers.size(), 1u);
  front_.cancel(gone);
  port_.release(0);
  EXPECT_EQ(first.answers, 1);
  EXPECT_EQ(second.answers, 1);
  EXPECT_EQ(gone.answers, 0);
  EXPECT_EQ(forgotten_, 1);
}

}  // namespace
}  // namespace millrace::net::test
