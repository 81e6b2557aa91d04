#include "net/sns/topic_policy.h"

#include <fmt/format.h>

#include "net/aws/policy.h"
#include "net/sns/errors.h"
#include "net/topics/delivery_policy.h"

namespace millrace::net::sns {

std::string default_topic_policy(std::string_view topic_arn, std::string_view account) {
  return fmt::format(
      R"({{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{{)"
      R"("Sid":"__default_statement_ID","Effect":"Allow","Principal":{{"AWS":"*"}},"Action":[)"
      R"("SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission",)"
      R"("SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic",)"
      R"("SNS:Publish"],"Resource":"{}","Condition":{{"StringEquals":{{"AWS:SourceOwner":"{}"}}}}}}]}})",
      topic_arn, account);
}

AwsError check_topic_policy(std::string_view text) {
  if (text.empty()) return {};
  PolicyRefusal refusal;
  if (Policy::parse(text, PolicyOf::topic, &refusal)) return {};
  return invalid_parameter(fmt::format("Policy Error: {}", refusal.text));
}

AwsError check_delivery_policy(std::string_view text, bool of_topic, std::string_view reason) {
  const std::string fault = topics::delivery_policy_fault(text, of_topic);
  if (fault.empty()) return {};
  return invalid_parameter(fmt::format("{}DeliveryPolicy: {}", reason, fault));
}

}  // namespace millrace::net::sns
