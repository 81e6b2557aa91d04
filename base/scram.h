// Scram: the arithmetic of a log-in by challenge and response, as SCRAM-SHA-256 has it.
//
//   client -> server   its nonce, which access key, what it is bound to
//   server -> client   its nonce, salt, iterations
//   client -> server   proof: the client knows the secret, and heard just this
//   server -> client   signature: the server knows it too
//
// Neither the secret nor what could be used in its place is ever sent, and what was overheard is of
// no use on another connection: both nonces, and the TLS session if there is one, are in what is
// proved. What a server keeps of a secret (ScramKeys) lets it check a proof, not make one.
//
// Threads: any; no state.   Source: RFC 5802 (section 3), RFC 7677; the messages are those of
// docs/wire-protocol.md instead of RFC 5802's texts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/types.h"

namespace millrace::base {

using ScramDigest = std::array<uint8_t, 32>;
using ScramSalt = std::array<uint8_t, 16>;

// RFC 7677's least. Secrets are random texts that nobody remembers, so that more would only make
// log-ins dearer.
inline constexpr uint32_t kScramIterations = 4096;
// What a client lets a server make it do.
inline constexpr uint32_t kScramIterationsMax = 1u << 20;

struct ScramKeys {
  ScramDigest stored{};  // H(client key)
  ScramDigest server{};
};

// Takes some milliseconds. `client_key`, which may be null, is for who makes proofs.
ScramKeys scram_keys(std::string_view secret, const ScramSalt& salt, uint32_t iterations,
                     ScramDigest* client_key);
// What is proved and signed: the client's first message, the server's answer, both as sent, and
// what they are bound to (empty: nothing).
std::string scram_transcript(Bytes first, Bytes challenge, Bytes binding);

ScramDigest scram_proof(const ScramDigest& client_key, const ScramKeys& keys,
                        std::string_view transcript);
// In constant time.
bool scram_proves(const ScramKeys& keys, std::string_view transcript, const ScramDigest& proof);
ScramDigest scram_signature(const ScramKeys& keys, std::string_view transcript);
bool scram_equal(const ScramDigest& a, const ScramDigest& b);

// HMAC-SHA-256, for who derives salts.
ScramDigest scram_mac(const ScramDigest& key, std::string_view text);

// Random bytes of the system's. The process ends if it has none.
void scram_random(uint8_t* bytes, size_t size);
void scram_wipe(void* bytes, size_t size);

}  // namespace millrace::base
