// Condition: one test of a policy's statement: an operator, a key of the request, and values.
//
//   "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:000000000000:orders"}}
//
// It holds if one of the values fits; with an operator that says Not, if none does. A key that the
// request has not makes it fail, or hold if the operator says Not or ends in IfExists. ArnEquals is
// ArnLike, as it is on AWS: each of the six parts by itself, with wildcards.
//
// An operator or a key that is not in the tables of condition.cc, or a value that is not of the
// operator's kind, is an error: a condition that is passed over could let everybody in.
// Threads: immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/aws/ip_block.h"

namespace millrace::net {

// What conditions may ask of a request. Empty: the request has no such key.
struct RequestContext {
  std::string_view source_arn{};      // the topic or other resource that a service acts for
  std::string_view source_account{};  // its account
  std::string_view source_ip{};       // empty: a unix socket
  std::string_view user_agent{};
  bool secure = false;
  int64_t now_s = 0;
};

// Who asks: a user or account of ours, or a service.
struct Principal {
  std::string_view arn{};      // arn:aws:iam::ACCOUNT:root or :user/NAME; empty: a service
  std::string_view account{};  // 12 digits; empty: a service
  std::string_view service{};  // "sns.amazonaws.com"; empty: none
  bool is_account() const { return arn.ends_with(":root"); }
};

class Condition {
 public:
  static constexpr size_t kValueBytesMax = 1'024;

  // Nothing, and one line in `why`, if it is not understood.
  static std::optional<Condition> make(std::string_view operator_name, std::string_view key,
                                       std::vector<std::string> values, std::string* why);
  bool holds(const Principal& principal, const RequestContext& context) const;

 private:
  enum class Test : uint8_t {
    equal,
    equal_any_case,
    like,
    arn_like,
    truth,
    address,
    number_equal,
    number_less,
    number_less_or_equal,
    number_greater,
    number_greater_or_equal,
    absent,
  };
  enum class Key : uint8_t {
    source_arn,
    source_account,
    principal_arn,
    principal_account,
    source_ip,
    secure_transport,
    current_time,
    epoch_time,
    user_agent,
  };
  // What a key's value is, and so which operators may ask for it.
  enum class Sort : uint8_t { text, arn, truth, address, time, any };
  struct Value {
    std::string text;
    int64_t number = 0;
    IpBlock block{};
  };
  struct OperatorRow;
  struct KeyRow;
  static const OperatorRow kOperators[];
  static const KeyRow kKeys[];

  bool read_value(std::string text, bool is_date, std::string* why);
  bool fits(const Value& value, std::string_view text, int64_t number,
            const IpAddress& address) const;
  std::string_view text_of(const Principal& principal, const RequestContext& context) const;

  Test test_{};
  Key key_{};
  bool negated_ = false;
  bool if_exists_ = false;
  std::vector<Value> values_;
};

}  // namespace millrace::net
