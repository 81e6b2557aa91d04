// Requests that botocore, the signer of boto3 and the AWS command line, signed a moment ago.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "net/aws/sigv4.h"
#include "tests/net/aws/signed_request.h"

namespace millrace::net {
namespace {

using test::TestRequest;

struct SignedRequests {
  int64_t now_s = 0;
  std::vector<TestRequest> requests;
};

std::string unhex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::strtol(std::string(text.substr(i, 2)).c_str(), nullptr, 16));
  return bytes;
}

bool has_botocore() {
  return std::system("/usr/bin/python3 -c 'import botocore' 2>/dev/null") == 0;
}

SignedRequests signed_by_botocore(int seed, int count, const std::string& key,
                                  const std::string& token) {
  const std::string command = "/usr/bin/python3 " MILLRACE_SOURCE_DIR
                              "/tests/net/aws/botocore_requests.py " +
                              std::to_string(seed) + " " + std::to_string(count) + " " + key + " " +
                              test::kSecret + " '" + token + "'";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> piece{};
  for (size_t n = 0; pipe != nullptr && (n = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;)
    output.append(piece.data(), n);
  if (pipe != nullptr) ::pclose(pipe);

  SignedRequests made;
  std::istringstream lines(output);
  TestRequest request;
  for (std::string line; std::getline(lines, line);) {
    const std::string word = line.substr(0, line.find(' '));
    const std::string value = line.substr(std::min(line.size(), word.size() + 1));
    if (word == "now") made.now_s = std::atoll(value.c_str());
    if (word == "method") request.method = value;
    if (word == "target") request.target = value;
    if (word == "field")
      request.add(value.substr(0, value.find(':')), value.substr(value.find(':') + 2));
    if (word == "body") request.body = unhex(value);
    if (word == "end") made.requests.push_back(std::exchange(request, {}));
  }
  return made;
}

void expect_accepted(int seed, const std::string& key, const std::string& token) {
  constexpr int kCount = 200;
  SignedRequests made = signed_by_botocore(seed, kCount, key, token);
  ASSERT_EQ(made.requests.size(), size_t{kCount});
  const auto credentials = test::example_credentials();
  SignatureVerifier verifier;
  const SignatureVerifier::Expected expected{"sqs", "us-east-1", made.now_s};
  base::Prng random(static_cast<uint64_t>(seed));
  for (TestRequest& request : made.requests) {
    const Verified verified = verifier.verify(request.view(), *credentials, expected);
    ASSERT_EQ(verified.fault, SignatureFault::none)
        << request.method << ' ' << request.target << ": " << verified.text;
    // One bit of the body, the method, the host or the signature.
    TestRequest changed = request;
    std::string* authorization = changed.field("Authorization");
    std::string& where = !changed.body.empty()      ? changed.body
                         : random.chance(1, 3)      ? changed.method
                         : authorization != nullptr ? *authorization
                                                    : changed.fields[0].second;
    const size_t at = where.size() - 1 - random.below(std::min<size_t>(where.size(), 64));
    where[at] = static_cast<char>(where[at] ^ (1 << random.below(7)));
    EXPECT_NE(verifier.verify(changed.view(), *credentials, expected).fault, SignatureFault::none)
        << request.method << ' ' << request.target;
  }
}

TEST(BotocoreSignatures, AreAccepted) {
  if (!has_botocore()) GTEST_SKIP() << "python3-boto3 is not installed";
  expect_accepted(1, test::kKeyId, "");
}

TEST(BotocoreSignatures, OfTemporaryCredentialsAreAccepted) {
  if (!has_botocore()) GTEST_SKIP() << "python3-boto3 is not installed";
  expect_accepted(2, "AKIDTEMPORARY", "issued/with+it==");
}

}  // namespace
}  // namespace millrace::net
