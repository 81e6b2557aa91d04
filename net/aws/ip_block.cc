#include "net/aws/ip_block.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <string>

namespace millrace::net {
namespace {

constexpr unsigned kBits = 128;
constexpr unsigned kBits4 = 32;

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  const std::string terminated(text);
  IpAddress address{};
  if (::inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1) return address;
  address = {};
  address[10] = address[11] = 0xff;
  if (::inet_pton(AF_INET, terminated.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

std::optional<IpBlock> IpBlock::parse(std::string_view text) {
  const std::string_view of = text.substr(0, text.find('/'));
  const auto address = parse_ip(of);
  if (!address) return std::nullopt;
  const unsigned width = of.find(':') == std::string_view::npos ? kBits4 : kBits;
  unsigned length = width;
  if (of.size() < text.size()) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + of.size() + 1, end, length);
    if (error != std::errc() || rest != end || length > width) return std::nullopt;
  }
  return IpBlock{*address, kBits - width + length};
}

bool IpBlock::contains(const IpAddress& one) const {
  const size_t whole = bits / 8;
  if (std::memcmp(address.data(), one.data(), whole) != 0) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || (address[whole] ^ one[whole]) >> (8 - rest) == 0;
}

}  // namespace millrace::net
