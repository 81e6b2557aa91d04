// AddPermission and RemovePermission: statements of a resource's policy, by their label.
//
// A policy is a text before and after; its members stay in the order they were written in.
//
// Threads: any; no state.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "net/aws/kept.h"

namespace millrace::net {

inline constexpr size_t kStatementsOfPolicyMax = 20;

enum class PolicyEdit { done, label_exists, label_unknown, too_many };

// 1 to 80 letters, digits, - and _.
bool is_policy_label(std::string_view text);

// A statement that allows accounts some actions ("SQS" and "SendMessage"), without its resource.
std::string grant_statement(std::string_view label, std::span<const std::string_view> accounts,
                            std::string_view service, std::span<const std::string_view> actions);

// What a front keeps while its shard sets a policy, to do it again if another's change went before.
struct PolicyChange {
  std::string of{};  // the resource, or what there must be known of it besides
  bool adds = false;
  std::string label{};
  std::string statement{};  // to add: all but its resource
};
void keep_change(std::string& kept, const PolicyChange& change);
PolicyChange take_change(KeptReader& reader);

// `initial`: the policy that it has if `policy` is none. Unless it is done, `policy` is as it was.
PolicyEdit add_statement(std::string* policy, std::string_view initial, std::string_view statement,
                         std::string_view resource);
// Without any statement it is empty.
PolicyEdit remove_statement(std::string* policy, std::string_view label);

}  // namespace millrace::net
