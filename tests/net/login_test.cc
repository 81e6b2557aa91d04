// Log-ins on the binary protocol: who gets in, and what strangers are told.
#include <gtest/gtest.h>

#include "tests/net/login_peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

constexpr int64_t kMsNs = 1'000'000;

class Login : public testing::Test {
 protected:
  LoginServer server_;
  Peer::Guard guard_{.gatekeeper = server_.gatekeeper.get()};
};

TEST_F(Login, LetsInWhoKnowsTheSecretAndProvesThatItKnowsItToo) {
  Peer peer({}, guard_);
  peer.say(hello());
  EXPECT_EQ(peer.hear_one().as<wire::Welcome>().login, 1);
  EXPECT_FALSE(peer.session.logged_in());
  const ByteString body = login_body("ROOT");
  peer.say(frame(Opcode::login, 2, body));
  const auto challenge = peer.hear_one().as<wire::LoginChallenge>();
  EXPECT_EQ(challenge.iterations, 4096u);
  base::ScramDigest signature{};
  peer.say(
      frame(Opcode::login_proof, 3, bytes_of(proof_of(body, challenge, kSecret, {}, &signature))));
  const Answer answer = peer.hear_one();
  ASSERT_TRUE(answer.is(Opcode::login_proof));
  const auto signed_by = answer.as<wire::LoginAnswer>();
  EXPECT_TRUE(std::equal(signature.begin(), signature.end(), std::begin(signed_by.signature)));
  EXPECT_TRUE(peer.session.logged_in());
  peer.say(frame(Opcode::echo, 4, ByteString(8)));
  EXPECT_TRUE(peer.hear_one().is(Opcode::echo));
}

TEST_F(Login, AWrongSecretAndAKeyThatIsNotThereAreRefusedAlike) {
  std::vector<std::string> texts;
  for (const auto& [key, secret] : {std::pair{"ROOT", "0123456789abcdef-other"},
                                    std::pair{"NOSUCHKEY", "0123456789abcdef-secret"},
                                    std::pair{"ISSUED", "0123456789abcdef-secret"}}) {
    Peer peer({}, guard_);
    const Answer answer = log_in(peer, key, secret);
    EXPECT_TRUE(answer.is_error(Errc::login_refused)) << key;
    EXPECT_EQ(answer.header.correlation, 0u) << key;
    EXPECT_TRUE(peer.session.finished()) << key;
    EXPECT_FALSE(peer.session.logged_in()) << key;
    texts.push_back(answer.error_text());
    peer.say(frame(Opcode::echo, 9, ByteString(8)));
    EXPECT_TRUE(peer.hear().empty()) << key;
  }
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
}

TEST_F(Login, TheSaltOfAKeyThatIsNotThereIsTheSameEachTime) {
  const auto salt_of = [&](std::string_view key) {
    const auto challenge = server_.gatekeeper->challenge(key);
    return std::string(std::begin(challenge.salt), std::end(challenge.salt));
  };
  for (const char* key : {"ROOT", "NOSUCHKEY"}) {
    const std::string before = salt_of(key);
    EXPECT_EQ(salt_of(key), before) << key;
    server_.put(credentials_text());
    EXPECT_EQ(salt_of(key), before) << key << " after a reload";
  }
  EXPECT_NE(salt_of("ROOT"), salt_of("NOSUCHKEY"));
}

TEST_F(Login, AProofThatWasOverheardIsOfNoUse) {
  Peer first({}, guard_);
  first.greet();
  const ByteString body = login_body("ROOT");
  first.say(frame(Opcode::login, 2, body));
  const ByteString proof =
      bytes_of(proof_of(body, first.hear_one().as<wire::LoginChallenge>(), kSecret));
  first.say(frame(Opcode::login_proof, 3, proof));
  ASSERT_TRUE(first.hear_one().is(Opcode::login_proof));

  Peer second({}, guard_);
  second.greet();
  second.say(frame(Opcode::login, 2, body));
  ASSERT_TRUE(second.hear_one().is(Opcode::login));
  second.say(frame(Opcode::login_proof, 3, proof));
  EXPECT_TRUE(second.hear_one().is_error(Errc::login_refused));
  // Nor is there a second proof for a challenge.
  Peer third({}, guard_);
  third.greet();
  third.say(frame(Opcode::login, 2, body));
  const auto challenge = third.hear_one().as<wire::LoginChallenge>();
  third.say(frame(Opcode::login_proof, 3, ByteString(32)) +
            frame(Opcode::login_proof, 4, bytes_of(proof_of(body, challenge, kSecret))));
  EXPECT_TRUE(third.hear_one().is_error(Errc::login_refused));
  EXPECT_FALSE(third.session.logged_in());
}

TEST_F(Login, NothingElseIsAnsweredBefore) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (opcode == static_cast<unsigned>(Opcode::login) ||
        opcode == static_cast<unsigned>(Opcode::login_proof))
      continue;
    Peer peer({}, guard_);
    peer.port.add_queue("q");
    peer.greet();
    peer.say(frame(static_cast<uint8_t>(opcode), 2, ByteString(64)));
    const Answer answer = peer.hear_one();
    EXPECT_TRUE(answer.is_error(Errc::login_required)) << opcode;
    EXPECT_EQ(answer.header.correlation, 0u) << opcode;
    EXPECT_TRUE(peer.session.finished()) << opcode;
  }
  // Nor between the challenge and the proof.
  Peer peer({}, guard_);
  peer.greet();
  peer.say(frame(Opcode::login, 2, login_body("ROOT")));
  ASSERT_TRUE(peer.hear_one().is(Opcode::login));
  peer.say(frame(Opcode::queue_list, 3, bytes_of(wire::ListBody{10, 0, 0})));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::login_required));
}

TEST_F(Login, BadFramesEndTheConnection) {
  const ByteString good = login_body("ROOT");
  wire::Login reserved{};
  reserved.key_bytes = 4;
  reserved.reserved[4] = 1;
  wire::Login no_key{};
  wire::Login far{};
  far.key_bytes = 200;
  struct Row {
    const char* name;
    ByteString bytes;
    Errc code;
  };
  const Row rows[] = {
      {"LOGIN twice", frame(Opcode::login, 2, good) + frame(Opcode::login, 3, good),
       Errc::protocol_violation},
      {"a proof of nothing", frame(Opcode::login_proof, 2, ByteString(32)),
       Errc::protocol_violation},
      {"a short proof",
       frame(Opcode::login, 2, good) + frame(Opcode::login_proof, 3, ByteString(24)),
       Errc::malformed},
      {"a short LOGIN", frame(Opcode::login, 2, ByteString(32)), Errc::malformed},
      {"a key that is too long", frame(Opcode::login, 2, login_body(std::string(129, 'k'))),
       Errc::malformed},
      {"a key past its frame", frame(Opcode::login, 2, bytes_of(far) + padded("ROOT")),
       Errc::malformed},
      {"no key", frame(Opcode::login, 2, bytes_of(no_key)), Errc::malformed},
      {"reserved bytes", frame(Opcode::login, 2, bytes_of(reserved) + padded("ROOT")),
       Errc::malformed},
      {"an unknown binding", frame(Opcode::login, 2, login_body("ROOT", 2)), Errc::login_refused},
      {"bound to a TLS that is not there", frame(Opcode::login, 2, login_body("ROOT", 1)),
       Errc::login_refused},
      {"a frame over 4 KiB", frame(Opcode::login, 2, ByteString(4096)), Errc::frame_too_large},
  };
  for (const Row& row : rows) {
    Peer peer({}, guard_);
    peer.greet();
    peer.say(row.bytes);
    const std::vector<Answer> answers = peer.hear();
    ASSERT_FALSE(answers.empty()) << row.name;
    EXPECT_TRUE(answers.back().is_error(row.code))
        << row.name << ": " << answers.back().error_text();
    EXPECT_TRUE(peer.session.finished()) << row.name;
    EXPECT_FALSE(peer.session.logged_in()) << row.name;
  }
}

TEST_F(Login, HasFiveSecondsInAllHoweverOftenItIsAnswered) {
  Peer peer({}, guard_);
  EXPECT_EQ(peer.session.watch({.now_ns = 1000 * kMsNs, .since_ns = 1000 * kMsNs}), 6000 * kMsNs);
  peer.greet();
  peer.say(frame(Opcode::login, 2, login_body("ROOT")));
  ASSERT_TRUE(peer.hear_one().is(Opcode::login));
  // The challenge moved the output, and that the time since.
  EXPECT_EQ(peer.session.watch({.now_ns = 5999 * kMsNs, .since_ns = 5900 * kMsNs}), 6000 * kMsNs);
  EXPECT_FALSE(peer.session.finished());
  (void)peer.session.watch({.now_ns = 6000 * kMsNs, .since_ns = 5900 * kMsNs});
  EXPECT_TRUE(peer.hear_one().is_error(Errc::timed_out));
  EXPECT_TRUE(peer.session.finished());
}

TEST_F(Login, InsideTlsIsBoundToTheSession) {
  const ByteString mine(32, std::byte{1});
  const ByteString other(32, std::byte{2});
  guard_.secure = true;
  const auto answer_of = [&](const ByteString& session, const ByteString& binding) {
    Peer peer({}, guard_);
    peer.session.bind_to(session);
    return log_in(peer, "ROOT", kSecret, binding);
  };
  EXPECT_TRUE(answer_of(mine, mine).is(Opcode::login_proof));
  EXPECT_TRUE(answer_of(mine, other).is_error(Errc::login_refused));
  const Answer unbound = answer_of(mine, {});
  EXPECT_TRUE(unbound.is_error(Errc::login_refused));
  EXPECT_NE(unbound.error_text().find("must be bound"), std::string::npos);
  EXPECT_TRUE(answer_of({}, mine).is_error(Errc::login_refused));
}

TEST_F(Login, OneConnectionLogsInOnce) {
  Peer peer({}, guard_);
  ASSERT_TRUE(log_in(peer, "ROOT").is(Opcode::login_proof));
  peer.say(frame(Opcode::login, 4, login_body("ROOT")));
  const Answer again = peer.hear_one();
  EXPECT_TRUE(again.is_error(Errc::unsupported));
  EXPECT_EQ(again.header.correlation, 4u);
  EXPECT_FALSE(peer.session.finished());
}

TEST_F(Login, WithoutCredentialsOrWithTheModeOffNoneIsWanted) {
  LoginServer off("", "mode = 'off'");
  for (Gatekeeper* gatekeeper :
       {static_cast<Gatekeeper*>(nullptr), static_cast<Gatekeeper*>(off.gatekeeper.get())}) {
    Peer peer({}, {.gatekeeper = gatekeeper});
    const QueueId queue = peer.port.add_queue("q");
    peer.say(hello());
    EXPECT_EQ(peer.hear_one().as<wire::Welcome>().login, 0);
    EXPECT_TRUE(peer.session.logged_in());
    peer.say(send(2, queue, {"hello"}));
    EXPECT_TRUE(peer.hear_one().is(Opcode::send));
    peer.say(frame(Opcode::login, 3, login_body("ROOT")));
    EXPECT_TRUE(peer.hear_one().is_error(Errc::unsupported));
    EXPECT_FALSE(peer.session.finished());
  }
}

TEST_F(Login, TheModeRelaxedWantsAProofToo) {
  LoginServer relaxed("", "mode = 'relaxed'");
  Peer good({}, {.gatekeeper = relaxed.gatekeeper.get()});
  EXPECT_TRUE(log_in(good, "ROOT").is(Opcode::login_proof));
  Peer bad({}, {.gatekeeper = relaxed.gatekeeper.get()});
  EXPECT_TRUE(log_in(bad, "ROOT", "another").is_error(Errc::login_refused));
}

TEST_F(Login, AKeyThatIsTakenAwayEndsItsConnectionsAndNoOthers) {
  Peer gone({}, guard_);
  Peer stays({}, guard_);
  const QueueId queue = gone.port.add_queue("q");
  ASSERT_TRUE(log_in(gone, "ROOT").is(Opcode::login_proof));
  ASSERT_TRUE(log_in(stays, "GUESTROOT").is(Opcode::login_proof));
  gone.say(subscribe(4, queue, 10, 100));
  ASSERT_TRUE(gone.hear_one().is(Opcode::subscribe));

  std::string text = credentials_text();
  const std::string secret = "id = \"ROOT\"\nsecret = \"";
  text.insert(text.find(secret) + secret.size(), "changed-");
  server_.put(text);
  // What is pushed meanwhile is not shown to it any more.
  NobodyHears nobody;
  gone.port.send({queue, 1, message("for its eyes no more")}, {&nobody, 0});
  const std::vector<Answer> heard = gone.hear();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_TRUE(heard.front().is_error(Errc::login_refused));
  EXPECT_TRUE(gone.session.finished());
  stays.say(frame(Opcode::echo, 4, ByteString(8)));
  EXPECT_TRUE(stays.hear_one().is(Opcode::echo));
}

TEST_F(Login, WhoCameWithoutOneIsSentAwayOnceOneIsWanted) {
  LoginServer off("", "mode = 'off'");
  Peer peer({}, {.gatekeeper = off.gatekeeper.get()});
  peer.greet();
  off.put(credentials_text());
  peer.say(frame(Opcode::echo, 2, ByteString(8)));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::login_required));
}

}  // namespace
}  // namespace millrace::net::test
