// SignatureReader: what a request says about its signature, in the Authorization field or in the
// query (a presigned URL), before anything of it is believed.
//
// Views point into the request, and for a presigned one into the reader. Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/aws/signature_time.h"
#include "net/http/front.h"

namespace millrace::net {

enum class SignatureFault : uint8_t {
  none,
  missing,      // there is no signature at all
  incomplete,   // it has not the form of one
  bad_expires,  // presigned, for no time or too long
  mismatch,     // wrong: scope, time, what is signed, or the signature itself
  unknown_key,  // or its session token is not the one issued with it
};

struct SignatureParts {
  bool presigned = false;
  std::string_view credential;  // the next five, as they came: key/date/region/service/terminator
  std::string_view key_id;
  std::string_view date;
  std::string_view region;
  std::string_view service;
  std::string_view terminator;
  std::string_view signed_headers;
  std::string_view signature;
  std::string_view token;       // of temporary credentials; empty: none
  std::string_view date_field;  // the field that `time` is from; empty if presigned
  SignatureTime time{};
  int64_t time_s = 0;
  int64_t expires_s = 0;  // presigned: how long after `time` it may be used
};

class SignatureReader {
 public:
  // Fills parts(). On a fault `text`, which is empty before, says what is wrong.
  SignatureFault read(const HttpRequest& request, std::string* text);
  // Until the next read(), and as long as the request.
  const SignatureParts& parts() const { return parts_; }

 private:
  SignatureFault read_field(const HttpRequest& request, std::string_view value, std::string* text);
  SignatureFault read_query(std::string_view query, std::string* text);
  SignatureFault read_credential(std::string* text);
  bool set_time(std::string_view value, bool http_date);

  SignatureParts parts_;
  std::string decoded_;  // of a presigned query
};

// The value of the only field of this name, given in lower case. Counts them in `count`.
std::string_view find_field(const HttpRequest& request, std::string_view name, size_t* count);

}  // namespace millrace::net
