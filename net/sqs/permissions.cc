// AddPermission and RemovePermission: statements of the queue's policy by their label. The policy
// is read, changed and set again; two at once on different shards may lose one of the two.
#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "net/aws/arn.h"
#include "net/sqs/actions.h"

namespace millrace::net::sqs {
namespace {

using PolicyJson = nlohmann::ordered_json;  // members stay in the order they are written in

constexpr size_t kActionsMax = 7;
constexpr size_t kStatementsOfPolicyMax = 20;

constexpr std::array<std::string_view, 9> kGivenByPolicy{
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
};

AwsError check_label(const Text& label) {
  constexpr size_t kLabelMax = 80;
  const std::string_view text = label.value;
  if (text.empty()) return missing_parameter("Label");
  const bool good = text.size() <= kLabelMax && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '-';
                    });
  if (good) return {};
  return invalid_value("Label", text,
                       "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 "
                       "in length");
}

AwsError check_permission(const AddPermissionInput& input) {
  if (auto error = check_label(input.label)) return error;
  if (input.account_ids.empty()) return missing_parameter("AWSAccountIds");
  if (input.actions.empty()) return missing_parameter("ActionName");
  for (const std::string_view account : input.account_ids)
    if (!is_account(account)) return invalid_value("PrincipalId", account, "Unable to verify.");
  if (input.actions.size() > kActionsMax)
    return {errors::kOverLimit, fmt::format("{} Actions were found, maximum allowed is {}.",
                                            input.actions.size(), kActionsMax)};
  for (const std::string_view name : input.actions) {
    if (std::find(kGivenByPolicy.begin(), kGivenByPolicy.end(), name) != kGivenByPolicy.end())
      continue;
    const Action* action = find_action(name);
    return invalid_value(
        "ActionName", fmt::format("SQS:{}", shown(name, 128)),
        action != nullptr && action->owner_only
            ? "Only the queue owner is allowed to invoke this action."
            : "Please refer to the appropriate WSDL for a list of valid actions. ");
  }
  return {};
}

// The queue's policy, its statements a list; a new one if it has none.
PolicyJson policy_of(Request& request) {
  const QueueInfo& queue = *request.queue;
  PolicyJson policy = PolicyJson::parse(queue.attributes.policy, nullptr, false);
  if (!policy.is_object()) {
    policy = PolicyJson::object();
    policy["Version"] = "2008-10-17";
    policy["Id"] =
        fmt::format("{}/SQSDefaultPolicy", request.queue_arn(request.caller.region, queue.name));
  }
  PolicyJson& statements = policy["Statement"];
  if (statements.is_null()) statements = PolicyJson::array();
  if (statements.is_object()) statements = PolicyJson::array({statements});
  return policy;
}

bool has_label(const PolicyJson& statement, std::string_view label) {
  const auto sid = statement.find("Sid");
  return sid != statement.end() && sid->is_string() && sid->get_ref<const std::string&>() == label;
}

// A text alone, or a list of texts.
PolicyJson one_or_list(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? PolicyJson(texts.front()) : PolicyJson(texts);
}

void set_policy(Request& request, const PolicyJson& policy) {
  QueueSettings settings;
  settings.attributes.push_back(
      {"Policy", policy["Statement"].empty() ? std::string() : policy.dump()});
  request.port().set_queue(request.queue->id, settings, request.wait());
}

}  // namespace

void add_permission(Request& request, const AddPermissionInput& input) {
  if (const auto error = check_permission(input)) return request.refuse(error);
  const std::string label(input.label.value);
  PolicyJson policy = policy_of(request);
  PolicyJson& statements = policy["Statement"];
  if (std::any_of(statements.begin(), statements.end(),
                  [&](const PolicyJson& one) { return has_label(one, label); }))
    return request.refuse(invalid_value("Label", label, "Already exists."));
  if (statements.size() >= kStatementsOfPolicyMax)
    return request.refuse(
        {errors::kOverLimit, fmt::format("{} Statements were found, maximum allowed is {}.",
                                         statements.size() + 1, kStatementsOfPolicyMax)});
  std::vector<std::string> principals;
  for (const std::string_view account : input.account_ids)
    principals.push_back(fmt::format("arn:aws:iam::{}:root", account));
  std::vector<std::string> actions;
  for (const std::string_view action : input.actions)
    actions.push_back(fmt::format("SQS:{}", action));
  PolicyJson statement = PolicyJson::object();
  statement["Sid"] = label;
  statement["Effect"] = "Allow";
  statement["Principal"]["AWS"] = one_or_list(principals);
  statement["Action"] = one_or_list(actions);
  statement["Resource"] = request.queue_arn(request.caller.region, request.queue->name);
  statements.push_back(std::move(statement));
  set_policy(request, policy);
}

void remove_permission(Request& request, const RemovePermissionInput& input) {
  if (const auto error = check_label(input.label)) return request.refuse(error);
  PolicyJson policy = policy_of(request);
  PolicyJson& statements = policy["Statement"];
  PolicyJson left = PolicyJson::array();
  for (const PolicyJson& one : statements)
    if (!has_label(one, input.label.value)) left.push_back(one);
  if (left.size() == statements.size())
    return request.refuse(invalid_value("Label", input.label.value, "can't find label."));
  statements = std::move(left);
  set_policy(request, policy);
}

}  // namespace millrace::net::sqs
