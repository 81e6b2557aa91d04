// A session of a server with credentials, and a client that logs in to it, for tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/aws/key_gatekeeper.h"
#include "tests/net/peer.h"

namespace millrace::net::test {

inline constexpr std::string_view kSecret = "0123456789abcdef-secret";

// ROOT is the account itself; WORKER may what its rule says; NOBODY nothing; GUESTROOT is another
// account itself.
inline std::string credentials_text(std::string_view workers_rule = "",
                                    std::string_view mode = "") {
  const auto key = [](std::string_view id, std::string_view more) {
    return "[[key]]\nid = \"" + std::string(id) + "\"\nsecret = \"" + std::string(kSecret) +
           "\"\n" + std::string(more) + "\n";
  };
  std::string text(mode);
  text += "\n[[user]]\nname = \"worker\"\n" + std::string(workers_rule) +
          "\n[[user]]\nname = \"nobody\"\n";
  return text + key("ROOT", "") + key("WORKER", "user = \"worker\"") +
         key("NOBODY", "user = \"nobody\"") + key("GUESTROOT", "account = \"111111111111\"") +
         key("ISSUED", "user = \"worker\"\ntoken = \"of-a-session\"");
}

class LoginServer {
 public:
  explicit LoginServer(std::string_view workers_rule = "", std::string_view mode = "")
      : store(std::make_shared<CredentialStore>("", "000000000000")) {
    store->serve_logins();
    put(credentials_text(workers_rule, mode));
    gatekeeper = std::make_unique<KeyGatekeeper>(
        store, "000000000000", "us-east-1", +[] { return int64_t{1'700'000'000}; });
  }
  void put(std::string text) {
    std::string why;
    auto read = Credentials::parse(text, "keys", "000000000000", &why);
    MR_ASSERT(read != nullptr);
    store->put(std::move(read));
  }

  std::shared_ptr<CredentialStore> store;
  std::unique_ptr<KeyGatekeeper> gatekeeper;
};

// For requests that a test makes itself, past the session.
struct NobodyHears final : ReplySink {
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply& reply) override { MR_ASSERT(reply.error == Errc::ok); }
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
};

inline ByteString login_body(std::string_view key, uint8_t binding = 0, uint8_t nonce = 1) {
  wire::Login login{};
  login.nonce[0] = nonce;
  login.key_bytes = static_cast<uint16_t>(key.size());
  login.binding = binding;
  return bytes_of(login) + padded(key);
}

inline wire::LoginProof proof_of(const ByteString& body, const wire::LoginChallenge& challenge,
                                 std::string_view secret, Bytes binding = {},
                                 base::ScramDigest* signature = nullptr) {
  base::ScramSalt salt;
  std::copy(std::begin(challenge.salt), std::end(challenge.salt), salt.begin());
  base::ScramDigest client_key;
  const base::ScramKeys keys = base::scram_keys(secret, salt, challenge.iterations, &client_key);
  const std::string transcript = base::scram_transcript(body, bytes_of(challenge), binding);
  const base::ScramDigest proof = base::scram_proof(client_key, keys, transcript);
  wire::LoginProof made{};
  std::copy(proof.begin(), proof.end(), std::begin(made.proof));
  if (signature != nullptr) *signature = base::scram_signature(keys, transcript);
  return made;
}

// HELLO, LOGIN and LOGIN_PROOF, with the correlation ids 1 to 3; what the last one was answered.
inline Answer log_in(Peer& peer, std::string_view key, std::string_view secret = kSecret,
                     Bytes binding = {}) {
  peer.greet();
  const ByteString body = login_body(key, binding.empty() ? 0 : 1);
  peer.say(frame(wire::Opcode::login, 2, body));
  const Answer challenge = peer.hear_one();
  if (!challenge.is(wire::Opcode::login)) return challenge;
  peer.say(frame(wire::Opcode::login_proof, 3,
                 bytes_of(proof_of(body, challenge.as<wire::LoginChallenge>(), secret, binding))));
  return peer.hear_one();
}

}  // namespace millrace::net::test
