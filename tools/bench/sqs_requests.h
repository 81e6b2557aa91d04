// SqsRequests: requests of SQS's JSON protocol as a load makes them, signed if it has a key.
//
//   requests.write("SendMessage", body, connection.out());
//
// A signature is made for each request, as clients do: what it costs is part of the load.
// Threads: one.  Memory: the longest head.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/aws/sha256.h"

namespace millrace::tools {

struct SqsKey {
  std::string id;  // empty: requests are not signed
  std::string secret;
  std::string token;  // of temporary credentials
  std::string region;
};

class SqsRequests {
 public:
  SqsRequests(std::string host, SqsKey key);

  const std::string& host() const { return host_; }
  // Appends a whole request. `now_s`: Unix time, for the signature.
  void write(std::string_view action, std::string_view body, int64_t now_s, std::string& out);
  // A POST of the same form to another path, never signed.
  void write_to(std::string_view path, std::string_view action, std::string_view body,
                std::string& out) const;

 private:
  void set_time(int64_t now_s);
  void add_signature(std::string_view action, std::string_view body, std::string& out);

  const std::string host_;
  const SqsKey key_;
  net::Sha256 sha_;
  int64_t time_s_ = -1;
  std::string time_;   // 20250102T030405Z
  std::string scope_;  // 20250102/us-east-1/sqs/aws4_request
  net::Sha256Digest signing_key_{};
  std::string text_;
};

}  // namespace millrace::tools
