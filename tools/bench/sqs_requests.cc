#include "tools/bench/sqs_requests.h"

#include <charconv>
#include <ctime>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "net/aws/signing_keys.h"

namespace millrace::tools {
namespace {

constexpr std::string_view kContentType = "application/x-amz-json-1.0";
constexpr std::string_view kTarget = "AmazonSQS.";
constexpr std::string_view kService = "sqs";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

void append_number(std::string& out, size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, std::end(digits), number).ptr;
  out.append(digits, end);
}

}  // namespace

SqsRequests::SqsRequests(std::string host, SqsKey key)
    : host_(std::move(host)), key_(std::move(key)) {}

void SqsRequests::write_to(std::string_view path, std::string_view action, std::string_view body,
                           std::string& out) const {
  out.append("POST ").append(path).append(" HTTP/1.1\r\nHost: ").append(host_);
  out.append("\r\nContent-Type: ").append(kContentType);
  out.append("\r\nX-Amz-Target: ").append(kTarget).append(action);
  out.append("\r\nContent-Length: ");
  append_number(out, body.size());
  out.append("\r\n\r\n").append(body);
}

void SqsRequests::write(std::string_view action, std::string_view body, int64_t now_s,
                        std::string& out) {
  if (key_.id.empty()) {
    write_to("/", action, body, out);
    return;
  }
  if (now_s != time_s_) set_time(now_s);
  out.append("POST / HTTP/1.1\r\nHost: ").append(host_);
  out.append("\r\nContent-Type: ").append(kContentType);
  out.append("\r\nX-Amz-Target: ").append(kTarget).append(action);
  out.append("\r\nX-Amz-Date: ").append(time_);
  if (!key_.token.empty()) out.append("\r\nX-Amz-Security-Token: ").append(key_.token);
  out.append("\r\nAuthorization: ");
  add_signature(action, body, out);
  out.append("\r\nContent-Length: ");
  append_number(out, body.size());
  out.append("\r\n\r\n").append(body);
}

void SqsRequests::set_time(int64_t now_s) {
  const std::time_t seconds = now_s;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  const std::string date =
      fmt::format("{:04}{:02}{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
  time_ = fmt::format("{}T{:02}{:02}{:02}Z", date, utc.tm_hour, utc.tm_min, utc.tm_sec);
  scope_ = fmt::format("{}/{}/{}/{}", date, key_.region, kService, kTerminator);
  signing_key_ =
      net::derive_signing_key(key_.secret, date, key_.region, kService, kTerminator, sha_);
  time_s_ = now_s;
}

void SqsRequests::add_signature(std::string_view action, std::string_view body, std::string& out) {
  const std::string_view names = key_.token.empty()
                                     ? "content-type;host;x-amz-date;x-amz-target"
                                     : "content-type;host;x-amz-date;x-amz-security-token;"
                                       "x-amz-target";
  const auto payload = net::hex_of(sha_.of(body));
  text_.assign("POST\n/\n\ncontent-type:").append(kContentType);
  text_.append("\nhost:").append(host_).append("\nx-amz-date:").append(time_);
  if (!key_.token.empty()) text_.append("\nx-amz-security-token:").append(key_.token);
  text_.append("\nx-amz-target:").append(kTarget).append(action);
  text_.append("\n\n").append(names).append("\n").append(net::view_of(payload));
  const auto canonical = net::hex_of(sha_.of(text_));
  text_.assign(kAlgorithm).append("\n").append(time_).append("\n").append(scope_);
  text_.append("\n").append(net::view_of(canonical));
  const auto signature = net::hex_of(sha_.hmac(signing_key_, text_));
  out.append(kAlgorithm).append(" Credential=").append(key_.id).append("/").append(scope_);
  out.append(", SignedHeaders=").append(names);
  out.append(", Signature=").append(net::view_of(signature));
}

}  // namespace millrace::tools
