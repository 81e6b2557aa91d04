#include "net/aws/request_claims.h"

#include <algorithm>

namespace millrace::net {
namespace {

constexpr size_t kRegionBytesMax = 32;
constexpr size_t kKeyBytesMax = 128;

// Of "...Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...", in the field or, with each slash as
// %2F, in the query.
ClaimedScope scope_of(std::string_view text, std::string_view name, std::string_view slash) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + name.size());
  std::string_view parts[4];
  for (std::string_view& part : parts) {
    const size_t end = text.find(slash);
    part = text.substr(0, end);
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + slash.size());
  }
  const auto [key, date, region, service] = parts;
  const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto is_good = [&](std::string_view part, size_t bytes_max, auto&& takes) {
    return part.size() <= bytes_max && std::all_of(part.begin(), part.end(), takes);
  };
  ClaimedScope scope;
  if (is_good(region, kRegionBytesMax, [&](char c) { return lower(c) || c == '-'; }))
    scope.region = region;
  if (is_good(key, kKeyBytesMax,
              [&](char c) { return lower(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; }))
    scope.key = key;
  scope.service = service;
  return scope;
}

std::string_view raw_parameter(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const std::string_view one = form.substr(0, form.find('&'));
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
      return one.substr(name.size() + 1);
    form.remove_prefix(std::min(one.size() + 1, form.size()));
  }
  return {};
}

}  // namespace

ClaimedScope claimed_scope(const HttpRequest& request) {
  const std::string_view field = request.field("authorization");
  const ClaimedScope scope = scope_of(field, "Credential=", "/");
  return scope.service.empty() ? scope_of(request.query(), "X-Amz-Credential=", "%2F") : scope;
}

bool is_of_type(const HttpRequest& request, std::string_view type) {
  const std::string_view field = request.field("content-type");
  return field.size() >= type.size() &&
         std::equal(type.begin(), type.end(), field.begin(),
                    [](char lower, char any) { return lower == (any | 0x20) || lower == any; });
}

std::string_view form_of(const HttpRequest& request) {
  const bool is_form = is_of_type(request, "application/x-www-form-urlencoded");
  return is_form ? as_text(request.body) : std::string_view();
}

std::string base_url(const HttpRequest& request, std::string_view advertised) {
  if (!advertised.empty()) return std::string(advertised);
  std::string url(request.secure ? "https://" : "http://");
  return url.append(request.field("host"));
}

std::string_view raw_parameter(const HttpRequest& request, std::string_view name) {
  const std::string_view value = raw_parameter(request.query(), name);
  return value.empty() ? raw_parameter(form_of(request), name) : value;
}

}  // namespace millrace::net
