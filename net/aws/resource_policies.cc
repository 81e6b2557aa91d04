#include "net/aws/resource_policies.h"

namespace millrace::net {

const Policy* ResourcePolicies::find(std::string_view arn, PolicyOf whose, std::string_view text) {
  auto found = known_.find(arn);
  if (found == known_.end() || found->second.text != text) {
    if (found == known_.end() && known_.size() >= kCountMax) known_.clear();
    PolicyRefusal refusal;
    Known known{std::string(text), Policy::parse(text, whose, &refusal)};
    found = known_.insert_or_assign(std::string(arn), std::move(known)).first;
  }
  return found->second.policy ? &*found->second.policy : nullptr;
}

}  // namespace millrace::net
