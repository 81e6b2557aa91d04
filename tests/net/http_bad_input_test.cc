// Requests that are wrong, and what exactly they are answered; the connection is closed behind
// each.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/http_peer.h"

namespace millrace::net::test {
namespace {

struct Row {
  const char* what;
  std::string request;
  int status;
  const char* text;
};

std::string with_fields(std::string_view fields, std::string_view target = "/") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}
std::string posted(std::string_view fields, std::string_view body = "") {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n" + std::string(body);
}
std::string in_chunks(std::string_view body) {
  return posted("Transfer-Encoding: chunked\r\n", body);
}
std::string repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i)
    all += text;
  return all;
}

constexpr const char* kHost = "a request must have one Host field";
constexpr const char* kTarget = "the target is neither a path nor a URI of this host";
constexpr const char* kVersion = "HTTP/1.1 and HTTP/1.0 are spoken here";
constexpr const char* kMethod = "this method is not taken";
constexpr const char* kChunks = "the chunks of the body are malformed";
constexpr const char* kCoding = "of transfer codings only chunked is known";
constexpr const char* kLine = "a line of the head ends without a carriage return";
constexpr const char* kBody = "the body is too long";
constexpr const char* kFirstLine = "of the request's first line each part is divided by one space";
constexpr const char* kHeadBytes = "the head is too long";
constexpr const char* kContent = "a body is taken without a content coding only";
constexpr const char* kLengthDigits = "the head is malformed: Invalid character in Content-Length";
constexpr const char* kLengthAndChunks =
    "the head is malformed: Content-Length can't be present with Transfer-Encoding";
constexpr const char* kFieldName = "the head is malformed: Invalid header token";
constexpr const char* kFieldValue = "the head is malformed: Invalid header value char";
constexpr const char* kPath = "the head is malformed: Invalid char in url path";

const std::vector<Row>& rows() {
  using namespace std::string_literals;
  static const std::vector<Row> all{
      {"1: length, then chunks",
       posted("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "abc"), 400, kLengthAndChunks},
      {"1: chunks, then length",
       posted("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400,
       kLengthAndChunks},
      {"2: two lengths", posted("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400,
       "the head is malformed: Duplicate Content-Length"},
      {"2: one length twice", posted("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400,
       "the head is malformed: Duplicate Content-Length"},
      {"3: +13", posted("Content-Length: +13\r\n"), 400, kLengthDigits},
      {"3: 0x0d", posted("Content-Length: 0x0d\r\n"), 400, kLengthDigits},
      {"3: 1 3", posted("Content-Length: 1 3\r\n"), 400, kLengthDigits},
      {"3: 13,13", posted("Content-Length: 13,13\r\n"), 400, kLengthDigits},
      {"3: -1", posted("Content-Length: -1\r\n"), 400, kLengthDigits},
      {"3: nothing", posted("Content-Length: \r\n"), 400,
       "the head is malformed: Empty Content-Length"},
      {"4: 20 digits", posted("Content-Length: 99999999999999999999\r\n"), 400,
       "the head is malformed: Content-Length overflow"},
      {"5: over 2 MiB", posted("Content-Length: 2097153\r\n"), 413, kBody},
      {"5: over 2 MiB in chunks",
       in_chunks("100000\r\n" + std::string(0x100000, 'x') + "\r\n100001\r\n"), 413, kBody},
      {"6: gzip", posted("Transfer-Encoding: gzip\r\n"), 501, kCoding},
      {"6: chunked, gzip", posted("Transfer-Encoding: chunked,gzip\r\n"), 400,
       "the head is malformed: Invalid `Transfer-Encoding` header value"},
      {"6: gzip, chunked", posted("Transfer-Encoding: gzip, chunked\r\n"), 501, kCoding},
      {"6: gzip and chunked", posted("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
       501, kCoding},
      {"6: xchunked", posted("Transfer-Encoding: xchunked\r\n"), 501, kCoding},
      {"6: chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "HTTP/1.0 has no transfer codings"},
      {"7: chunk of -1", in_chunks("-1\r\n"), 400, kChunks},
      {"7: chunk of 2^64", in_chunks("10000000000000000\r\n"), 400, kChunks},
      {"7: chunk of 0x5", in_chunks("0x5\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"7: chunk of nothing", in_chunks("\r\n"), 400, kChunks},
      {"7: chunk longer than it said", in_chunks("2\r\nabc\r\n0\r\n\r\n"), 400, kChunks},
      {"7: too much of extensions", in_chunks("1;" + std::string(5000, 'a') + "\r\n"), 400,
       kChunks},
      {"7: too much of trailing fields",
       in_chunks("0\r\nA: " + std::string(5000, 'a') + "\r\n\r\n"), 400, kChunks},
      {"8: bare line feeds", "GET / HTTP/1.1\nHost: h\n\n", 400, kLine},
      {"8: one bare line feed", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400, kLine},
      {"8: the last line feed", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400, kLine},
      {"8: at the beginning", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, kLine},
      {"8: behind a chunk's size", in_chunks("5\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"8: behind a chunk", in_chunks("5\r\nhello\n0\r\n\r\n"), 400, kChunks},
      {"8: behind an extension", in_chunks("5;a=b\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"8: behind the last chunk", in_chunks("0\r\n\n"), 400, kChunks},
      {"8: behind a trailing field", in_chunks("0\r\nA: b\n\r\n"), 400, kChunks},
      {"8: a bare carriage return", with_fields("A: b\rC: d\r\n"), 400,
       "the head is malformed: Missing expected LF after header value"},
      {"8: two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400, kFirstLine},
      {"9: a folded field", with_fields("A: b\r\n c\r\n"), 400, "a field goes on in a second line"},
      {"9: folded by a tab", with_fields("A: b\r\n\tc\r\n"), 400,
       "a field goes on in a second line"},
      {"10: space before the colon", with_fields("A : b\r\n"), 400, kFieldName},
      {"10: space in a name", with_fields("A b: c\r\n"), 400, kFieldName},
      {"10: no name", with_fields(": b\r\n"), 400, "a field has no name"},
      {"10: no colon", with_fields("Ab\r\n"), 400, kFieldName},
      {"11: a head over 16 KiB", with_fields("A: " + std::string(17'000, 'a') + "\r\n"), 431,
       kHeadBytes},
      {"11: a line over 16 KiB", std::string(17'000, 'A'), 431, kHeadBytes},
      {"11: 101 fields", with_fields(repeated("a: b\r\n", 100)), 431,
       "the head has too many fields"},
      {"14: no host", "GET / HTTP/1.1\r\n\r\n", 400, kHost},
      {"14: two hosts", with_fields("Host: h\r\n"), 400, kHost},
      {"14: two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, kHost},
      {"15: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, kVersion},
      {"15: HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, kVersion},
      {"15: HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, kVersion},
      {"15: HTTP/0.9", "GET /\r\n\r\n", 505, kVersion},
      {"16: TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405, kMethod},
      {"16: CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405, kMethod},
      {"16: DELETE", "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", 405, kMethod},
      {"16: no method at all", "HELLO / HTTP/1.1\r\nHost: h\r\n\r\n", 400,
       "that is no request of HTTP"},
      {"16: a TLS hello", "\x16\x03\x01\x02\x00\x01\r\n\r\n"s, 400, "that is no request of HTTP"},
      {"16: another host", with_fields("", "http://other/"), 400, kTarget},
      {"16: another scheme", with_fields("", "ftp://h/"), 400, kTarget},
      {"16: another host behind a user", with_fields("", "http://h@other/"), 400, kTarget},
      {"16: no path", with_fields("", "*"), 400, kTarget},
      {"18: gzip", posted("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "\x1f\x8b\x08"), 415,
       kContent},
      {"18: identity, gzip", posted("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"),
       415, kContent},
      {"19: 10 GiB, if asked to", posted("Expect: 100-continue\r\nContent-Length: 10737418240\r\n"),
       413, kBody},
      {"19: another expectation", posted("Expect: the-unexpected\r\n"), 417,
       "of expectations only 100-continue is met"},
      {"20: NUL in the target", with_fields("", "/a\0b"s), 400, kPath},
      {"20: a control byte in the target", with_fields("", "/a\x01"), 400, kPath},
      {"20: a byte over 127 in the target", with_fields("", "/a\x80"), 400, kPath},
      {"20: NUL in a field", with_fields("A: b\0c\r\n"s), 400, kFieldValue},
      {"20: a control byte in a field", with_fields("A: b\x7f\r\n"), 400, kFieldValue},
      {"20: NUL in a name", with_fields("A\0: b\r\n"s), 400, kFieldName},
  };
  return all;
}

std::string expected(const Row& row) {
  const std::string body = std::string(row.text) + "\n";
  return "HTTP/1.1 " + std::to_string(row.status) + " " +
         std::string(reason_of(static_cast<uint16_t>(row.status))) +
         "\r\nDate: Thu, 01 Jan 1970 00:16:40 GMT\r\n" +
         (row.status == 405 ? "Allow: GET, HEAD, POST, OPTIONS\r\n" : "") +
         "Content-Type: text/plain; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

TEST(HttpBadInput, IsAnsweredAndTheConnectionClosed) {
  for (const Row& row : rows()) {
    HttpPeer peer;
    peer.say(row.request + "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(peer.hear_text(), expected(row)) << row.what;
    EXPECT_TRUE(peer.session->finished()) << row.what;
    EXPECT_TRUE(peer.front->seen.empty()) << row.what;
    EXPECT_EQ(peer.session->input().bytes, 0u) << row.what;
  }
}

TEST(HttpBadInput, HasTheSameAnswerByteByByteAndBehindAnotherRequest) {
  for (const Row& row : rows()) {
    if (row.request.size() > 20'000) continue;
    HttpPeer peer;
    const std::string stream = "GET /good HTTP/1.1\r\nHost: h\r\n\r\n" + row.request;
    std::string heard;
    for (const char byte : stream) {
      peer.say({&byte, 1});
      if (peer.dirty) heard += peer.hear_text();
    }
    const size_t at = heard.find("GET /good ");
    ASSERT_NE(at, std::string::npos) << row.what;
    EXPECT_EQ(heard.substr(at + 10), expected(row)) << row.what;
    EXPECT_TRUE(peer.session->finished()) << row.what;
  }
}

TEST(HttpBadInput, WhatIsUnusualButRightIsTaken) {
  const struct {
    std::string request;
    const char* answer;
  } good[] = {
      {"GET http://h/a?b HTTP/1.1\r\nHost: H\r\n\r\n", "GET /a?b "},
      {"GET HTTP://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / "},
      {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * "},
      {"GET / HTTP/1.0\r\n\r\n", "GET / "},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / "},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / "},
      {with_fields("Connection: Upgrade\r\nUpgrade: h2c\r\n"), "GET / "},
      {with_fields("A: \x80\xff\r\n"), "GET / "},
      {with_fields(repeated("a: b\r\n", 99)), "GET / "},
      {with_fields("A: " + std::string(16'000, 'a') + "\r\n"), "GET / "},
      {posted("Content-Length: 0\r\n"), "POST / "},
      {posted("Content-Length: 000000000000000000003\r\n", "abc"), "POST / abc"},
      {posted("Content-Length: 3\r\nContent-Encoding: identity\r\n", "abc"), "POST / abc"},
      {posted("Transfer-Encoding: Chunked\r\n", "03;a=b\r\nabc\r\n000\r\nX: y\r\n\r\n"),
       "POST / abc"},
      {in_chunks("A\r\n0123456789\r\n0\r\n\r\n"), "POST / 0123456789"},
  };
  for (const auto& row : good) {
    HttpPeer peer;
    peer.say(row.request);
    const std::vector<HttpAnswer> answers = peer.hear();
    ASSERT_EQ(answers.size(), 1u) << row.request;
    EXPECT_EQ(answers[0].body, row.answer);
    EXPECT_EQ(answers[0].status, 200) << row.request;
  }
}

TEST(HttpBadInput, AnnouncedLengthsHoldNoMemory) {
  HttpPeer peer;
  peer.say(posted("Content-Length: 2097152\r\n"));
  peer.session.reset();
  EXPECT_EQ(peer.pool.kept_bytes(), kBufferBytesMin);
}

}  // namespace
}  // namespace millrace::net::test
