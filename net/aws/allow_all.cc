#include "net/aws/allow_all.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace millrace::net {
namespace {

constexpr size_t kRegionBytesMax = 32;
constexpr size_t kKeyBytesMax = 128;

struct Scope {
  std::string_view key, region;  // empty: there is none, or none that can be
};

// Of "...Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...", in the field or, with each slash as
// %2F, in the query.
Scope scope_of(std::string_view text, std::string_view name, std::string_view slash) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + name.size());
  std::string_view parts[3];
  for (std::string_view& part : parts) {
    const size_t end = text.find(slash);
    part = text.substr(0, end);
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + slash.size());
  }
  const auto [key, date, region] = parts;
  const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto is_good = [&](std::string_view part, size_t bytes_max, auto&& takes) {
    return part.size() <= bytes_max && std::all_of(part.begin(), part.end(), takes);
  };
  Scope scope;
  if (is_good(region, kRegionBytesMax, [&](char c) { return lower(c) || c == '-'; }))
    scope.region = region;
  if (is_good(key, kKeyBytesMax,
              [&](char c) { return lower(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; }))
    scope.key = key;
  return scope;
}

}  // namespace

std::string_view claimed_key(const HttpRequest& request) {
  const Scope scope = scope_of(request.field("authorization"), "Credential=", "/");
  return !scope.key.empty() ? scope.key : scope_of(request.query(), "X-Amz-Credential=", "%2F").key;
}

AllowAll::AllowAll(std::string account, std::string region)
    : account_(std::move(account)),
      region_(std::move(region)),
      arn_(fmt::format("arn:aws:iam::{}:root", account_)) {}

AwsError AllowAll::authenticate(const HttpRequest& request, std::string_view /*service*/,
                                Caller* caller) {
  caller->account = account_;
  caller->user_id.clear();
  caller->arn = arn_;
  Scope scope = scope_of(request.field("authorization"), "Credential=", "/");
  if (scope.region.empty()) scope = scope_of(request.query(), "X-Amz-Credential=", "%2F");
  caller->region = scope.region.empty() ? std::string_view(region_) : scope.region;
  caller->key = scope.key;
  return {};
}

AwsError AllowAll::authorize(const HttpRequest& /*request*/, const Caller& /*caller*/,
                             const Access& /*access*/) {
  return {};
}

}  // namespace millrace::net
