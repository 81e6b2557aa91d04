// ResourcePolicies: the policies of queues and topics as last seen, read once for each text.
//
// Threads: one at a time.   Memory: bounded by kCountMax policies, twice the text each; when there
// are more, all are forgotten and read anew.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/aws/policy.h"

namespace millrace::net {

class ResourcePolicies {
 public:
  static constexpr size_t kCountMax = 1'024;

  // Null if the text is no policy: it was stored when nobody looked at it. Until the next call.
  const Policy* find(std::string_view arn, PolicyOf whose, std::string_view text);

 private:
  struct Known {
    std::string text;
    std::optional<Policy> policy;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, Known, Hash, std::equal_to<>> known_;
};

}  // namespace millrace::net
