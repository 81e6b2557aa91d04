// AddPermission and RemovePermission: statements of the topic's policy by their label. The policy
// is read, changed and set again, unless it is another by then: then all of it is done again.
#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "millrace/named_text.h"
#include "net/aws/arn.h"
#include "net/aws/policy_edit.h"
#include "net/sns/actions.h"
#include "net/sns/topic_policy.h"

namespace millrace::net::sns {
namespace {

constexpr std::array<std::string_view, 9> kGivenByTopics{
    "Publish",       "Subscribe",        "GetTopicAttributes", "SetTopicAttributes",
    "AddPermission", "RemovePermission", "DeleteTopic",        "ListSubscriptionsByTopic",
    "Receive",
};

AwsError check_topic_permission(const AddPermissionInput& input) {
  if (!input.label.given) return value_is_null("label");
  if (!input.account_ids.given) return value_is_null("aWSAccountId");
  if (!input.actions.given) return value_is_null("actionName");
  if (!is_policy_label(input.label.value)) return invalid_parameter("Label");
  if (input.account_ids.empty() ||
      !std::all_of(input.account_ids.begin(), input.account_ids.end(), is_account))
    return invalid_parameter("AWSAccountId");
  const bool known = std::all_of(input.actions.begin(), input.actions.end(), [](auto name) {
    return std::find(kGivenByTopics.begin(), kGivenByTopics.end(), name) != kGivenByTopics.end();
  });
  if (input.actions.empty() || !known)
    return invalid_parameter("Policy statement action out of service scope!");
  return {};
}

AwsError error_of_topic_edit(PolicyEdit edit) {
  switch (edit) {
    case PolicyEdit::done:
      return {};
    case PolicyEdit::label_exists:
      return invalid_parameter("Statement already exists");
    case PolicyEdit::label_unknown:
      return invalid_parameter("Label");
    case PolicyEdit::too_many:
      return invalid_parameter(
          fmt::format("Policy Error: a policy may have {} statements", kStatementsOfPolicyMax));
  }
  return {};
}

// `change.of` is the topic's name.
void change_topic_policy(Answer& answer, const TopicInfo& topic, const PolicyChange& change) {
  const std::string arn = answer.topic_arn(topic.name);
  std::string before(value_of(topic.attributes.texts, "Policy"));
  std::string policy = before;
  const std::string initial = default_topic_policy(arn, answer.settings().account);
  const PolicyEdit edit = change.adds ? add_statement(&policy, initial, change.statement, arn)
                                      : remove_statement(&policy, change.label);
  if (const auto error = error_of_topic_edit(edit)) return answer.refuse(error);
  TopicSettings settings;
  settings.attributes.push_back({"Policy", std::move(policy)});
  settings.policy_before = std::move(before);
  answer.kept().clear();
  keep_change(answer.kept(), change);
  answer.topics().set(topic.id, settings, answer.wait());
}

}  // namespace

void add_permission(Request& request, const AddPermissionInput& input) {
  if (const auto error = check_topic_permission(input)) return request.refuse(error);
  change_topic_policy(request, *request.topic,
                      {.of = request.topic->name,
                       .adds = true,
                       .label = std::string(input.label.value),
                       .statement = grant_statement(input.label.value, input.account_ids.all(),
                                                    "SNS", input.actions.all())});
}

void remove_permission(Request& request, const RemovePermissionInput& input) {
  if (!input.label.given) return request.refuse(value_is_null("label"));
  change_topic_policy(request, *request.topic,
                      {.of = request.topic->name, .label = std::string(input.label.value)});
}

void permission_changed(Reply& reply, const TopicReply& from_shard) {
  const PolicyChange change = take_change(reply.request);
  const TopicInfo* topic = reply.topics().find(change.of);
  if (from_shard.error != Errc::throttled || topic == nullptr)
    return topic_changed(reply, from_shard);
  // Somebody else's change went before, and this shard knows it by now. Each time one gets through,
  // so this ends.
  change_topic_policy(reply, *topic, change);
}

}  // namespace millrace::net::sns
