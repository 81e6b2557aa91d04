#include "net/aws/condition.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "net/aws/signature_time.h"
#include "net/aws/wildcard.h"

namespace millrace::net {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// The part before the next ':', which is taken away; the last of an ARN's six may have more.
std::string_view take_part(std::string_view& arn, bool last) {
  const size_t end = last ? arn.size() : std::min(arn.find(':'), arn.size());
  const std::string_view part = arn.substr(0, end);
  arn.remove_prefix(std::min(end + 1, arn.size()));
  return part;
}

constexpr int kArnParts = 6;

bool is_arn_pattern(std::string_view text) {
  return std::count(text.begin(), text.end(), ':') >= kArnParts - 1;
}

bool matches_arn(std::string_view pattern, std::string_view arn) {
  if (!is_arn_pattern(arn)) return false;
  for (int i = 1; i <= kArnParts; ++i) {
    if (!matches_wildcard(take_part(pattern, i == kArnParts), take_part(arn, i == kArnParts)))
      return false;
  }
  return true;
}

bool read_whole(std::string_view text, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// "2025-01-02", "2025-01-02T03:04:05Z", or seconds since the epoch.
bool read_date(std::string_view text, int64_t* seconds) {
  if (read_whole(text, seconds)) return true;
  constexpr std::string_view kForm = "____-__-__T__:__:__Z";
  std::string whole(text);
  if (whole.size() == 10) whole += "T00:00:00Z";
  if (whole.size() != kForm.size()) return false;
  std::string basic;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (kForm[i] != '_' && whole[i] != kForm[i]) return false;
    if (kForm[i] != '-' && kForm[i] != ':') basic += whole[i];
  }
  const std::optional<int64_t> parsed = parse_signature_time(basic);
  if (parsed) *seconds = *parsed;
  return parsed.has_value();
}

}  // namespace

struct Condition::OperatorRow {
  std::string_view name;  // without IfExists
  Sort sort;
  Test test;
  bool negated;
};
const Condition::OperatorRow Condition::kOperators[] = {
    {"StringEquals", Sort::text, Test::equal, false},
    {"StringNotEquals", Sort::text, Test::equal, true},
    {"StringEqualsIgnoreCase", Sort::text, Test::equal_any_case, false},
    {"StringNotEqualsIgnoreCase", Sort::text, Test::equal_any_case, true},
    {"StringLike", Sort::text, Test::like, false},
    {"StringNotLike", Sort::text, Test::like, true},
    {"ArnEquals", Sort::arn, Test::arn_like, false},
    {"ArnLike", Sort::arn, Test::arn_like, false},
    {"ArnNotEquals", Sort::arn, Test::arn_like, true},
    {"ArnNotLike", Sort::arn, Test::arn_like, true},
    {"Bool", Sort::truth, Test::truth, false},
    {"IpAddress", Sort::address, Test::address, false},
    {"NotIpAddress", Sort::address, Test::address, true},
    {"NumericEquals", Sort::time, Test::number_equal, false},
    {"NumericNotEquals", Sort::time, Test::number_equal, true},
    {"NumericLessThan", Sort::time, Test::number_less, false},
    {"NumericLessThanEquals", Sort::time, Test::number_less_or_equal, false},
    {"NumericGreaterThan", Sort::time, Test::number_greater, false},
    {"NumericGreaterThanEquals", Sort::time, Test::number_greater_or_equal, false},
    {"DateEquals", Sort::time, Test::number_equal, false},
    {"DateNotEquals", Sort::time, Test::number_equal, true},
    {"DateLessThan", Sort::time, Test::number_less, false},
    {"DateLessThanEquals", Sort::time, Test::number_less_or_equal, false},
    {"DateGreaterThan", Sort::time, Test::number_greater, false},
    {"DateGreaterThanEquals", Sort::time, Test::number_greater_or_equal, false},
    {"Null", Sort::any, Test::absent, false},
};

struct Condition::KeyRow {
  std::string_view name;  // in any case
  Sort sort;
  Key key;
};
const Condition::KeyRow Condition::kKeys[] = {
    {"aws:SourceArn", Sort::arn, Key::source_arn},
    {"aws:SourceAccount", Sort::text, Key::source_account},
    {"aws:SourceOwner", Sort::text, Key::source_account},  // as topics' policies of long ago say it
    {"aws:PrincipalArn", Sort::arn, Key::principal_arn},
    {"aws:PrincipalAccount", Sort::text, Key::principal_account},
    {"aws:SourceIp", Sort::address, Key::source_ip},
    {"aws:SecureTransport", Sort::truth, Key::secure_transport},
    {"aws:CurrentTime", Sort::time, Key::current_time},
    {"aws:EpochTime", Sort::time, Key::epoch_time},
    {"aws:UserAgent", Sort::text, Key::user_agent},
};

std::optional<Condition> Condition::make(std::string_view operator_name, std::string_view key,
                                         std::vector<std::string> values, std::string* why) {
  constexpr std::string_view kIfExists = "IfExists";
  std::string_view name = operator_name;
  Condition condition;
  condition.if_exists_ = name.ends_with(kIfExists);
  if (condition.if_exists_) name.remove_suffix(kIfExists.size());
  const auto* const op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                      [&](const OperatorRow& row) { return row.name == name; });
  if (op == std::end(kOperators) || (op->test == Test::absent && condition.if_exists_)) {
    *why = fmt::format("the condition operator {} is not known", operator_name);
    return std::nullopt;
  }
  const auto* const row = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const KeyRow& r) {
    return equal_in_any_case(r.name, key);
  });
  if (row == std::end(kKeys)) {
    *why = fmt::format("the condition key {} is not known", key);
    return std::nullopt;
  }
  const bool text_of_arn = op->sort == Sort::text && row->sort == Sort::arn;
  const bool number_of_date = name.starts_with("Numeric") && row->key == Key::current_time;
  if ((op->sort != row->sort && op->sort != Sort::any && !text_of_arn) || number_of_date) {
    *why = fmt::format("{} cannot ask for {}", operator_name, row->name);
    return std::nullopt;
  }
  if (values.empty()) {
    *why = fmt::format("the condition on {} has no value", row->name);
    return std::nullopt;
  }
  condition.test_ = op->test;
  condition.negated_ = op->negated;
  condition.key_ = row->key;
  for (std::string& value : values) {
    if (condition.read_value(std::move(value), name.starts_with("Date"), why)) continue;
    *why = fmt::format("{} of {}: {}", operator_name, row->name, *why);
    return std::nullopt;
  }
  return condition;
}

bool Condition::read_value(std::string text, bool is_date, std::string* why) {
  Value value;
  if (text.size() > kValueBytesMax) {
    *why = fmt::format("a value has more than {} bytes", kValueBytesMax);
    return false;
  }
  if (text.find("${") != std::string::npos) {
    *why = "policy variables are not known";
    return false;
  }
  bool good = true;
  switch (test_) {
    case Test::equal:
    case Test::equal_any_case:
    case Test::like:
      break;
    case Test::arn_like:
      good = is_arn_pattern(text);
      break;
    case Test::truth:
    case Test::absent:
      value.number = equal_in_any_case(text, "true") ? 1 : 0;
      good = value.number == 1 || equal_in_any_case(text, "false");
      break;
    case Test::address:
      if (const auto block = IpBlock::parse(text))
        value.block = *block;
      else
        good = false;
      break;
    case Test::number_equal:
    case Test::number_less:
    case Test::number_less_or_equal:
    case Test::number_greater:
    case Test::number_greater_or_equal:
      good = is_date ? read_date(text, &value.number) : read_whole(text, &value.number);
      break;
  }
  if (!good) {
    *why = fmt::format("\"{}\" is not of its kind", text);
    return false;
  }
  value.text = std::move(text);
  values_.push_back(std::move(value));
  return true;
}

std::string_view Condition::text_of(const Principal& principal,
                                    const RequestContext& context) const {
  switch (key_) {
    case Key::source_arn:
      return context.source_arn;
    case Key::source_account:
      return context.source_account;
    case Key::principal_arn:
      return principal.arn;
    case Key::principal_account:
      return principal.account;
    case Key::source_ip:
      return context.source_ip;
    case Key::secure_transport:
      return context.secure ? "true" : "false";
    case Key::current_time:
    case Key::epoch_time:
      return "now";
    case Key::user_agent:
      return context.user_agent;
  }
  return {};
}

bool Condition::holds(const Principal& principal, const RequestContext& context) const {
  const std::string_view text = text_of(principal, context);
  const auto address = test_ == Test::address ? parse_ip(text) : IpAddress{};
  const bool there = !text.empty() && address;
  if (!there && test_ != Test::absent) return negated_ || if_exists_;
  const int64_t number = test_ == Test::absent  ? (there ? 0 : 1)
                         : test_ == Test::truth ? (context.secure ? 1 : 0)
                                                : context.now_s;
  const bool any = std::any_of(values_.begin(), values_.end(), [&](const Value& value) {
    return fits(value, text, number, address.value_or(IpAddress{}));
  });
  return any != negated_;
}

bool Condition::fits(const Value& value, std::string_view text, int64_t number,
                     const IpAddress& address) const {
  switch (test_) {
    case Test::equal:
      return value.text == text;
    case Test::equal_any_case:
      return equal_in_any_case(value.text, text);
    case Test::like:
      return matches_wildcard(value.text, text);
    case Test::arn_like:
      return matches_arn(value.text, text);
    case Test::truth:
    case Test::absent:
    case Test::number_equal:
      return number == value.number;
    case Test::address:
      return value.block.contains(address);
    case Test::number_less:
      return number < value.number;
    case Test::number_less_or_equal:
      return number <= value.number;
    case Test::number_greater:
      return number > value.number;
    case Test::number_greater_or_equal:
      return number >= value.number;
  }
  return false;
}

}  // namespace millrace::net
