// Reach: which endpoints outside a server may deliver to: those that it was told of, and never what
// only this machine or its network can see unless it was told so.
//
//   public             any name, at any public address
//   hooks.example.com  that name (*.example.com: those below it), at public addresses
//   10.1.0.0/16        addresses, whatever name leads there
//
// What counts is the address that a connection is really made to, besides the name that the URL
// has. Addresses that mean this host, the link (a cloud's metadata among them) or many hosts cannot
// be allowed at all, but for loopback.
//
// Threads: any; immutable.  Memory: an entry for each that was given.
// Source: https://www.iana.org/assignments/iana-ipv4-special-registry,
// https://www.iana.org/assignments/iana-ipv6-special-registry
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/aws/ip_block.h"

namespace millrace::net::delivery {

class Reach {
 public:
  // "off", or a list with commas. Nothing: `why` says what is wrong with which entry.
  static std::optional<Reach> parse(std::string_view list, std::string* why);

  // Nobody is delivered to.
  bool off() const { return !public_ && names_.empty() && blocks_.empty(); }
  // `host`: as the URL has it, without an IPv6 address's brackets.
  bool allows(std::string_view host, const IpAddress& address) const;

 private:
  bool names(std::string_view host) const;

  bool public_ = false;
  std::vector<std::string> names_;  // in lower case; ".example.com": all below it
  std::vector<IpBlock> blocks_;
};

}  // namespace millrace::net::delivery
