#include "net/aws/allow_all.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace millrace::net {
namespace {

constexpr size_t kRegionBytesMax = 32;

// Of "...Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...", in the field or, with each slash as
// %2F, in the query; empty if there is none.
std::string_view region_of(std::string_view text, std::string_view key, std::string_view slash) {
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  for (int part = 0; part < 2; ++part) {
    const size_t end = text.find(slash);
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + slash.size());
  }
  text = text.substr(0, text.find(slash));
  const bool good =
      text.size() <= kRegionBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  return good ? text : std::string_view();
}

}  // namespace

AllowAll::AllowAll(std::string account, std::string region)
    : account_(std::move(account)),
      region_(std::move(region)),
      arn_(fmt::format("arn:aws:iam::{}:root", account_)) {}

AwsError AllowAll::authenticate(const HttpRequest& request, std::string_view /*service*/,
                                Caller* caller) {
  caller->account = account_;
  caller->user_id.clear();
  caller->arn = arn_;
  std::string_view region = region_of(request.field("authorization"), "Credential=", "/");
  if (region.empty()) region = region_of(request.query(), "X-Amz-Credential=", "%2F");
  caller->region = region.empty() ? std::string_view(region_) : region;
  return {};
}

AwsError AllowAll::authorize(const HttpRequest& /*request*/, const Caller& /*caller*/,
                             const Access& /*access*/) {
  return {};
}

}  // namespace millrace::net
