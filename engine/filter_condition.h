// FilterCondition: one condition of a filter policy, {"prefix": "a"} say, and what it is asked
// about.
//
// Texts are compared byte by byte; equals-ignore-case takes A-Z for a-z and leaves other letters as
// they are. Numbers are doubles, which tell apart all that a policy may name: up to 1e9 with five
// digits after the point. A number too large for one, or a Number attribute that is none, is NaN:
// it equals nothing and is in no range, but is there and is not what anything-but names.
//
// A condition looks at a value once: a wildcard's pieces are found from left to right, each where
// it first fits, in time proportional to the value. Threads: immutable. Memory: some 200 bytes and
// its texts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::engine {

// What a message holds under a key; `text` is a view of the message or of what was read from it.
struct FilterValue {
  enum class Kind : uint8_t { text, number, truth, null };
  Kind kind = Kind::null;
  bool truth = false;
  double number = 0;
  std::string_view text;
};

struct NumberRange {
  double lower = 0;
  double upper = 0;
  bool lower_open = false;  // the bound itself is not in it
  bool upper_open = false;

  bool contains(double number) const {
    return (lower_open ? number > lower : number >= lower) &&
           (upper_open ? number < upper : number <= upper);
  }
};

// An address of IPv4 or IPv6. An IPv4 address is not the same as one mapped into IPv6.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  bool six = false;

  static std::optional<IpAddress> parse(std::string_view text);
  size_t bits_max() const { return six ? 128 : 32; }
  // With all bits but the first `bits` cleared.
  IpAddress network(size_t bits) const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct FilterCondition {
  enum class Kind : uint8_t {
    text,
    number,
    truth,
    null,
    prefix,
    suffix,
    any_case,  // equals-ignore-case; `text` is in lower case
    wildcard,
    numeric,
    exists,
    address,       // cidr
    anything_but,  // `except` has what may not be
  };
  Kind kind = Kind::null;
  bool truth = false;  // truth and exists
  uint8_t bits = 0;    // address: of the network
  IpAddress network;
  std::string text;                 // as the policy has it
  std::vector<std::string> pieces;  // wildcard: what stands between the stars
  NumberRange range;                // number (both ends the same) and numeric
  std::vector<FilterCondition> except;

  // Does the value satisfy it? `exists` is not about a value, and is as if asked about any.
  bool accepts(const FilterValue& value) const;
  // The same text for two conditions that accept the same, so that they can be one.
  std::string identity() const;
};

std::string in_lower_case(std::string_view text);

}  // namespace millrace::engine
