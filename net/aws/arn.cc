#include "net/aws/arn.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace millrace::net {

std::optional<Arn> parse_arn(std::string_view text) {
  std::array<std::string_view, 6> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    // The resource is the rest, colons or not.
    const size_t colon = i + 1 < parts.size() ? text.find(':') : text.size();
    if (colon == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, colon);
    text.remove_prefix(std::min(colon + 1, text.size()));
  }
  if (parts[0] != "arn" || parts[1].empty() || parts[2].empty() || parts[5].empty())
    return std::nullopt;
  return Arn{parts[1], parts[2], parts[3], parts[4], parts[5]};
}

std::string make_arn(std::string_view service, std::string_view region, std::string_view account,
                     std::string_view resource) {
  return fmt::format("arn:aws:{}:{}:{}:{}", service, region, account, resource);
}

bool is_account(std::string_view text) {
  return text.size() == 12 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

QueuePlace parse_queue_url(std::string_view url) {
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    const size_t path = url.find('/', scheme + 3);
    url = path == std::string_view::npos ? std::string_view() : url.substr(path);
  }
  url = url.substr(0, url.find_first_of("?#"));
  while (url.ends_with('/'))
    url.remove_suffix(1);
  const size_t slash = url.rfind('/');
  if (slash == std::string_view::npos) return {{}, url};
  const std::string_view name = url.substr(slash + 1);
  url = url.substr(0, slash);
  return {url.substr(url.rfind('/') + 1), name};
}

}  // namespace millrace::net
