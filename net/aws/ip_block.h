// IpBlock: a range of addresses, as "192.0.2.0/24" or "2001:db8::/32" writes it. IPv4 addresses are
// those that IPv6 maps them to (::ffff:192.0.2.1), so that neither form slips past the other's
// rule.
//
// Threads: any; no state.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::net {

using IpAddress = std::array<uint8_t, 16>;

// Nothing: it is none, in the usual forms of either family.
std::optional<IpAddress> parse_ip(std::string_view text);

struct IpBlock {
  IpAddress address{};
  unsigned bits = 128;  // of the address that count

  // Of a block, or of one address.
  static std::optional<IpBlock> parse(std::string_view text);
  bool contains(const IpAddress& one) const;
};

}  // namespace millrace::net
