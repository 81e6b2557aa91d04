#include "net/aws/queue_policies.h"

namespace millrace::net {

const Policy* QueuePolicies::find(std::string_view queue_arn, std::string_view text) {
  auto found = known_.find(queue_arn);
  if (found == known_.end() || found->second.text != text) {
    if (found == known_.end() && known_.size() >= kCountMax) known_.clear();
    PolicyRefusal refusal;
    Known known{std::string(text), Policy::parse(text, PolicyOf::queue, &refusal)};
    found = known_.insert_or_assign(std::string(queue_arn), std::move(known)).first;
  }
  return found->second.policy ? &*found->second.policy : nullptr;
}

}  // namespace millrace::net
