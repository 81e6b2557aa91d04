#include "net/delivery/endpoint_url.h"

#include <algorithm>
#include <memory>

#include <curl/curl.h>

namespace millrace::net::delivery {
namespace {

using Url = std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)>;

// Empty if it has no such part.
std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (::curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  std::string copy(text);
  ::curl_free(text);
  return copy;
}

}  // namespace

std::optional<EndpointUrl> parse_endpoint(std::string_view url, std::string* why) {
  constexpr const char* kNone = "it is no URL";
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c <= '~'; });
  const Url parsed(::curl_url(), &::curl_url_cleanup);
  if (!plain ||
      ::curl_url_set(parsed.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK) {
    *why = kNone;
    return std::nullopt;
  }
  EndpointUrl endpoint{part_of(parsed.get(), CURLUPART_SCHEME),
                       part_of(parsed.get(), CURLUPART_HOST)};
  if ((endpoint.scheme != "http" && endpoint.scheme != "https") || endpoint.host.empty()) {
    *why = kNone;
    return std::nullopt;
  }
  if (!part_of(parsed.get(), CURLUPART_USER).empty() ||
      !part_of(parsed.get(), CURLUPART_PASSWORD).empty()) {
    *why = "it may have no user and no password: lists of subscriptions would show them";
    return std::nullopt;
  }
  if (endpoint.host.starts_with('[')) {
    endpoint.host.erase(0, 1);
    endpoint.host.pop_back();
  }
  return endpoint;
}

}  // namespace millrace::net::delivery
