#include "net/aws/policy_edit.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"

namespace millrace::net {
namespace {

using EditedPolicy = nlohmann::ordered_json;  // members stay in the order they are written in

// Its statements a list.
EditedPolicy read_policy(std::string_view text) {
  EditedPolicy policy = base::parse_bounded_json<EditedPolicy>(text);
  if (!policy.is_object()) return EditedPolicy(EditedPolicy::value_t::discarded);
  EditedPolicy& statements = policy["Statement"];
  if (statements.is_null()) statements = EditedPolicy::array();
  if (statements.is_object()) statements = EditedPolicy::array({statements});
  return policy;
}

bool has_label(const EditedPolicy& statement, std::string_view label) {
  const auto sid = statement.find("Sid");
  return sid != statement.end() && sid->is_string() && sid->get_ref<const std::string&>() == label;
}

// A text alone, or a list of texts.
EditedPolicy one_or_list(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? EditedPolicy(texts.front()) : EditedPolicy(texts);
}

}  // namespace

bool is_policy_label(std::string_view text) {
  constexpr size_t kLabelMax = 80;
  return !text.empty() && text.size() <= kLabelMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::string grant_statement(std::string_view label, std::span<const std::string_view> accounts,
                            std::string_view service, std::span<const std::string_view> actions) {
  std::vector<std::string> principals;
  for (const std::string_view account : accounts)
    principals.push_back(fmt::format("arn:aws:iam::{}:root", account));
  std::vector<std::string> names;
  for (const std::string_view action : actions)
    names.push_back(fmt::format("{}:{}", service, action));
  EditedPolicy statement = EditedPolicy::object();
  statement["Sid"] = std::string(label);
  statement["Effect"] = "Allow";
  statement["Principal"]["AWS"] = one_or_list(principals);
  statement["Action"] = one_or_list(names);
  return statement.dump();
}

void keep_change(std::string& kept, const PolicyChange& change) {
  keep_text(kept, change.of);
  keep(kept, change.adds);
  keep_text(kept, change.label);
  keep_text(kept, change.statement);
}

PolicyChange take_change(KeptReader& reader) {
  PolicyChange change;
  change.of = reader.text();
  change.adds = reader.take<bool>();
  change.label = reader.text();
  change.statement = reader.text();
  return change;
}

PolicyEdit add_statement(std::string* policy, std::string_view initial, std::string_view statement,
                         std::string_view resource) {
  EditedPolicy edited = read_policy(*policy);
  if (edited.is_discarded()) edited = read_policy(initial);
  EditedPolicy added = base::parse_bounded_json<EditedPolicy>(statement);
  added["Resource"] = std::string(resource);
  EditedPolicy& statements = edited["Statement"];
  const std::string label = added["Sid"].get<std::string>();
  if (std::any_of(statements.begin(), statements.end(),
                  [&](const EditedPolicy& one) { return has_label(one, label); }))
    return PolicyEdit::label_exists;
  if (statements.size() >= kStatementsOfPolicyMax) return PolicyEdit::too_many;
  statements.push_back(std::move(added));
  *policy = edited.dump();
  return PolicyEdit::done;
}

PolicyEdit remove_statement(std::string* policy, std::string_view label) {
  EditedPolicy edited = read_policy(*policy);
  if (edited.is_discarded()) return PolicyEdit::label_unknown;
  EditedPolicy left = EditedPolicy::array();
  for (const EditedPolicy& one : edited["Statement"])
    if (!has_label(one, label)) left.push_back(one);
  if (left.size() == edited["Statement"].size()) return PolicyEdit::label_unknown;
  edited["Statement"] = std::move(left);
  *policy = edited["Statement"].empty() ? std::string() : edited.dump();
  return PolicyEdit::done;
}

}  // namespace millrace::net
