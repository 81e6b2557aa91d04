// AddPermission and RemovePermission: statements of the queue's policy by their label. The policy
// is read, changed and set again, unless it is another by then: then all of it is done again.
#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "net/aws/arn.h"
#include "net/aws/policy_edit.h"
#include "net/sqs/actions.h"

namespace millrace::net::sqs {
namespace {

constexpr size_t kActionsMax = 7;

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
  const std::string_view text = label.value;
  if (text.empty()) return missing_parameter("Label");
  if (is_policy_label(text)) return {};
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

AwsError error_of_edit(PolicyEdit edit, const PolicyChange& change) {
  switch (edit) {
    case PolicyEdit::done:
      return {};
    case PolicyEdit::label_exists:
      return invalid_value("Label", change.label, "Already exists.");
    case PolicyEdit::label_unknown:
      return invalid_value("Label", change.label, "can't find label.");
    case PolicyEdit::too_many:
      return {errors::kOverLimit, fmt::format("{} Statements were found, maximum allowed is {}.",
                                              kStatementsOfPolicyMax + 1, kStatementsOfPolicyMax)};
  }
  return {};
}

// `change.of` is the region that the queue's ARN names.
void change_policy(Answer& answer, const QueueInfo& queue, const PolicyChange& change) {
  const std::string arn = answer.queue_arn(change.of, queue.name);
  std::string policy = queue.attributes.policy;
  const PolicyEdit edit =
      change.adds
          ? add_statement(
                &policy,
                fmt::format(R"({{"Version":"2008-10-17","Id":"{}/SQSDefaultPolicy"}})", arn),
                change.statement, arn)
          : remove_statement(&policy, change.label);
  if (const auto error = error_of_edit(edit, change)) return answer.refuse(error);
  QueueSettings settings;
  settings.attributes.push_back({"Policy", std::move(policy)});
  settings.policy_before = queue.attributes.policy;
  answer.kept().clear();
  keep_change(answer.kept(), change);
  answer.port().set_queue(queue.id, settings, answer.wait());
}

}  // namespace

void add_permission(Request& request, const AddPermissionInput& input) {
  if (const auto error = check_permission(input)) return request.refuse(error);
  change_policy(request, *request.queue,
                {.of = std::string(request.caller.region),
                 .adds = true,
                 .label = std::string(input.label.value),
                 .statement = grant_statement(input.label.value, input.account_ids.all(), "SQS",
                                              input.actions.all())});
}

void remove_permission(Request& request, const RemovePermissionInput& input) {
  if (const auto error = check_label(input.label)) return request.refuse(error);
  change_policy(
      request, *request.queue,
      {.of = std::string(request.caller.region), .label = std::string(input.label.value)});
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
