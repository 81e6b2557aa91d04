// Fuzzes the reading of signatures and the canonical form that they are made over.
//
// An input is a request as lines: method, target, then fields, an empty line and the body. Checked:
// no crash; the canonical form has its parts, and is the same for the same request; what is
// canonical stays as it is when it is made canonical again; nothing is accepted, as no input knows
// the secret; and a target signed by a signer of our own is.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "net/aws/sigv4.h"
#include "tests/net/aws/signed_request.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using namespace millrace::net::test;

TestRequest request_of(std::string_view text) {
  const auto line = [&text] {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string taken(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return taken;
  };
  TestRequest request;
  request.method = line();
  request.target = line();
  while (!text.empty() && request.fields.size() < 100) {
    const std::string field = line();
    if (field.empty()) break;
    const size_t colon = std::min(field.find(':'), field.size());
    request.add(field.substr(0, colon), field.substr(std::min(colon + 1, field.size())));
  }
  request.body = text;
  return request;
}

// The lines of a canonical form: method, path, query.
std::string canonical_part(TestRequest& request, CanonicalRequest& canonical, int number) {
  std::string_view text = canonical.write(request.view(), "host", "hash", false);
  for (int i = 0; i < number; ++i)
    text.remove_prefix(text.find('\n') + 1);
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto credentials = example_credentials();
  static SignatureVerifier verifier;
  static CanonicalRequest canonical;
  TestRequest request = request_of({reinterpret_cast<const char*>(data), size});
  const SignatureVerifier::Expected expected{"sqs", "", kSignedAt};
  MR_ASSERT(verifier.verify(request.view(), *credentials, expected).fault != SignatureFault::none);
  const Verified named = verifier.identify(request.view(), *credentials);
  MR_ASSERT((named.fault == SignatureFault::none) == (named.key != nullptr));

  TestRequest once;
  once.method = "GET";
  once.target = request.target;
  once.fields = {{"Host", "h"}};
  if (once.target.find('\n') != std::string::npos) return 0;
  const std::string path = canonical_part(once, canonical, 1);
  const std::string query = canonical_part(once, canonical, 2);
  MR_ASSERT(path.starts_with('/') && path.find("/../") == std::string::npos);
  TestRequest again = once;
  again.target = "/?" + query;
  MR_ASSERT(canonical_part(again, canonical, 2) == query);

  // Not what is presigned: that has two signatures then.
  if (once.target.find("X-Amz-") != std::string::npos) return 0;
  Signing with;
  with.canonical_path = path;
  with.canonical_query = query;
  sign(once, with);
  MR_ASSERT(verifier.verify(once.view(), *credentials, expected).fault == SignatureFault::none);
  return 0;
}
