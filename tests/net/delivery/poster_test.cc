// What is posted where, and what of an answer counts.
#include "net/delivery/poster.h"

#include <condition_variable>

#include "tests/net/delivery/tiny_server.h"

namespace millrace::net::delivery {
namespace {

class Posting : public testing::Test {
 protected:
  void open(std::string_view list = "127.0.0.0/8") {
    poster_ = std::make_unique<Poster>(reach_of(list), "");
    desk_ = std::make_unique<PostingDesk>(*poster_, [this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      wakes_.notify_one();
    });
  }
  void TearDown() override {
    desk_.reset();
    poster_.reset();
  }
  // Until a wake, or half a minute.
  bool wait() {
    std::unique_lock lock(mutex_);
    const bool woken = wakes_.wait_for(lock, std::chrono::seconds(30), [this] { return woken_; });
    woken_ = false;
    return woken;
  }
  Posted post(Post one) {
    Posted result;
    bool done = false;
    desk_->post(std::move(one), [&](Posted& posted) {
      result = std::move(posted);
      done = true;
    });
    while (!done && wait())
      desk_->turn();
    EXPECT_TRUE(done);
    return result;
  }

  std::mutex mutex_;
  std::condition_variable wakes_;
  bool woken_ = false;
  std::unique_ptr<Poster> poster_;
  std::unique_ptr<PostingDesk> desk_;
};

TEST_F(Posting, SendsWhatItWasGiven) {
  TinyServer server(kTaken);
  open();
  const std::string body(100'000, 'x');
  const Posted posted =
      post({.url = server.url("/hook?a=b"), .fields = {"x-amz-sns-message-id: 17"}, .body = body});
  EXPECT_EQ(posted.status, 200) << posted.fault;
  EXPECT_TRUE(posted.well());
  EXPECT_EQ(posted.post.body, body);
  ASSERT_EQ(server.requests().size(), 1u);
  const std::string request = server.requests()[0];
  EXPECT_TRUE(request.starts_with("POST /hook?a=b HTTP/1.1\r\n")) << request.substr(0, 200);
  for (const char* field : {"\r\nx-amz-sns-message-id: 17\r\n", "\r\nContent-Length: 100000\r\n",
                            "\r\nUser-Agent: Amazon Simple Notification Service Agent\r\n"})
    EXPECT_NE(request.find(field), std::string::npos) << field;
  EXPECT_EQ(request.find("Expect"), std::string::npos);
  EXPECT_TRUE(request.ends_with(body));
}

TEST_F(Posting, ConnectsToNothingThatIsNotAllowed) {
  TinyServer server(kTaken);
  open("public");
  for (const bool look_only : {false, true}) {
    const Posted posted = post({.url = server.url(), .look_only = look_only});
    EXPECT_FALSE(posted.allowed);
    EXPECT_FALSE(posted.well());
    EXPECT_EQ(posted.status, 0);
    EXPECT_EQ(posted.fault, "'127.0.0.1' leads to an address that may not be reached");
  }
  // By a name, whatever it is among other addresses.
  const Posted named = post({.url = "http://localhost:9/"});
  EXPECT_FALSE(named.allowed);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(Posting, LooksWithoutSending) {
  TinyServer server(kTaken);
  open();
  EXPECT_EQ(post({.url = server.url()}).status, 200);
  // Not on a connection that is there, either.
  const Posted looked = post({.url = server.url(), .look_only = true});
  EXPECT_TRUE(looked.well()) << looked.fault;
  EXPECT_EQ(looked.status, 0);
  EXPECT_EQ(server.requests().size(), 1u);
  const Posted nobody = post({.url = "http://nobody.invalid/", .look_only = true});
  EXPECT_FALSE(nobody.well());
  EXPECT_TRUE(nobody.allowed);
  EXPECT_NE(nobody.fault, "");  // in the resolver's words, or those of its end
}

TEST_F(Posting, TellsWhyThereIsNoAnswer) {
  open();
  const Posted refused = post({.url = "http://127.0.0.1:1/"});
  EXPECT_EQ(refused.status, 0);
  EXPECT_TRUE(refused.allowed);
  EXPECT_NE(refused.fault.find("127.0.0.1"), std::string::npos) << refused.fault;
  EXPECT_EQ(post({.url = "ftp://127.0.0.1/"}).fault, "it is no URL");
  TinyServer hangs_up("");
  EXPECT_EQ(post({.url = hangs_up.url()}).status, 0);
  TinyServer speaks_otherwise("SSH-2.0-OpenSSH_9.2\r\n");
  EXPECT_EQ(post({.url = speaks_otherwise.url()}).status, 0);
}

TEST_F(Posting, ReadsLittleOfAnAnswerAndFollowsNothing) {
  open();
  const std::string long_one(1u << 20, 'x');
  TinyServer talks(
      fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", long_one.size(), long_one));
  EXPECT_EQ(post({.url = talks.url()}).status, 200);
  TinyServer fields(fmt::format("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", std::string(8'000, 'y')));
  const Posted posted = post({.url = fields.url()});
  EXPECT_TRUE(posted.status == 200 || posted.status == 0);
  TinyServer inner(kTaken);
  TinyServer leads_on(fmt::format(
      "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      inner.url()));
  EXPECT_EQ(post({.url = leads_on.url()}).status, 302);
  EXPECT_TRUE(inner.requests().empty());
}

TEST_F(Posting, WakesWhenItIsAskedTo) {
  open();
  desk_->wake_in(3'600'000);
  desk_->wake_in(10);  // takes its place
  EXPECT_TRUE(wait());
}

TEST_F(Posting, EndsWithPostsUnderWay) {
  TinyServer server(kTaken);
  open();
  for (int i = 0; i < 200; ++i)
    desk_->post({.url = server.url()}, [](Posted&) {});
  desk_.reset();
  poster_.reset();
}

}  // namespace
}  // namespace millrace::net::delivery
