#include "net/delivery/reach.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "base/printable.h"

namespace millrace::net::delivery {
namespace {

constexpr size_t kNameBytesMax = 253;

std::vector<IpBlock> blocks_of(std::initializer_list<std::string_view> texts) {
  std::vector<IpBlock> blocks;
  for (const std::string_view text : texts)
    blocks.push_back(*IpBlock::parse(text));
  return blocks;
}

bool in_one(std::span<const IpBlock> blocks, const IpAddress& address) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const IpBlock& block) { return block.contains(address); });
}

// Nobody can mean these.
bool is_unreachable(const IpAddress& address) {
  static const std::vector<IpBlock> kBlocks =
      blocks_of({"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10",
                 "fec0::/10", "ff00::/8"});
  return in_one(kBlocks, address);
}

// Not of the public Internet; or an address of IPv4 within one of IPv6, which may lead to such.
bool is_inward(const IpAddress& address) {
  static const std::vector<IpBlock> kBlocks = blocks_of(
      {"10.0.0.0/8",     "100.64.0.0/10",  "127.0.0.0/8",    "172.16.0.0/12",  "192.0.0.0/24",
       "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24",
       "203.0.113.0/24", "::1/128",        "64:ff9b::/96",   "64:ff9b:1::/48", "100::/64",
       "2001::/23",      "2001:db8::/32",  "2002::/16",      "3fff::/20",      "5f00::/16",
       "fc00::/7"});
  static const IpBlock kCompatible = *IpBlock::parse("::/96");
  return in_one(kBlocks, address) || kCompatible.contains(address);
}

std::string lower(std::string_view text) {
  std::string low(text);
  std::transform(low.begin(), low.end(), low.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return low;
}

bool is_name(std::string_view text) {
  const bool letters = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  // The last label of a name is no number: that would be an address that was misspelt.
  const std::string_view last = text.substr(text.rfind('.') + 1);
  return letters && !text.empty() && text.size() <= kNameBytesMax && !last.empty() &&
         text.find("..") == std::string_view::npos &&
         last.find_first_not_of("0123456789") != std::string_view::npos;
}

}  // namespace

std::optional<Reach> Reach::parse(std::string_view list, std::string* why) {
  Reach reach;
  if (list == "off") return reach;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string_view entry = list.substr(begin, end - begin);
    begin = end + 1;
    while (entry.starts_with(' '))
      entry.remove_prefix(1);
    while (entry.ends_with(' '))
      entry.remove_suffix(1);
    if (entry == "public") {
      reach.public_ = true;
      continue;
    }
    if (const auto block = IpBlock::parse(entry)) {
      reach.blocks_.push_back(*block);
      continue;
    }
    const std::string name = lower(entry);
    const bool below = name.starts_with("*.");
    if (!is_name(std::string_view(name).substr(below ? 2 : 0)) || name.starts_with('.')) {
      *why = fmt::format("'{}' is no name, no address and no block of addresses",
                         base::printable(entry));
      return std::nullopt;
    }
    reach.names_.push_back(below ? name.substr(1) : name);
  }
  return reach;
}

bool Reach::names(std::string_view host) const {
  std::string name = lower(host);
  if (name.ends_with('.')) name.pop_back();
  return std::any_of(names_.begin(), names_.end(), [&](const std::string& known) {
    return known.starts_with('.') ? name.size() > known.size() && name.ends_with(known)
                                  : name == known;
  });
}

bool Reach::allows(std::string_view host, const IpAddress& address) const {
  if (is_unreachable(address)) return false;
  if (in_one(blocks_, address)) return true;
  return !is_inward(address) && (public_ || names(host));
}

}  // namespace millrace::net::delivery
