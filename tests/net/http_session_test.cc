// HTTP as a client meets it, on a session without a socket.
#include <string>

#include <gtest/gtest.h>

#include "net/http/session.h"
#include "tests/net/http_peer.h"

namespace millrace::net::test {
namespace {

constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kPoll = "POST /later/q HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";

std::string post(std::string_view target, std::string_view body, std::string_view fields = "") {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(HttpSession, AnswersARequestAndGoesOn) {
  HttpPeer peer;
  const HttpAnswer answer = peer.ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a?b=c ");
  EXPECT_TRUE(answer.says("Content-Type: text/plain; charset=utf-8"));
  EXPECT_TRUE(answer.says("Date: Thu, 01 Jan 1970 00:16:40 GMT"));
  EXPECT_EQ(answer.head.find("Connection"), std::string::npos);
  EXPECT_EQ(peer.ask(post("/b", "hello")).body, "POST /b hello");
  EXPECT_FALSE(peer.session->finished());
}

TEST(HttpSession, GivesFieldsWithoutTheSpaceAroundThem) {
  HttpPeer peer;
  peer.ask("GET / HTTP/1.1\r\nHost:h\r\nX-A: \t one two \t \r\nempty:\r\nx-a: again\r\n\r\n");
  EXPECT_EQ(peer.front->fields,
            (std::vector<std::string>{"Host=h", "X-A=one two", "empty=", "x-a=again"}));
}

TEST(HttpSession, APieceAByteLongIsAsGoodAsTheWhole) {
  const std::string chunked =
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n1\r\n,\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  const std::string stream = post("/a", "first") + "\r\n" + chunked + std::string(kGet) +
                             post("/later/", std::string(3000, 'x')) + post("/d", "") +
                             "GET /e HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" +
                             std::string(kGet);
  const auto answers = [&stream](size_t piece) {
    HttpPeer peer;
    std::string text;
    for (size_t at = 0; at < stream.size(); at += piece) {
      peer.say(std::string_view(stream).substr(at, piece));
      text += peer.hear_text();
    }
    EXPECT_EQ(peer.front->waiting.size(), 1u);
    peer.front->answer_next();
    text += peer.hear_text();
    EXPECT_TRUE(peer.session->finished());
    return text;
  };
  const std::string whole = answers(stream.size());
  const std::vector<HttpAnswer> parsed = parse_answers(whole);
  ASSERT_EQ(parsed.size(), 6u);
  EXPECT_EQ(parsed[1].body, "POST /c hello,0123456789");
  EXPECT_EQ(parsed[3].body.size(), 3000 + std::string("POST /later/ ").size());
  EXPECT_TRUE(parsed[5].says("Connection: close"));
  for (const size_t piece : {1u, 2u, 3u, 7u, 64u, 1000u})
    EXPECT_EQ(answers(piece), whole) << piece;
}

TEST(HttpSession, AnswersPipelinedRequestsInOrderOneAtATime) {
  HttpPeer peer;
  std::string stream;
  for (int i = 0; i < 1000; ++i)
    stream += post((i % 100 == 50 ? "/later/" : "/now/") + std::to_string(i), "x");
  std::vector<HttpAnswer> answers;
  const auto listen = [&] {
    for (const HttpAnswer& answer : peer.hear())
      answers.push_back(answer);
  };
  for (size_t at = 0; at < stream.size(); at += 4096) {
    peer.say(std::string_view(stream).substr(at, 4096));
    listen();
    EXPECT_LE(peer.front->waiting.size(), 1u);
  }
  while (!peer.front->waiting.empty()) {
    peer.front->answer_next();
    listen();
  }
  ASSERT_EQ(answers.size(), 1000u);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].body,
              "POST /" + std::string(i % 100 == 50 ? "later/" : "now/") + std::to_string(i) + " x");
  }
}

TEST(HttpSession, ReadsOnWhileItWaitsUntilALittleIsHeld) {
  HttpPeer peer;
  peer.say(kPoll);
  EXPECT_TRUE(peer.session->input().wanted);
  EXPECT_FALSE(peer.session->input().mid_unit);
  std::string ahead;
  while (ahead.size() < Limits{}.input_bytes_free)
    ahead += kGet;
  peer.say(ahead);
  EXPECT_FALSE(peer.session->input().wanted);
  EXPECT_EQ(peer.front->seen.size(), 1u);
  peer.front->answer_next();
  EXPECT_EQ(peer.hear().size(), 1 + ahead.size() / kGet.size());
  EXPECT_TRUE(peer.session->input().wanted);
  EXPECT_EQ(peer.session->input().bytes, 0u);
}

TEST(HttpSession, WaitsWithFurtherRequestsWhileItsAnswersAreNotRead) {
  Limits limits;
  limits.output_bytes_max = 10'000;
  HttpPeer peer(limits);
  std::string stream;
  for (int i = 0; i < 100; ++i)
    stream += post("/", std::string(1000, 'x'));
  peer.say(std::string_view(stream).substr(0, 60'000));
  EXPECT_LE(peer.front->seen.size(), 11u);
  EXPECT_LE(peer.session->output().pending(), 12'000u);
  std::vector<HttpAnswer> answers = peer.hear();
  peer.say(std::string_view(stream).substr(60'000));
  for (const HttpAnswer& answer : peer.hear())
    answers.push_back(answer);
  EXPECT_EQ(answers.size(), 100u);
}

TEST(HttpSession, KeepsAConnectionAsItsVersionHasIt) {
  const struct {
    const char* head;
    bool ends;
    const char* said;  // of the connection; empty: nothing
  } rows[] = {
      {"GET / HTTP/1.1\r\nHost: h\r\n", false, ""},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n", false, ""},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", true, "Connection: close"},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE, close\r\n", true, "Connection: close"},
      {"GET / HTTP/1.0\r\n", true, "Connection: close"},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", false, "Connection: keep-alive"},
  };
  for (const auto& row : rows) {
    HttpPeer peer;
    const HttpAnswer answer = peer.ask(std::string(row.head) + "\r\n");
    EXPECT_EQ(answer.status, 200) << row.head;
    EXPECT_EQ(peer.session->finished(), row.ends) << row.head;
    if (*row.said != '\0') {
      EXPECT_TRUE(answer.says(row.said)) << answer.head;
    } else {
      EXPECT_EQ(answer.head.find("Connection"), std::string::npos) << answer.head;
    }
  }
}

TEST(HttpSession, AnswersHeadWithoutABodyButItsLength) {
  HttpPeer peer;
  peer.say("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string text = peer.hear_text();
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  EXPECT_NE(text.find("\r\nContent-Length: 8\r\n"), std::string::npos) << text;
  EXPECT_EQ(peer.ask(kGet).body, "GET /a?b=c ");
}

TEST(HttpSession, AFrontMayCloseAndAddFields) {
  HttpPeer peer;
  peer.say(kPoll);
  const HttpField field{"x-amzn-RequestId", "17"};
  peer.front->answer_next({.status = 503,
                           .content_type = "text/xml",
                           .fields = {&field, 1},
                           .body = "<a/>",
                           .close = true});
  const HttpAnswer answer = peer.hear_one();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.says("x-amzn-RequestId: 17"));
  EXPECT_TRUE(answer.says("Content-Type: text/xml"));
  EXPECT_TRUE(answer.says("Connection: close"));
  EXPECT_EQ(answer.body, "<a/>");
  EXPECT_TRUE(peer.session->finished());
}

TEST(HttpSession, AsksForABodyThatIsHeldBack) {
  HttpPeer peer;
  peer.say("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(peer.hear_text(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(peer.ask("body").body, "POST /x body");
  // Nothing to ask for.
  EXPECT_EQ(peer.ask("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n").body,
            "POST /x ");
}

TEST(HttpSession, TakesBodiesUpToTheBound) {
  HttpPeer peer;
  const std::string body(Limits{}.http_body_bytes_max, 'b');
  EXPECT_EQ(peer.ask(post("/", body)).body.size(), body.size() + 7);
  const std::string whole = post("/", body);
  for (size_t at = 0; at < whole.size(); at += 60'000)
    peer.say(std::string_view(whole).substr(at, 60'000));
  EXPECT_EQ(peer.hear_one().body.size(), body.size() + 7);
  // What is held of it is claimed as a whole, announced or not.
  peer.say(std::string_view(whole).substr(0, 60'000));
  EXPECT_EQ(peer.session->input().bytes, whole.size());
  EXPECT_TRUE(peer.session->input().mid_unit);
}

TEST(HttpSession, ClaimsRoomForAChunkedBodyOnceItIsLarge) {
  HttpPeer peer;
  peer.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'c') + "\r\n";
  peer.say(chunk);
  EXPECT_LT(peer.session->input().bytes, size_t{40'000});
  peer.say(chunk);
  peer.say(chunk);
  EXPECT_EQ(peer.session->input().bytes, size_t{2} << 20);
  peer.say("0\r\n\r\n");
  EXPECT_EQ(peer.hear_one().body.size(), 3 * 0x8000 + std::string("POST / ").size());
}

TEST(HttpSession, ClosesWhenThePeerSendsNoMore) {
  HttpPeer peer;
  peer.ask(kGet);
  peer.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  peer.session->end_of_input();
  EXPECT_EQ(peer.hear_text(), "");
  EXPECT_TRUE(peer.session->finished());
}

TEST(HttpSession, AHalfClosedPeerStillGetsTheAnswerAndItsPollEnds) {
  HttpPeer peer;
  peer.say(std::string(kPoll) + std::string(kGet) + std::string(kPoll));
  peer.session->end_of_input();
  EXPECT_EQ(peer.front->stopped, 1);
  EXPECT_EQ(peer.hear_text(), "");
  EXPECT_FALSE(peer.session->finished());
  peer.front->answer_next();
  EXPECT_EQ(peer.hear().size(), 2u);
  // What came behind it is answered too, and does not wait either.
  EXPECT_EQ(peer.front->stopped, 2);
  peer.front->answer_next();
  EXPECT_EQ(peer.hear().size(), 1u);
  EXPECT_TRUE(peer.session->finished());
}

TEST(HttpSession, ABrokenConnectionCancelsWhatWaits) {
  HttpPeer peer;
  peer.say(kPoll);
  peer.session->abandon();
  EXPECT_EQ(peer.front->canceled, 1);
  EXPECT_TRUE(peer.session->finished());
  EXPECT_EQ(peer.hear_text(), "");
  HttpPeer other;
  other.say(kPoll);
  other.session.reset();
  EXPECT_EQ(other.front->canceled, 1);
}

TEST(HttpSession, AStopEndsPollsAndAnswersWhatIsUnderWay) {
  HttpPeer idle;
  idle.ask(kGet);
  idle.session->shut_down();
  EXPECT_TRUE(idle.session->finished());
  HttpPeer peer;
  peer.say(std::string(kPoll) + std::string(kGet));
  peer.session->shut_down();
  EXPECT_EQ(peer.front->stopped, 1);
  EXPECT_FALSE(peer.session->finished());
  peer.front->answer_next();
  const HttpAnswer answer = peer.hear_one();
  EXPECT_TRUE(answer.says("Connection: close"));
  EXPECT_TRUE(peer.session->finished());
}

TEST(HttpSession, ClosesWhoIsTooSlow) {
  constexpr int64_t kMs = 1'000'000;
  constexpr int64_t kSecond = 1000 * kMs;
  HttpPeer head;
  head.say("GET / HT");
  EXPECT_EQ(head.session->watch({.now_ns = 9 * kSecond, .unit_ns = kMs}), 10 * kSecond + kMs);
  EXPECT_FALSE(head.session->finished());
  head.session->watch({.now_ns = 11 * kSecond, .unit_ns = kMs});
  EXPECT_EQ(head.hear_one().status, 408);
  EXPECT_TRUE(head.session->finished());

  HttpPeer body;
  body.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(body.session->watch({.now_ns = kSecond, .unit_ns = kMs}), 16 * kSecond);
  body.say(std::string(16'000, 'x'));  // 15 KiB and a little in 15 s
  body.session->watch({.now_ns = 16 * kSecond, .unit_ns = kMs});
  EXPECT_FALSE(body.session->finished());
  EXPECT_EQ(body.session->watch({.now_ns = 17 * kSecond, .unit_ns = kMs}), 32 * kSecond);
  body.say(std::string(15'000, 'x'));
  // Nobody is to blame for waiting for our room.
  body.session->watch({.now_ns = 32 * kSecond, .unit_ns = kMs, .waits_for_room = true});
  EXPECT_FALSE(body.session->finished());
  body.say(std::string(15'000, 'x'));
  body.session->watch({.now_ns = 47 * kSecond, .unit_ns = kMs});
  EXPECT_EQ(body.hear_one().status, 408);
  EXPECT_TRUE(body.session->finished());

  HttpPeer idle;
  idle.ask(kGet);
  EXPECT_EQ(idle.session->watch({.now_ns = 50 * kSecond, .since_ns = kSecond}), 61 * kSecond);
  EXPECT_FALSE(idle.session->finished());
  idle.session->watch({.now_ns = 61 * kSecond, .since_ns = kSecond});
  EXPECT_TRUE(idle.session->finished());
  EXPECT_EQ(idle.hear_text(), "");

  HttpPeer waiting;
  waiting.say(kPoll);
  EXPECT_EQ(waiting.session->watch({.now_ns = 100 * kSecond, .since_ns = kSecond}), kNotWatched);
  EXPECT_FALSE(waiting.session->finished());
}

TEST(HttpSession, HoldsNoBuffersWhenIdleOrWaiting) {
  HttpPeer peer;
  const std::string request = post("/later/", "body");
  peer.say(request.substr(0, 30));
  peer.say(request.substr(30));
  EXPECT_EQ(peer.session->input().bytes, 0u);
  EXPECT_EQ(peer.pool.kept_bytes(), kBufferBytesMin);
}

}  // namespace
}  // namespace millrace::net::test
