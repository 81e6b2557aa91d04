#include "engine/filter_condition.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

namespace millrace::engine {
namespace {

using Kind = FilterCondition::Kind;

char lower_case_of(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool equals_lower_case(std::string_view lower, std::string_view text) {
  return std::equal(lower.begin(), lower.end(), text.begin(), text.end(),
                    [](char known, char c) { return known == lower_case_of(c); });
}

// Taking each piece where it first fits leaves the most for those that follow, so nothing is ever
// gone back to; memmem is linear whatever the piece.
bool fits_pieces(const std::vector<std::string>& pieces, std::string_view text) {
  const std::string& first = pieces.front();
  const std::string& last = pieces.back();
  if (pieces.size() == 1) return text == first;
  if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
      !text.ends_with(last)) {
    return false;
  }
  text = text.substr(first.size(), text.size() - first.size() - last.size());
  for (size_t i = 1; i + 1 < pieces.size(); ++i) {
    const std::string& piece = pieces[i];
    const void* const found = memmem(text.data(), text.size(), piece.data(), piece.size());
    if (found == nullptr) return false;
    const auto at = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    text.remove_prefix(at + piece.size());
  }
  return true;
}

bool accepts_text(const FilterCondition& condition, std::string_view text) {
  switch (condition.kind) {
    case Kind::text:
      return text == condition.text;
    case Kind::prefix:
      return text.starts_with(condition.text);
    case Kind::suffix:
      return text.ends_with(condition.text);
    case Kind::any_case:
      return equals_lower_case(condition.text, text);
    case Kind::wildcard:
      return fits_pieces(condition.pieces, text);
    case Kind::address: {
      const auto address = IpAddress::parse(text);
      return address && address->network(condition.bits) == condition.network;
    }
    default:
      return false;
  }
}

void append_sized(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

// +0 and -0 are one number.
void append_number(std::string& out, double number) {
  if (number == 0) number = 0;
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), lower_case_of);
  return lower;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  IpAddress address;
  address.six = text.find(':') != std::string_view::npos;
  if (inet_pton(address.six ? AF_INET6 : AF_INET, terminated.data(), address.bytes.data()) != 1)
    return std::nullopt;
  return address;
}

IpAddress IpAddress::network(size_t bits) const {
  IpAddress network = *this;
  for (size_t i = 0; i < network.bytes.size(); ++i) {
    const size_t kept = bits > i * 8 ? std::min<size_t>(bits - i * 8, 8) : 0;
    network.bytes[i] = static_cast<uint8_t>(network.bytes[i] & (0xFF00u >> kept));
  }
  return network;
}

bool FilterCondition::accepts(const FilterValue& value) const {
  switch (kind) {
    case Kind::exists:
      return truth;
    case Kind::truth:
      return value.kind == FilterValue::Kind::truth && value.truth == truth;
    case Kind::null:
      return value.kind == FilterValue::Kind::null;
    case Kind::number:
    case Kind::numeric:
      return value.kind == FilterValue::Kind::number && range.contains(value.number);
    case Kind::anything_but:
      return std::none_of(except.begin(), except.end(),
                          [&](const FilterCondition& one) { return one.accepts(value); });
    default:
      return value.kind == FilterValue::Kind::text && accepts_text(*this, value.text);
  }
}

std::string FilterCondition::identity() const {
  std::string identity{static_cast<char>('a' + static_cast<int>(kind)), truth ? '1' : '0'};
  if (kind != Kind::address) append_sized(identity, text);
  if (kind == Kind::number || kind == Kind::numeric) {
    append_number(identity, range.lower);
    append_number(identity, range.upper);
    identity += static_cast<char>('0' + (range.lower_open ? 1 : 0) + (range.upper_open ? 2 : 0));
  }
  if (kind == Kind::address) {
    identity += network.six ? '6' : '4';
    identity += static_cast<char>(bits);
    identity.append(reinterpret_cast<const char*>(network.bytes.data()), network.bytes.size());
  }
  for (const FilterCondition& one : except)
    append_sized(identity, one.identity());
  return identity;
}

}  // namespace millrace::engine
