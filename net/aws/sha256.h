// Sha256: the hash and the MAC of request signatures, made again and again without allocating.
//
//   Sha256 sha;
//   sha.begin(); sha.add(head); sha.add(body); const Sha256Digest digest = sha.end();
//   const Sha256Digest mac = sha.hmac(key, text);
//
// Why HMAC is put together here (RFC 2104) and not OpenSSL's: giving an EVP_MAC another key costs
// more than the hashing, and it allocates. One context is kept for all; the algorithm is looked up
// once. Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;
struct evp_md_st;

namespace millrace::net {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void begin();
  void add(std::string_view bytes);
  Sha256Digest end();

  Sha256Digest of(std::string_view bytes) {
    begin();
    add(bytes);
    return end();
  }
  Sha256Digest hmac(std::span<const uint8_t> key, std::string_view text);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
    void operator()(evp_md_st* algorithm) const;
  };
  std::unique_ptr<evp_md_st, Free> algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// Lower-case hexadecimal, as signatures are written.
std::array<char, 64> hex_of(const Sha256Digest& digest);
inline std::string_view view_of(const std::array<char, 64>& hex) {
  return {hex.data(), hex.size()};
}

}  // namespace millrace::net
