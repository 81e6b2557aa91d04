// TLS in memory: what goes through it, and what breaks it.
#include <gtest/gtest.h>

#include "base/prng.h"
#include "tests/net/tls/tls_peer.h"

namespace millrace::net {
namespace {

using test::TestCertificate;
using test::TlsClient;
using test::TlsPeer;

const TestCertificate& files() {
  static const TestCertificate made;
  return made;
}

constexpr const char* kRequest = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

class TlsVersions : public testing::TestWithParam<int> {};

TEST_P(TlsVersions, RequestsAndAnswersPass) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  EXPECT_EQ(SSL_version(client.ssl()), GetParam());
  for (int i = 0; i < 3; ++i) {
    const auto answers = test::parse_answers(peer.ask(client, kRequest));
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].body, "POST /x hello");
  }
  EXPECT_TRUE(peer.front.secure);
  EXPECT_TRUE(peer.conversation->input().logged_in);
}

TEST_P(TlsVersions, PiecesOfAnySizeAreTheSame) {
  for (const size_t piece : {1u, 2u, 7u, 100u}) {
    TlsPeer peer(files());
    TlsClient client(GetParam());
    ASSERT_TRUE(peer.shake(client, piece)) << piece;
    EXPECT_EQ(test::parse_answers(peer.ask(client, kRequest, piece)).at(0).body, "POST /x hello");
  }
}

TEST_P(TlsVersions, AnAnswerLargerThanTheOutputMayBeComesWhole) {
  Limits limits;
  limits.output_bytes_max = 128u << 10;
  TlsPeer peer(files(), limits);
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  std::string large(1u << 20, 'x');
  for (size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>('a' + i % 23);
  EXPECT_EQ(peer.ask(client, "GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n"), "");
  peer.front.answer_next({.body = large});
  peer.turn(client);
  EXPECT_EQ(test::parse_answers(client.hear()).at(0).body, large);
  EXPECT_LT(peer.output_max, 256u << 10);
}

TEST_P(TlsVersions, ALargeRequestComesWhole) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  const std::string body(1u << 20, 'y');
  const auto answers = test::parse_answers(
      peer.ask(client, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n" + body));
  EXPECT_EQ(answers.at(0).body, "POST /x " + body);
}

TEST_P(TlsVersions, WhatIsSentAheadOfAnAnswerWaitsAndReadingPauses) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  peer.ask(client, "GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string body(10'000, 'z');
  const std::string ahead =
      "POST /ahead HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n" + body;
  int sent = 0;
  while (peer.conversation->input().wanted && sent < 100) {
    peer.ask(client, ahead);
    ++sent;
  }
  EXPECT_GT(sent, 3);
  EXPECT_LT(sent, 30);
  EXPECT_EQ(peer.front.seen.size(), 1u);
  peer.front.answer_next();
  peer.turn(client);
  const auto answers = test::parse_answers(client.hear());
  ASSERT_EQ(answers.size(), static_cast<size_t>(sent + 1));
  EXPECT_EQ(answers.back().body, "POST /ahead " + body);
  EXPECT_TRUE(peer.conversation->input().wanted);
}

TEST_P(TlsVersions, TheEndIsSaid) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  EXPECT_NE(peer.ask(client, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "");
  EXPECT_TRUE(peer.conversation->finished());
  EXPECT_NE(SSL_get_shutdown(client.ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
}

TEST_P(TlsVersions, APeerThatSaysTheEndIsStillAnswered) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  client.say("GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  SSL_shutdown(client.ssl());
  peer.deliver(client.outgoing());
  peer.turn(client);
  EXPECT_EQ(peer.front.stopped, 1);
  peer.front.answer_next();
  peer.turn(client);
  EXPECT_EQ(test::parse_answers(client.hear()).size(), 1u);
  EXPECT_TRUE(peer.conversation->finished());
}

TEST_P(TlsVersions, ADamagedRecordEndsIt) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  peer.ask(client, "GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  client.say(kRequest);
  std::string bytes = client.outgoing();
  bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
  peer.deliver(bytes);
  EXPECT_TRUE(peer.conversation->finished());
  EXPECT_EQ(peer.front.canceled, 1);
  EXPECT_EQ(peer.front.seen.size(), 1u);
}

TEST_P(TlsVersions, SessionsResume) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  EXPECT_FALSE(SSL_session_reused(client.ssl()));
  client.begin_again();
  peer.begin();
  ASSERT_TRUE(peer.shake(client));
  EXPECT_TRUE(SSL_session_reused(client.ssl()));
}

TEST_P(TlsVersions, AStopAnswersWhatIsUnderWay) {
  TlsPeer peer(files());
  TlsClient client(GetParam());
  ASSERT_TRUE(peer.shake(client));
  peer.ask(client, "GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.conversation->shut_down();
  EXPECT_FALSE(peer.conversation->finished());
  peer.front.answer_next();
  peer.turn(client);
  EXPECT_EQ(test::parse_answers(client.hear()).size(), 1u);
  EXPECT_TRUE(peer.conversation->finished());
}

INSTANTIATE_TEST_SUITE_P(Tls, TlsVersions, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_2_VERSION ? "1_2" : "1_3";
                         });

// What a server sends to one whose hello it refuses: an alert, and that is the end.
void expect_alert_and_end(TlsPeer& peer, TlsClient& client) {
  EXPECT_FALSE(client.shake());
  peer.deliver(client.outgoing());
  EXPECT_TRUE(peer.conversation->finished());
  const Bytes sent = peer.conversation->output().start_sending();
  ASSERT_EQ(sent.size(), 7u);
  EXPECT_EQ(sent[0], std::byte{21});  // an alert
  EXPECT_EQ(sent[5], std::byte{2});   // and a fatal one
}

TEST(TlsConversation, AnOlderVersionGetsAnAlertAndTheEnd) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    TlsPeer peer(files());
    TlsClient client(version);
    expect_alert_and_end(peer, client);
  }
}

TEST(TlsConversation, SuitesWithoutForwardSecrecyOrAuthenticationAreRefused) {
  const TestCertificate rsa("localhost", true);
  for (const char* suite : {"AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA256"}) {
    TlsPeer peer(rsa);
    TlsClient client(TLS1_2_VERSION, suite);
    expect_alert_and_end(peer, client);
  }
  TlsPeer peer(rsa);
  TlsClient client(TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256");
  EXPECT_TRUE(peer.shake(client));
}

TEST(TlsConversation, PlainHttpIsTheEnd) {
  TlsPeer peer(files());
  peer.deliver(kRequest);
  EXPECT_TRUE(peer.conversation->finished());
  EXPECT_EQ(peer.front.seen.size(), 0u);
  peer.deliver(kRequest);
  EXPECT_LT(peer.conversation->output().pending(), 10u);
}

TEST(TlsConversation, RenegotiationGetsAnAlertAndTheEnd) {
  TlsPeer peer(files());
  TlsClient client(TLS1_2_VERSION);
  ASSERT_TRUE(peer.shake(client));
  SSL_renegotiate(client.ssl());
  client.shake();
  peer.deliver(client.outgoing());
  EXPECT_TRUE(peer.conversation->finished());
  EXPECT_GT(peer.conversation->output().pending(), 0u);
}

TEST(TlsConversation, AHandshakeHasItsTime) {
  TlsPeer peer(files());
  constexpr int64_t kBegun = 1'000'000'000;
  const int64_t limit = kBegun + Limits{}.login_ms * int64_t{1'000'000};
  EXPECT_EQ(peer.conversation->watch({.now_ns = kBegun, .since_ns = kBegun}), limit);
  TlsClient client;
  client.shake();
  peer.deliver(client.outgoing());
  // That something was sent meanwhile gives no more time.
  EXPECT_EQ(peer.conversation->watch({.now_ns = limit - 1, .since_ns = limit - 10}), limit);
  EXPECT_FALSE(peer.conversation->finished());
  peer.conversation->watch({.now_ns = limit, .since_ns = limit - 10});
  EXPECT_TRUE(peer.conversation->finished());
}

TEST(TlsConversation, ARefusalOrAStopBeforeTheHandshakeIsTheEnd) {
  for (const auto end :
       {+[](Conversation& c) { c.refuse_connection(Errc::over_limit, "full"); },
        +[](Conversation& c) { c.shut_down(); }, +[](Conversation& c) { c.end_of_input(); }}) {
    TlsPeer peer(files());
    end(*peer.conversation);
    EXPECT_TRUE(peer.conversation->finished());
    EXPECT_EQ(peer.conversation->output().pending(), 0u);
  }
}

TEST(TlsConversation, AReloadIsForThoseThatComeAndTheOthersGoOn) {
  TestCertificate changing("before");
  TlsPeer peer(changing);
  TlsClient first;
  ASSERT_TRUE(peer.shake(first));
  EXPECT_EQ(first.server_name(), "before");

  changing.write("after");
  std::string why;
  ASSERT_TRUE(peer.certificate->reload(&why)) << why;
  EXPECT_EQ(test::parse_answers(peer.ask(first, kRequest)).size(), 1u);
  peer.begin();
  TlsClient second;
  ASSERT_TRUE(peer.shake(second));
  EXPECT_EQ(second.server_name(), "after");

  // One that cannot be used changes nothing.
  ::chmod(changing.key.c_str(), 0644);
  EXPECT_FALSE(peer.certificate->reload(&why));
  peer.begin();
  TlsClient third;
  ASSERT_TRUE(peer.shake(third));
  EXPECT_EQ(third.server_name(), "after");
}

TEST(TlsConversation, BytesAtRandomAreTheEndAndNothingElse) {
  TlsPeer peer(files());
  TlsClient model;
  model.shake();
  const std::string hello = model.outgoing();
  base::Prng random(1);
  for (int i = 0; i < 300; ++i) {
    peer.begin();
    std::string bytes = hello;
    for (int changes = 0; changes < 3; ++changes)
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    if (random.chance(1, 2)) bytes.resize(random.below(bytes.size()) + 1);
    peer.deliver(bytes, random.below(64) + 1);
    TlsClient nobody;
    peer.turn(nobody);
    peer.conversation->end_of_input();
    EXPECT_TRUE(peer.conversation->finished());
    EXPECT_EQ(peer.front.seen.size(), 0u);
  }
}

// --- the files ---

std::string why_no_tls(const std::string& certificate, const std::string& key) {
  std::string why;
  return TlsCertificate(certificate, key).reload(&why) ? "" : why;
}

TEST(TlsCertificateFiles, AreRefusedInOneLine) {
  const TestCertificate one;
  const TestCertificate other;
  const TestCertificate locked("localhost", false, "secret");
  EXPECT_EQ(why_no_tls(one.certificate, one.key), "");
  EXPECT_EQ(why_no_tls("/no/such.pem", one.key), "/no/such.pem: No such file or directory");
  EXPECT_EQ(why_no_tls(one.certificate, "/no/such.pem"), "/no/such.pem: No such file or directory");
  EXPECT_EQ(why_no_tls(one.key, one.key), one.key + ": no start line");
  EXPECT_EQ(why_no_tls(one.certificate, other.key),
            other.key + " is not the key of " + one.certificate + ": key values mismatch");
  const std::string refused = why_no_tls(locked.certificate, locked.key);
  EXPECT_EQ(refused.substr(0, locked.key.size()), locked.key);
  EXPECT_EQ(refused.find('\n'), std::string::npos);
  ::chmod(one.key.c_str(), 0640);
  EXPECT_EQ(why_no_tls(one.certificate, one.key),
            one.key + ": others may read or change it (mode 0640); chmod 600 it");
}

}  // namespace
}  // namespace millrace::net
