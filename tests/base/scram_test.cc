// The arithmetic of log-ins, against the example of RFC 7677.
#include "base/scram.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

constexpr std::string_view kSecret = "pencil";
constexpr std::string_view kAuthMessage =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr ScramSalt kSalt{0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                          0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};

ScramDigest from_hex(std::string_view hex) {
  ScramDigest digest{};
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(std::stoi(std::string(hex.substr(2 * i, 2)), nullptr, 16));
  return digest;
}

struct Made {
  ScramDigest client_key{};
  ScramKeys keys = scram_keys(kSecret, kSalt, 4096, &client_key);
};

TEST(Scram, ProofAndSignatureAreThoseOfTheRfcsExample) {
  const Made made;
  EXPECT_EQ(scram_proof(made.client_key, made.keys, kAuthMessage),
            from_hex("747cdb65aa56224e2352137e52d7bdcad6a0f738df30782caa69a2cfb0277554"));
  EXPECT_EQ(scram_signature(made.keys, kAuthMessage),
            from_hex("eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e"));
}

TEST(Scram, AProofFitsItsTranscriptAndNoOther) {
  const Made made;
  const ScramDigest proof = scram_proof(made.client_key, made.keys, kAuthMessage);
  EXPECT_TRUE(scram_proves(made.keys, kAuthMessage, proof));
  EXPECT_FALSE(scram_proves(made.keys, std::string(kAuthMessage) + "0", proof));
  for (size_t byte = 0; byte < proof.size(); ++byte) {
    ScramDigest other = proof;
    other[byte] ^= 1;
    EXPECT_FALSE(scram_proves(made.keys, kAuthMessage, other)) << byte;
  }
  EXPECT_FALSE(scram_proves(made.keys, kAuthMessage, ScramDigest{}));
}

TEST(Scram, AnotherSecretOrSaltMakesOtherKeys) {
  const Made made;
  ScramSalt salt = kSalt;
  salt[0] ^= 1;
  EXPECT_NE(scram_keys("Pencil", kSalt, 4096, nullptr).stored, made.keys.stored);
  EXPECT_NE(scram_keys(kSecret, salt, 4096, nullptr).stored, made.keys.stored);
  EXPECT_NE(scram_keys(kSecret, kSalt, 4097, nullptr).stored, made.keys.stored);
  EXPECT_NE(made.keys.stored, made.keys.server);
}

TEST(Scram, ATranscriptHoldsAllItsPartsInOrder) {
  EXPECT_EQ(scram_transcript(as_bytes("first"), as_bytes("challenge"), as_bytes("binding")),
            "millrace log-in 1\nfirstchallengebinding");
}

}  // namespace
}  // namespace millrace::base
