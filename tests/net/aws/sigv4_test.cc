// The signature verifier against published vectors, and against what must not get through.
#include "net/aws/sigv4.h"

#include <gtest/gtest.h>

#include "tests/net/aws/signed_request.h"

namespace millrace::net {
namespace {

using test::Signing;
using test::TestRequest;

class Sigv4 : public testing::Test {
 protected:
  Verified verify(TestRequest& request, int64_t now_s = test::kSignedAt) {
    return verifier_.verify(request.view(), *credentials_, {"sqs", "us-east-1", now_s});
  }
  std::string text_of(TestRequest& request, int64_t now_s = test::kSignedAt) {
    return std::string(verify(request, now_s).text);
  }

  std::shared_ptr<const Credentials> credentials_ = test::example_credentials();
  SignatureVerifier verifier_;
};

constexpr const char* kMismatch =
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.";

TestRequest presigned_example() {
  TestRequest request;
  request.method = "GET";
  request.fields = {{"host", "127.0.0.1:9324"}};
  request.target =
      "/?Action=ListQueues&QueueNamePrefix=a%20b&Version=2012-11-05&X-Amz-Algorithm=AWS4-HMAC-"
      "SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20250102%2Fus-east-1%2Fsqs%2Faws4_request&X-Amz-Date="
      "20250102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
      "160c4965f9299dbca00496da9763a091a791063d59f0f4a6abf8ea045402a839";
  return request;
}

TEST_F(Sigv4, DerivesThePublishedSigningKey) {
  Sha256 sha;
  const Sha256Digest key =
      derive_signing_key(test::kSecret, "20250102", "us-east-1", "sqs", "aws4_request", sha);
  EXPECT_EQ(view_of(hex_of(key)),
            "a6e235cd9fe3e4622b89e816692905571bfc3cb7366fdfdbefe3f0ff8833e292");
}

TEST_F(Sigv4, MacsAreOpenSslsForKeysOfEveryLength) {
  Sha256 sha;
  for (size_t length = 0; length < 200; ++length) {
    const std::string key(length, static_cast<char>('a' + length % 26));
    const auto mac =
        sha.hmac({reinterpret_cast<const uint8_t*>(key.data()), key.size()}, "some text");
    EXPECT_EQ(view_of(hex_of(mac)), test::hex(test::hmac(key, "some text"))) << length;
  }
}

TEST_F(Sigv4, WritesTheCanonicalFormOfTheFieldExample) {
  TestRequest request = test::example_request();
  request.add("X-Amz-Date", "20250102T030405Z");
  CanonicalRequest canonical;
  EXPECT_EQ(
      canonical.write(request.view(), "content-type;host;x-amz-date;x-amz-target",
                      "83c00f81b88d530a45ad9f9c50dfad0add2c06c9b43b3b644a173789aae54633", false),
      "POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:127.0.0.1:9324\n"
      "x-amz-date:20250102T030405Z\nx-amz-target:AmazonSQS.GetQueueUrl\n\n"
      "content-type;host;x-amz-date;x-amz-target\n"
      "83c00f81b88d530a45ad9f9c50dfad0add2c06c9b43b3b644a173789aae54633");
}

TEST_F(Sigv4, AcceptsThePublishedFieldExample) {
  TestRequest request = test::example_request();
  request.add("X-Amz-Date", "20250102T030405Z");
  request.add("Authorization",
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/sqs/aws4_request, "
              "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
              "Signature=fae3f20676520f38cea227b75ff8f002d3f09d7e1d82cf4b32db893603165cad");
  const Verified verified = verify(request);
  EXPECT_EQ(verified.fault, SignatureFault::none) << verified.text;
  EXPECT_EQ(verified.region, "us-east-1");
  ASSERT_NE(verified.key, nullptr);
  EXPECT_EQ(verified.key->user->arn, "arn:aws:iam::000000000000:root");
}

TEST_F(Sigv4, AcceptsThePublishedPresignedExample) {
  TestRequest request = presigned_example();
  EXPECT_EQ(verify(request).fault, SignatureFault::none);
  EXPECT_EQ(verify(request, test::kSignedAt + 900).fault, SignatureFault::none);
}

TEST_F(Sigv4, RefusesEverySingleChangedBitOfTheFieldExample) {
  TestRequest request = test::example_request();
  test::sign(request);
  ASSERT_EQ(verify(request).fault, SignatureFault::none);
  // In names and values, but for the case of a name, which does not count.
  for (size_t field = 0; field < request.fields.size(); ++field) {
    for (size_t i = 0; i < request.fields[field].second.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        TestRequest changed = request;
        char& c = changed.fields[field].second[i];
        c = static_cast<char>(c ^ (1 << bit));
        // A blank at an end is not signed, nor is which blank separates.
        if (c == ' ' || c == '\t' || request.fields[field].second[i] == ' ') continue;
        EXPECT_NE(verify(changed).fault, SignatureFault::none) << field << ' ' << i << ' ' << bit;
      }
    }
  }
  for (size_t i = 0; i < request.body.size(); ++i) {
    TestRequest changed = request;
    changed.body[i] = static_cast<char>(changed.body[i] ^ 1);
    EXPECT_EQ(verify(changed).fault, SignatureFault::mismatch);
  }
  for (const auto change :
       {+[](TestRequest& r) { r.method = "GET"; }, +[](TestRequest& r) { r.target = "/x"; },
        +[](TestRequest& r) { r.target = "/?a=b"; }, +[](TestRequest& r) { r.body += ' '; }}) {
    TestRequest changed = request;
    change(changed);
    EXPECT_EQ(text_of(changed), kMismatch);
  }
}

TEST_F(Sigv4, RefusesEverySingleChangedBitOfThePresignedTarget) {
  const TestRequest request = presigned_example();
  // From behind the slash on: the transport takes no target without one.
  for (size_t i = 1; i < request.target.size(); ++i) {
    for (int bit = 0; bit < 7; ++bit) {
      TestRequest changed = request;
      changed.target[i] = static_cast<char>(changed.target[i] ^ (1 << bit));
      // %2f and %2F are the same byte.
      if ((changed.target[i] | 0x20) == (request.target[i] | 0x20) && i >= 1 &&
          (request.target[i - 1] == '%' || (i >= 2 && request.target[i - 2] == '%')))
        continue;
      EXPECT_NE(verify(changed).fault, SignatureFault::none) << i << ' ' << changed.target;
    }
  }
}

// --- what is refused, with which words ---

struct RefusalRow {
  const char* what;
  void (*before)(TestRequest&, Signing&);  // it is signed
  void (*after)(TestRequest&);
  SignatureFault fault;
  std::string text;
};

void nothing(TestRequest&, Signing&) {}
void nothing_after(TestRequest&) {}
void set_authorization(TestRequest& request, const std::string& value) {
  *request.field("Authorization") = value;
}

TEST_F(Sigv4, RefusesInTheWordsOfTheTable) {
  const RefusalRow rows[] = {
      {"no authorization", nothing, [](TestRequest& r) { r.remove("Authorization"); },
       SignatureFault::missing, "Access to the resource http://127.0.0.1:9324/ is denied."},
      {"bearer", nothing, [](TestRequest& r) { set_authorization(r, "Bearer abc"); },
       SignatureFault::incomplete, "Unsupported AWS 'algorithm': 'Bearer'."},
      {"algorithm none", nothing,
       [](TestRequest& r) {
         set_authorization(r, "none Credential=a/b/c/d/e, SignedHeaders=host, Signature=x");
       },
       SignatureFault::mismatch, "Unsupported AWS 'algorithm': 'none'."},
      {"version 2 in the body", nothing,
       [](TestRequest& r) {
         r.remove("Authorization");
         r.body = "Action=ListQueues&SignatureVersion=2&Signature=x";
       },
       SignatureFault::incomplete, "Signature version 2 is not supported; use AWS4-HMAC-SHA256."},
      {"no signature", nothing,
       [](TestRequest& r) {
         set_authorization(r,
                           "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/sqs/"
                           "aws4_request, SignedHeaders=host;x-amz-date");
       },
       SignatureFault::incomplete, "Authorization header requires 'Signature' parameter."},
      {"nothing at all", nothing,
       [](TestRequest& r) {
         set_authorization(r, "AWS4-HMAC-SHA256");
         r.remove("X-Amz-Date");
       },
       SignatureFault::incomplete,
       "Authorization header requires 'Credential' parameter. Authorization header requires "
       "'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
       "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
      {"four pieces of credential", nothing,
       [](TestRequest& r) {
         set_authorization(r,
                           "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/sqs, "
                           "SignedHeaders=host, Signature=x");
       },
       SignatureFault::incomplete,
       "Credential must have exactly 5 slash-delimited elements, e.g. "
       "keyid/date/region/service/term, got 'AKIDEXAMPLE/20250102/us-east-1/sqs'"},
      {"two authorizations", nothing,
       [](TestRequest& r) { r.add("authorization", *r.field("Authorization")); },
       SignatureFault::mismatch, "Only one authentication mechanism is allowed in a request."},
      {"authorization and query", nothing,
       [](TestRequest& r) { r.target = presigned_example().target; }, SignatureFault::mismatch,
       "Only one authentication mechanism is allowed in a request."},
      {"terminator", [](TestRequest&, Signing& s) { s.terminator = "aws5_request"; }, nothing_after,
       SignatureFault::mismatch,
       "Credential should be scoped with a valid terminator: 'aws4_request', not "
       "'aws5_request'."},
      {"region", [](TestRequest&, Signing& s) { s.region = "eu-west-1"; }, nothing_after,
       SignatureFault::mismatch, "Credential should be scoped to a valid region."},
      {"service", [](TestRequest&, Signing& s) { s.service = "s3"; }, nothing_after,
       SignatureFault::mismatch, "Credential should be scoped to correct service: 'sqs'."},
      {"date of the scope", [](TestRequest&, Signing& s) { s.date = "20250103"; }, nothing_after,
       SignatureFault::mismatch,
       "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
       "'20250103' != '20250102', from '20250102T030405Z'."},
      {"unknown key", [](TestRequest&, Signing& s) { s.key_id = "AKIDNOBODY"; }, nothing_after,
       SignatureFault::unknown_key, "The security token included in the request is invalid."},
      {"token of no key", [](TestRequest& r, Signing&) { r.add("X-Amz-Security-Token", "x"); },
       nothing_after, SignatureFault::unknown_key,
       "The security token included in the request is invalid."},
      {"no token", [](TestRequest&, Signing& s) { s.key_id = "AKIDTEMPORARY"; }, nothing_after,
       SignatureFault::unknown_key, "The security token included in the request is invalid."},
      {"host unsigned", [](TestRequest&, Signing& s) { s.unsigned_fields = {"host"}; },
       nothing_after, SignatureFault::mismatch,
       "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
      {"date unsigned", [](TestRequest&, Signing& s) { s.unsigned_fields = {"x-amz-date"}; },
       nothing_after, SignatureFault::mismatch,
       "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."},
      {"target unsigned", [](TestRequest&, Signing& s) { s.unsigned_fields = {"x-amz-target"}; },
       nothing_after, SignatureFault::mismatch,
       "There were headers present in the request which were not signed: X-Amz-Target"},
      {"signature upper case", nothing,
       [](TestRequest& r) {
         std::string& value = *r.field("Authorization");
         const size_t at = value.find("Signature=") + 10;
         std::transform(value.begin() + static_cast<long>(at), value.end(),
                        value.begin() + static_cast<long>(at),
                        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
       },
       SignatureFault::mismatch, kMismatch},
      {"wrong secret", [](TestRequest&, Signing& s) { s.secret[0] = 'x'; }, nothing_after,
       SignatureFault::mismatch, kMismatch},
      {"unsigned payload",
       [](TestRequest& r, Signing&) { r.add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"); },
       nothing_after, SignatureFault::mismatch,
       "The value of 'x-amz-content-sha256' is not the hash of the request's body."},
      {"a date that is none", nothing,
       [](TestRequest& r) { *r.field("X-Amz-Date") = "20250132T000000Z"; },
       SignatureFault::incomplete,
       "Date must be in ISO-8601 'basic format'. Got '20250132T000000Z'. See "
       "http://en.wikipedia.org/wiki/ISO_8601"},
  };
  for (const RefusalRow& row : rows) {
    TestRequest request = test::example_request();
    Signing with;
    row.before(request, with);
    test::sign(request, with);
    row.after(request);
    const Verified verified = verify(request);
    EXPECT_EQ(verified.fault, row.fault) << row.what;
    EXPECT_EQ(verified.text, row.text) << row.what;
    EXPECT_EQ(verified.key, nullptr) << row.what;
  }
}

TEST_F(Sigv4, TakesTheTokenThatWasIssuedWithTheKey) {
  TestRequest request = test::example_request();
  request.add("X-Amz-Security-Token", "issued/with+it==");
  Signing with;
  with.key_id = "AKIDTEMPORARY";
  test::sign(request, with);
  EXPECT_EQ(verify(request).fault, SignatureFault::none);
}

TEST_F(Sigv4, TakesTheHashOfTheBodyInAField) {
  TestRequest request = test::example_request();
  request.add("X-Amz-Content-Sha256", test::hex(test::sha256(request.body)));
  test::sign(request);
  EXPECT_EQ(verify(request).fault, SignatureFault::none);
  request.body += '\n';
  EXPECT_EQ(verify(request).fault, SignatureFault::mismatch);
}

TEST_F(Sigv4, TakesTheDateFieldInItsPlace) {
  TestRequest request = test::example_request();
  request.add("Date", "Thu, 02 Jan 2025 03:04:05 GMT");
  test::sign(request);
  EXPECT_EQ(verify(request).fault, SignatureFault::none);
  EXPECT_EQ(verify(request, test::kSignedAt + 901).fault, SignatureFault::mismatch);
}

TEST_F(Sigv4, IsGoodForFifteenMinutesBeforeAndAfter) {
  TestRequest request = test::example_request();
  test::sign(request);
  EXPECT_EQ(verify(request, test::kSignedAt + 900).fault, SignatureFault::none);
  EXPECT_EQ(verify(request, test::kSignedAt - 900).fault, SignatureFault::none);
  EXPECT_EQ(text_of(request, test::kSignedAt + 901),
            "Signature expired: 20250102T030405Z is now earlier than 20250102T030406Z "
            "(20250102T031906Z - 15 min.)");
  EXPECT_EQ(text_of(request, test::kSignedAt - 901),
            "Signature not yet current: 20250102T030405Z is still later than 20250102T030404Z "
            "(20250102T024904Z + 15 min.)");
}

TEST_F(Sigv4, PresignedIsGoodUntilItExpires) {
  TestRequest request = presigned_example();
  EXPECT_EQ(text_of(request, test::kSignedAt + 901),
            "Signature expired: 20250102T031905Z is now earlier than 20250102T031906Z");
  EXPECT_EQ(verify(request, test::kSignedAt - 900).fault, SignatureFault::none);
  EXPECT_NE(verify(request, test::kSignedAt - 901).fault, SignatureFault::none);
}

TEST_F(Sigv4, PresignedForNoTimeOrTooLongIsRefused) {
  for (const char* expires : {"0", "-1", "604801", "9x", "99999999999999999999"}) {
    TestRequest request = presigned_example();
    const size_t at = request.target.find("Expires=900");
    request.target.replace(at, 11, std::string("Expires=") + expires);
    EXPECT_EQ(verify(request).fault, SignatureFault::bad_expires) << expires;
  }
}

TEST_F(Sigv4, PresignedWithAPieceMissingNamesIt) {
  TestRequest request = presigned_example();
  const size_t at = request.target.find("&X-Amz-Date=");
  request.target.erase(at, std::string("&X-Amz-Date=20250102T030405Z").size());
  EXPECT_EQ(verify(request).fault, SignatureFault::incomplete);
  EXPECT_EQ(text_of(request),
            "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string "
            "parameters.");
}

// --- canonical form ---

std::string canonical_line(const std::string& target, int line) {
  TestRequest request;
  request.target = target;
  request.fields = {{"Host", "h"}};
  CanonicalRequest canonical;
  std::string text(canonical.write(request.view(), "host", "hash", false));
  for (int i = 0; i < line; ++i)
    text.erase(0, text.find('\n') + 1);
  return text.substr(0, text.find('\n'));
}

TEST(CanonicalRequest, PathIsEncodedOnceMoreWithoutDotSegments) {
  const std::pair<const char*, const char*> rows[] = {
      {"/", "/"},
      {"//", "/"},
      {"/./", "/"},
      {"/..", "/"},
      {"/../../x", "/x"},
      {"/000000000000/jobs", "/000000000000/jobs"},
      {"/000000000000/jobs.fifo", "/000000000000/jobs.fifo"},
      {"//a///b/", "/a/b/"},
      {"/a/./b/../c", "/a/c"},
      {"/a/b/..", "/a"},
      {"/a%20b", "/a%2520b"},
      {"/a%2Fb", "/a%252Fb"},
      {"/%2e%2e/x", "/%252e%252e/x"},
      {"/a+b~_-.", "/a%2Bb~_-."},
      {"/\xc3\xa9", "/%C3%A9"},
  };
  for (const auto& [target, path] : rows)
    EXPECT_EQ(canonical_line(target, 1), path) << target;
}

TEST(CanonicalRequest, QueryIsDecodedEncodedAndSorted) {
  const std::pair<const char*, const char*> rows[] = {
      {"/?", ""},
      {"/?a", "a="},
      {"/?a=", "a="},
      {"/?=x", "=x"},
      {"/?b=2&a=1", "a=1&b=2"},
      {"/?a=2&a=1&a=10", "a=1&a=10&a=2"},
      {"/?a-b=1&a=2&a%2Db=0", "a=2&a-b=0&a-b=1"},
      {"/?q=a+b", "q=a%20b"},
      {"/?q=a%20b", "q=a%20b"},
      {"/?q=a%2Bb", "q=a%2Bb"},
      {"/?q=%252F", "q=%252F"},
      {"/?q=%2f%7E", "q=%2F~"},
      {"/?q=a=b=c", "q=a%3Db%3Dc"},
      {"/?q=%zz%4", "q=%25zz%254"},
      {"/?q=\xc3\xa9", "q=%C3%A9"},
      {"/?&&a=1&", "a=1"},
      {"/?q=a?b/c", "q=a%3Fb%2Fc"},
  };
  for (const auto& [target, query] : rows)
    EXPECT_EQ(canonical_line(target, 2), query) << target;
}

TEST(CanonicalRequest, FieldValuesLoseOuterAndRepeatedBlanks) {
  TestRequest request;
  request.fields = {{"HOST", " h \t"}, {"My-Field", "  a   b\t c "}, {"my-field", ""}, {"x", "1"}};
  CanonicalRequest canonical;
  EXPECT_EQ(canonical.write(request.view(), "host;my-field", "hash", false),
            "POST\n/\n\nhost:h\nmy-field:a b c,\n\nhost;my-field\nhash");
}

TEST(CanonicalRequest, SignedNamesMustRiseAndBeThere) {
  TestRequest request;
  request.fields = {{"Host", "h"}, {"A", "1"}};
  CanonicalRequest canonical;
  for (const char* names : {"", "host;a", "host;host", "a;host;z", "a;;host", "Host", "a;host;"})
    EXPECT_EQ(canonical.write(request.view(), names, "hash", false), "") << names;
  EXPECT_NE(canonical.write(request.view(), "a;host", "hash", false), "");
}

TEST(SignatureTimeText, ReadsOnlyTimesThatThereAre) {
  EXPECT_EQ(parse_signature_time("20250102T030405Z"), test::kSignedAt);
  EXPECT_EQ(parse_signature_time("20240229T000000Z"), 1709164800);
  EXPECT_EQ(parse_http_date("Thu, 02 Jan 2025 03:04:05 GMT"), test::kSignedAt);
  for (const char* text : {"", "20250102T030405", "20250229T000000Z", "20251301T000000Z",
                           "20250102T240000Z", "20250102T036000Z", "2025010aT030405Z",
                           "20250102 030405Z", "00000000T000000Z", "-0250102T030405Z"})
    EXPECT_FALSE(parse_signature_time(text)) << text;
  for (const int64_t seconds : {int64_t{0}, int64_t{951782400}, int64_t{4102444799}})
    EXPECT_EQ(parse_signature_time(view_of(format_signature_time(seconds))), seconds);
}

}  // namespace
}  // namespace millrace::net
