// Md5: the digests by which SQS clients check what they sent and got. The algorithm is looked up
// once, and one context serves all digests.
//
// Threads: shard-local.   Memory: OpenSSL's context.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "millrace/types.h"

struct evp_md_st;      // OpenSSL's EVP_MD
struct evp_md_ctx_st;  // and EVP_MD_CTX

namespace millrace::net {

struct Digest {
  std::array<unsigned char, 16> bytes{};
  // Lower-case hexadecimal.
  std::array<char, 32> text() const;
  friend bool operator==(const Digest&, const Digest&) = default;
};

class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(const Md5&) = delete;
  Md5& operator=(const Md5&) = delete;

  Digest of(Bytes bytes);
  // In pieces.
  void begin();
  void add(Bytes bytes);
  Digest end();

 private:
  struct Free {
    void operator()(evp_md_st* algorithm) const;
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_st, Free> algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace millrace::net
