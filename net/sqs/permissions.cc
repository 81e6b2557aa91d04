// AddPermission and RemovePermission: statements of the queue's policy by their label. The policy
// is read, changed and set again, unless it is another by then: then all of it is done again.
#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
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

// What is kept while the shard works, to do it again.
struct PolicyChange {
  bool adds = false;
  std::string label{};
  std::string region{};
  std::string statement{};  // to add: all but its resource
};

void keep_change(std::string& kept, const PolicyChange& change) {
  keep(kept, change.adds);
  keep_text(kept, change.label);
  keep_text(kept, change.region);
  keep_text(kept, change.statement);
}
PolicyChange take_change(KeptReader& reader) {
  PolicyChange change;
  change.adds = reader.take<bool>();
  change.label = reader.text();
  change.region = reader.text();
  change.statement = reader.text();
  return change;
}

// The queue's policy, its statements a list; a new one if it has none.
PolicyJson policy_of(Answer& answer, const QueueInfo& queue, std::string_view region) {
  PolicyJson policy = base::parse_bounded_json<PolicyJson>(queue.attributes.policy);
  if (!policy.is_object()) {
    policy = PolicyJson::object();
    policy["Version"] = "2008-10-17";
    policy["Id"] = fmt::format("{}/SQSDefaultPolicy", answer.queue_arn(region, queue.name));
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

AwsError add_statement(PolicyJson& statements, const PolicyChange& change, std::string arn) {
  if (std::any_of(statements.begin(), statements.end(),
                  [&](const PolicyJson& one) { return has_label(one, change.label); }))
    return invalid_value("Label", change.label, "Already exists.");
  if (statements.size() >= kStatementsOfPolicyMax)
    return {errors::kOverLimit, fmt::format("{} Statements were found, maximum allowed is {}.",
                                            statements.size() + 1, kStatementsOfPolicyMax)};
  PolicyJson statement = base::parse_bounded_json<PolicyJson>(change.statement);
  statement["Resource"] = std::move(arn);
  statements.push_back(std::move(statement));
  return {};
}

AwsError remove_statement(PolicyJson& statements, const PolicyChange& change) {
  PolicyJson left = PolicyJson::array();
  for (const PolicyJson& one : statements)
    if (!has_label(one, change.label)) left.push_back(one);
  if (left.size() == statements.size())
    return invalid_value("Label", change.label, "can't find label.");
  statements = std::move(left);
  return {};
}

void change_policy(Answer& answer, const QueueInfo& queue, const PolicyChange& change) {
  PolicyJson policy = policy_of(answer, queue, change.region);
  PolicyJson& statements = policy["Statement"];
  const AwsError error =
      change.adds ? add_statement(statements, change, answer.queue_arn(change.region, queue.name))
                  : remove_statement(statements, change);
  if (error) return answer.refuse(error);
  QueueSettings settings;
  settings.attributes.push_back({"Policy", statements.empty() ? std::string() : policy.dump()});
  settings.policy_before = queue.attributes.policy;
  answer.kept().clear();
  keep_change(answer.kept(), change);
  answer.port().set_queue(queue.id, settings, answer.wait());
}

}  // namespace

void add_permission(Request& request, const AddPermissionInput& input) {
  if (const auto error = check_permission(input)) return request.refuse(error);
  std::vector<std::string> principals;
  for (const std::string_view account : input.account_ids)
    principals.push_back(fmt::format("arn:aws:iam::{}:root", account));
  std::vector<std::string> actions;
  for (const std::string_view action : input.actions)
    actions.push_back(fmt::format("SQS:{}", action));
  PolicyJson statement = PolicyJson::object();
  statement["Sid"] = std::string(input.label.value);
  statement["Effect"] = "Allow";
  statement["Principal"]["AWS"] = one_or_list(principals);
  statement["Action"] = one_or_list(actions);
  change_policy(request, *request.queue,
                {.adds = true,
                 .label = std::string(input.label.value),
                 .region = std::string(request.caller.region),
                 .statement = statement.dump()});
}

void remove_permission(Request& request, const RemovePermissionInput& input) {
  if (const auto error = check_label(input.label)) return request.refuse(error);
  change_policy(
      request, *request.queue,
      {.label = std::string(input.label.value), .region = std::string(request.caller.region)});
}

void permission_changed(Reply& reply, const QueueReply& from_shard) {
  const QueueInfo* queue = reply.queue();
  if (from_shard.error != Errc::throttled || queue == nullptr)
    return queue_changed(reply, from_shard);
  // Somebody else's change went before, and this shard knows it by now. Each time one gets through,
  // so this ends.
  change_policy(reply, *queue, take_change(reply.request));
}

}  // namespace millrace::net::sqs
