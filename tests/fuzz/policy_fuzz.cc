// Fuzzes policy documents and the wildcards in them.
//
// The first byte chooses. Even: the rest is a document, read as a queue's and as a user's, and what
// is understood is asked some things. Odd: the rest is a pattern and a text, divided by a zero,
// compared with a matcher that tries all ways by a table. Checked: no crash; what is refused has a
// reason; a Deny for all is found.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "net/aws/policy.h"
#include "net/aws/wildcard.h"

namespace {

using namespace millrace::net;

bool matches_by_table(std::string_view pattern, std::string_view text) {
  std::vector<bool> before(text.size() + 1, false);
  before[0] = true;
  for (const char p : pattern) {
    std::vector<bool> after(text.size() + 1, false);
    if (p == '*') after[0] = before[0];
    for (size_t t = 0; t < text.size(); ++t)
      after[t + 1] = p == '*' ? after[t] || before[t + 1] : before[t] && (p == '?' || p == text[t]);
    before = after;
  }
  return before[text.size()];
}

void ask(const Policy& policy) {
  const Principal user{.arn = "arn:aws:iam::123456789012:user/u", .account = "123456789012"};
  const Principal topics{.service = "sns.amazonaws.com"};
  const RequestContext context{.source_arn = "arn:aws:sns:us-east-1:123456789012:t",
                               .source_account = "123456789012",
                               .source_ip = "10.0.0.1",
                               .user_agent = "agent",
                               .secure = true,
                               .now_s = 1'735'787'045};
  for (const Principal& principal : {user, topics}) {
    for (const std::string_view action : {"sqs:sendmessage", "sqs:getqueueurl"}) {
      const AccessRequest asked{principal, action, "arn:aws:sqs:us-east-1:123456789012:q", context};
      MR_ASSERT(policy.decide(asked) == policy.decide(asked));
      const AccessRequest bare{principal, action, "arn:aws:sqs:us-east-1:123456789012:q", {}};
      (void)policy.decide(bare);
    }
  }
  (void)policy.open_to_all();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1) {
    const size_t middle = std::min(input.find('\0'), input.size());
    const std::string_view pattern = input.substr(0, std::min<size_t>(middle, 1'024));
    const std::string_view text = input.substr(std::min(middle + 1, input.size())).substr(0, 1'024);
    MR_ASSERT(matches_wildcard(pattern, text) == matches_by_table(pattern, text));
    return 0;
  }
  for (const PolicyOf whose : {PolicyOf::queue, PolicyOf::topic, PolicyOf::user}) {
    PolicyRefusal refusal;
    const auto policy = Policy::parse(input, whose, &refusal);
    if (policy)
      ask(*policy);
    else
      MR_ASSERT(!refusal.text.empty());
  }
  return 0;
}
