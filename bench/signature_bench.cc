// What a signed request costs: verifying its signature by the size of its body, refusing it, and
// deciding by a queue's policy whether it may.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "net/aws/key_authorizer.h"
#include "tests/net/aws/signed_request.h"

namespace millrace::net {
namespace {

using test::TestRequest;

TestRequest signed_request(size_t body_bytes) {
  TestRequest request;
  request.fields = {{"Host", "127.0.0.1:9324"},
                    {"Content-Type", "application/x-amz-json-1.0"},
                    {"X-Amz-Target", "AmazonSQS.SendMessage"},
                    {"X-Amz-Security-Token", "issued/with+it=="}};
  request.body = std::string(body_bytes, 'x');
  test::Signing with;
  with.key_id = "AKIDTEMPORARY";
  with.unsigned_fields = {"user-agent", "accept-encoding", "content-length"};
  request.add("User-Agent", "Boto3/1.26.27 Python/3.11.2 Linux/6.1.0 Botocore/1.29.27");
  request.add("Accept-Encoding", "identity");
  request.add("Content-Length", std::to_string(body_bytes));
  test::sign(request, with);
  return request;
}

void verify(benchmark::State& state) {
  const auto credentials = test::example_credentials();
  TestRequest request = signed_request(static_cast<size_t>(state.range(0)));
  SignatureVerifier verifier;
  const HttpRequest view = request.view();
  for (auto _ : state) {
    const Verified verified =
        verifier.verify(view, *credentials, {"sqs", "us-east-1", test::kSignedAt});
    if (verified.fault != SignatureFault::none) state.SkipWithError("refused");
  }
}
BENCHMARK(verify)->Arg(0)->Arg(200)->Arg(1 << 10)->Arg(16 << 10)->Arg(256 << 10);

void refuse(benchmark::State& state) {
  const auto credentials = test::example_credentials();
  TestRequest request = signed_request(200);
  request.body += 'x';
  SignatureVerifier verifier;
  const HttpRequest view = request.view();
  for (auto _ : state) {
    const Verified verified =
        verifier.verify(view, *credentials, {"sqs", "us-east-1", test::kSignedAt});
    if (verified.fault == SignatureFault::none) state.SkipWithError("accepted");
  }
}
BENCHMARK(refuse);

// A queue's policy of so many statements, of which the last allows it.
void authorize(benchmark::State& state) {
  auto store = std::make_shared<CredentialStore>("", test::kAccount);
  store->put(
      test::credentials_of("[[user]]\nname = 'u'\n[[key]]\nid = 'AKIAUSER'\nsecret = "
                           "'0123456789abcdef'\nuser = 'u'\n"));
  KeyAuthorizer authorizer(
      store, test::kAccount, "us-east-1", +[] { return test::kSignedAt; });
  std::string statements;
  for (int64_t i = 0; i < state.range(0); ++i) {
    const std::string user = i + 1 == state.range(0) ? "u" : "other" + std::to_string(i);
    statements += (i > 0 ? "," : "") +
                  std::string(R"({"Effect":"Allow","Action":["sqs:Send*","sqs:ReceiveMessage"],)") +
                  R"("Principal":{"AWS":"arn:aws:iam::000000000000:user/)" + user +
                  R"("},"Resource":"arn:aws:sqs:*:000000000000:jobs"})";
  }
  const std::string policy = R"({"Version":"2012-10-17","Statement":[)" + statements + "]}";
  TestRequest request = signed_request(200);
  const HttpRequest view = request.view();
  const Caller caller{test::kAccount, "u", "arn:aws:iam::000000000000:user/u", "us-east-1", {}};
  for (auto _ : state) {
    const AwsError refused = authorizer.authorize(view, caller,
                                                  {.service = "sqs",
                                                   .action = "SendMessage",
                                                   .region = "us-east-1",
                                                   .account = test::kAccount,
                                                   .resource = "jobs",
                                                   .policy = policy});
    if (refused) state.SkipWithError("refused");
  }
}
BENCHMARK(authorize)->Arg(1)->Arg(20);

}  // namespace
}  // namespace millrace::net
