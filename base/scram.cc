#include "base/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/assert.h"

namespace millrace::base {
namespace {

constexpr std::string_view kTranscriptHead = "millrace log-in 1\n";

ScramDigest hash(const ScramDigest& of) {
  ScramDigest digest;
  unsigned size = 0;
  MR_ASSERT(EVP_Digest(of.data(), of.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  MR_ASSERT(size == digest.size());
  return digest;
}

void add(std::string& text, Bytes bytes) {
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

ScramDigest scram_mac(const ScramDigest& key, std::string_view text) {
  ScramDigest mac;
  unsigned size = 0;
  MR_ASSERT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                 reinterpret_cast<const uint8_t*>(text.data()), text.size(), mac.data(),
                 &size) != nullptr);
  MR_ASSERT(size == mac.size());
  return mac;
}

ScramKeys scram_keys(std::string_view secret, const ScramSalt& salt, uint32_t iterations,
                     ScramDigest* client_key) {
  ScramDigest salted;
  MR_ASSERT(PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()), salt.data(),
                              static_cast<int>(salt.size()), static_cast<int>(iterations),
                              EVP_sha256(), static_cast<int>(salted.size()), salted.data()) == 1);
  ScramDigest key = scram_mac(salted, "Client Key");
  const ScramKeys keys{.stored = hash(key), .server = scram_mac(salted, "Server Key")};
  if (client_key != nullptr) *client_key = key;
  scram_wipe(key.data(), key.size());
  scram_wipe(salted.data(), salted.size());
  return keys;
}

std::string scram_transcript(Bytes first, Bytes challenge, Bytes binding) {
  std::string text(kTranscriptHead);
  text.reserve(text.size() + first.size() + challenge.size() + binding.size());
  add(text, first);
  add(text, challenge);
  add(text, binding);
  return text;
}

ScramDigest scram_proof(const ScramDigest& client_key, const ScramKeys& keys,
                        std::string_view transcript) {
  ScramDigest proof = scram_mac(keys.stored, transcript);
  for (size_t i = 0; i < proof.size(); ++i)
    proof[i] ^= client_key[i];
  return proof;
}

bool scram_proves(const ScramKeys& keys, std::string_view transcript, const ScramDigest& proof) {
  ScramDigest client_key = scram_mac(keys.stored, transcript);
  for (size_t i = 0; i < client_key.size(); ++i)
    client_key[i] ^= proof[i];
  const bool proves = scram_equal(hash(client_key), keys.stored);
  scram_wipe(client_key.data(), client_key.size());
  return proves;
}

ScramDigest scram_signature(const ScramKeys& keys, std::string_view transcript) {
  return scram_mac(keys.server, transcript);
}

bool scram_equal(const ScramDigest& a, const ScramDigest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void scram_random(uint8_t* bytes, size_t size) {
  MR_ASSERT(RAND_bytes(bytes, static_cast<int>(size)) == 1);
}

void scram_wipe(void* bytes, size_t size) {
  OPENSSL_cleanse(bytes, size);
}

}  // namespace millrace::base
