// A request as a test says it, and the same signed by a signer that is written apart from the
// verifier: on OpenSSL's own HMAC, from a list of fields and not from their bytes.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "net/aws/credentials.h"
#include "net/http/front.h"

namespace millrace::net::test {

inline constexpr const char* kKeyId = "AKIDEXAMPLE";
inline constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
inline constexpr const char* kAccount = "000000000000";
inline constexpr int64_t kSignedAt = 1735787045;  // 20250102T030405Z

// Owns what an HttpRequest views.
struct TestRequest {
  std::string method = "POST";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::string peer = "127.0.0.1";
  bool secure = false;

  std::string* field(const std::string& name) {
    for (auto& [field_name, value] : fields)
      if (field_name == name) return &value;
    return nullptr;
  }
  void add(std::string name, std::string value) {
    fields.emplace_back(std::move(name), std::move(value));
  }
  void remove(const std::string& name) {
    std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  }

  // As long as this is not changed.
  HttpRequest view() {
    views_.clear();
    for (const auto& [name, value] : fields)
      views_.push_back({name, value});
    return {.method = method,
            .target = target,
            .fields = views_,
            .body = {reinterpret_cast<std::byte*>(body.data()), body.size()},
            .peer = peer,
            .secure = secure};
  }

 private:
  std::vector<HttpField> views_;
};

inline std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}
inline std::string sha256(const std::string& text) {
  std::string digest(32, '\0');
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return digest;
}
inline std::string hmac(const std::string& key, const std::string& text) {
  std::string digest(32, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

// What a signature is made with; a test changes what it wants to be wrong.
struct Signing {
  std::string key_id = kKeyId;
  std::string secret = kSecret;
  std::string time = "20250102T030405Z";
  std::string date = "20250102";
  std::string region = "us-east-1";
  std::string service = "sqs";
  std::string terminator = "aws4_request";
  std::string algorithm = "AWS4-HMAC-SHA256";
  std::vector<std::string> unsigned_fields;
  std::string canonical_path = "/";
  std::string canonical_query;

  std::string scope() const { return date + "/" + region + "/" + service + "/" + terminator; }
  std::string signature_of(const std::string& canonical) const {
    const std::string key =
        hmac(hmac(hmac(hmac("AWS4" + secret, date), region), service), terminator);
    return hex(hmac(key, algorithm + "\n" + time + "\n" + scope() + "\n" + hex(sha256(canonical))));
  }
};

// Adds Authorization over all fields there are, and X-Amz-Date if it is missing.
inline void sign(TestRequest& request, const Signing& with = {}) {
  if (request.field("X-Amz-Date") == nullptr && request.field("Date") == nullptr)
    request.add("X-Amz-Date", with.time);
  std::map<std::string, std::string> signed_fields;
  for (const auto& [name, value] : request.fields) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto& left_out = with.unsigned_fields;
    if (std::find(left_out.begin(), left_out.end(), lower) == left_out.end())
      signed_fields[lower] = value;
  }
  std::string names;
  std::string block;
  for (const auto& [name, value] : signed_fields) {
    names += (names.empty() ? "" : ";") + name;
    block += name + ":" + value + "\n";
  }
  const std::string canonical = request.method + "\n" + with.canonical_path + "\n" +
                                with.canonical_query + "\n" + block + "\n" + names + "\n" +
                                hex(sha256(request.body));
  request.add("Authorization", with.algorithm + " Credential=" + with.key_id + "/" + with.scope() +
                                   ", SignedHeaders=" + names +
                                   ", Signature=" + with.signature_of(canonical));
}

inline TestRequest example_request() {
  TestRequest request;
  request.fields = {{"Host", "127.0.0.1:9324"},
                    {"Content-Type", "application/x-amz-json-1.0"},
                    {"X-Amz-Target", "AmazonSQS.GetQueueUrl"}};
  request.body = R"({"QueueName":"jobs"})";
  return request;
}

inline std::shared_ptr<const Credentials> credentials_of(std::string text) {
  std::string why;
  auto credentials = Credentials::parse(text, "test.toml", kAccount, &why);
  if (credentials == nullptr) std::fprintf(stderr, "%s\n", why.c_str());
  return credentials;
}
inline std::shared_ptr<const Credentials> example_credentials() {
  return credentials_of(std::string("[[key]]\nid = '") + kKeyId + "'\nsecret = '" + kSecret +
                        "'\n[[key]]\nid = 'AKIDTEMPORARY'\nsecret = '" + kSecret +
                        "'\ntoken = 'issued/with+it=='\n");
}

}  // namespace millrace::net::test
