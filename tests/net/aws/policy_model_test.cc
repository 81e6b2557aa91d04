// Random policies, and what is asked of them, against an evaluator that knows no documents: it
// works on what the document was written from, in the words of the rules.
//
// MILLRACE_POLICIES in the environment says how many, 10,000 if it does not.
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "net/aws/policy.h"

namespace millrace::net {
namespace {

using Texts = std::vector<std::string>;

const Texts kAccounts{"111111111111", "222222222222"};
const Texts kActions{"sqs:SendMessage", "sqs:ReceiveMessage", "SQS:DeleteMessage"};
const Texts kActionPatterns{"sqs:SendMessage", "SQS:receivemessage", "sqs:*",   "*",
                            "sqs:*Message",    "s?s:Delete*",        "sqs:Get*"};
const Texts kQueues{"a", "ab", "b.fifo"};
const Texts kQueuePatterns{"a", "ab", "a*", "*", "?", "*.fifo", "x"};
const Texts kTopicArns{"", "arn:aws:sns:us-east-1:111111111111:t", "arn:aws:sns:us-east-1:1:tt"};
const Texts kTopicPatterns{"arn:aws:sns:us-east-1:111111111111:t", "arn:aws:sns:*:*:t*",
                           "arn:*:*:*:1:*"};
const Texts kAddresses{"", "10.0.0.1", "10.200.0.1", "192.0.2.7"};
const Texts kBlocks{"10.0.0.0/8", "10.0.0.0/9", "192.0.2.7"};

// By trying every length for every star.
bool naive_match(const char* pattern, const char* text) {
  if (*pattern == '\0') return *text == '\0';
  if (*pattern == '*')
    return naive_match(pattern + 1, text) || (*text != '\0' && naive_match(pattern, text + 1));
  return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
         naive_match(pattern + 1, text + 1);
}

std::string lower(std::string text) {
  for (char& c : text)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct Asked {
  std::string arn, account, service, action, queue, topic, address;
  bool secure = false;
  int64_t now_s = 0;
};

struct NaiveCondition {
  std::string json;
  std::function<bool(const Asked&)> holds;
};

struct NaiveStatement {
  bool allow = false;
  Texts principals;  // "*", an account, an ARN, a service
  Texts actions, queues;
  std::vector<NaiveCondition> conditions;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  bool one_in(uint64_t n) { return random_.below(n) == 0; }
  const std::string& pick(const Texts& texts) { return texts[random_.below(texts.size())]; }
  Texts some(const Texts& texts) {
    Texts chosen{pick(texts)};
    while (one_in(3))
      chosen.push_back(pick(texts));
    return chosen;
  }

  std::string user() {
    const std::string account = pick(kAccounts);
    return "arn:aws:iam::" + account + (one_in(3) ? ":root" : one_in(2) ? ":user/u" : ":user/v");
  }

  std::string principal() {
    switch (random_.below(5)) {
      case 0:
        return "*";
      case 1:
        return pick(kAccounts);
      case 2:
        return "sns.amazonaws.com";
      default:
        return user();
    }
  }

  NaiveCondition condition() {
    switch (random_.below(7)) {
      case 0:
      case 1: {
        const bool negated = one_in(3);
        const bool if_exists = one_in(4);
        const Texts patterns = some(kTopicPatterns);
        return {std::string("\"") + (negated ? "ArnNotLike" : "ArnLike") +
                    (if_exists ? "IfExists" : "") + "\":{\"aws:SourceArn\":" + list(patterns) + "}",
                [=](const Asked& asked) {
                  if (asked.topic.empty()) return negated || if_exists;
                  bool any = false;
                  for (const std::string& pattern : patterns)
                    any |= naive_match(pattern.c_str(), asked.topic.c_str());
                  return any != negated;
                }};
      }
      case 2: {
        const bool negated = one_in(2);
        const Texts blocks = some(kBlocks);
        return {std::string("\"") + (negated ? "Not" : "") +
                    "IpAddress\":{\"aws:SourceIp\":" + list(blocks) + "}",
                [=](const Asked& asked) {
                  bool any = false;
                  for (const std::string& block : blocks) {
                    any |= block == asked.address;
                    any |= block == "10.0.0.0/8" && asked.address.starts_with("10.");
                    any |= block == "10.0.0.0/9" && asked.address == "10.0.0.1";
                  }
                  return any != negated;
                }};
      }
      case 3: {
        const bool wanted = one_in(2);
        return {std::string("\"Bool\":{\"aws:SecureTransport\":\"") + (wanted ? "true" : "false") +
                    "\"}",
                [=](const Asked& asked) { return asked.secure == wanted; }};
      }
      case 4: {
        const int64_t limit = static_cast<int64_t>(random_.below(4));
        return {"\"NumericLessThan\":{\"aws:EpochTime\":" + std::to_string(limit) + "}",
                [=](const Asked& asked) { return asked.now_s < limit; }};
      }
      case 5: {
        const Texts accounts = some(kAccounts);
        return {"\"StringEquals\":{\"aws:PrincipalAccount\":" + list(accounts) + "}",
                [=](const Asked& asked) {
                  return std::find(accounts.begin(), accounts.end(), asked.account) !=
                         accounts.end();
                }};
      }
      default: {
        const bool absent = one_in(2);
        return {std::string("\"Null\":{\"aws:SourceArn\":\"") + (absent ? "true" : "false") + "\"}",
                [=](const Asked& asked) { return asked.topic.empty() == absent; }};
      }
    }
  }

  NaiveStatement statement() {
    NaiveStatement made;
    made.allow = !one_in(3);
    made.principals = {principal()};
    while (one_in(3))
      made.principals.push_back(principal());
    made.actions = some(kActionPatterns);
    made.queues = some(kQueuePatterns);
    // One, because a second one of the same operator would be the same name twice.
    if (one_in(2)) made.conditions.push_back(condition());
    return made;
  }

  Asked asked() {
    Asked made;
    if (one_in(4)) {
      made.service = "sns.amazonaws.com";
    } else {
      made.arn = user();
      made.account = made.arn.substr(13, 12);
    }
    made.action = pick(kActions);
    made.queue = pick(kQueues);
    made.topic = pick(kTopicArns);
    made.address = pick(kAddresses);
    made.secure = one_in(2);
    made.now_s = static_cast<int64_t>(random_.below(4));
    return made;
  }

  static std::string list(const Texts& texts) {
    if (texts.size() == 1) return "\"" + texts[0] + "\"";
    std::string out;
    for (const std::string& text : texts)
      out += (out.empty() ? "[\"" : ",\"") + text + "\"";
    return out + "]";
  }

  std::string document(const std::vector<NaiveStatement>& statements) {
    std::string out;
    for (const NaiveStatement& statement : statements) {
      Texts aws;
      Texts services;
      for (const std::string& name : statement.principals)
        (name.ends_with(".com") ? services : aws).push_back(name);
      std::string principals;
      if (!aws.empty()) principals = "\"AWS\":" + list(aws);
      if (!services.empty())
        principals += std::string(aws.empty() ? "" : ",") + "\"Service\":" + list(services);
      Texts resources;
      for (const std::string& queue : statement.queues)
        resources.push_back(arn_of(queue));
      out += out.empty() ? "" : ",";
      out += std::string("{\"Effect\":\"") + (statement.allow ? "Allow" : "Deny") +
             "\",\"Principal\":{" + principals + "},\"Action\":" + list(statement.actions) +
             ",\"Resource\":" + list(resources);
      if (!statement.conditions.empty())
        out += ",\"Condition\":{" + statement.conditions[0].json + "}";
      out += "}";
    }
    return "{\"Version\":\"2012-10-17\",\"Statement\":[" + out + "]}";
  }

  static std::string arn_of(const std::string& queue) {
    return "arn:aws:sqs:us-east-1:111111111111:" + queue;
  }

 private:
  base::Prng random_;
};

bool applies(const NaiveStatement& statement, const Asked& asked) {
  bool action = false;
  for (const std::string& pattern : statement.actions)
    action |= naive_match(lower(pattern).c_str(), lower(asked.action).c_str());
  bool queue = false;
  for (const std::string& pattern : statement.queues)
    queue |= naive_match(pattern.c_str(), asked.queue.c_str());
  bool conditions = true;
  for (const NaiveCondition& condition : statement.conditions)
    conditions &= condition.holds(asked);
  return action && queue && conditions;
}

Decision naive_decide(const std::vector<NaiveStatement>& statements, const Asked& asked) {
  bool denied = false;
  bool by_name = false;
  bool by_account = false;
  for (const NaiveStatement& statement : statements) {
    if (!applies(statement, asked)) continue;
    for (const std::string& name : statement.principals) {
      const std::string root = "arn:aws:iam::" + asked.account + ":root";
      const bool is_anybody = name == "*";
      const bool is_service = !asked.service.empty() && name == asked.service;
      const bool is_user = !asked.arn.empty() && name == asked.arn;
      const bool is_account = !asked.account.empty() && (name == asked.account || name == root);
      if (!is_anybody && !is_service && !is_user && !is_account) continue;
      denied |= !statement.allow;
      by_name |= is_anybody || is_service || is_user || asked.arn == root;
      by_account |= is_account;
    }
  }
  return denied       ? Decision::denied
         : by_name    ? Decision::allowed
         : by_account ? Decision::delegated
                      : Decision::none;
}

TEST(PolicyModel, DecidesAsTheRulesSay) {
  const char* asked_for = std::getenv("MILLRACE_POLICIES");
  const int policies = asked_for != nullptr ? std::atoi(asked_for) : 10'000;
  std::array<uint64_t, 4> seen{};
  for (int i = 0; i < policies; ++i) {
    Generator generator(static_cast<uint64_t>(i));
    std::vector<NaiveStatement> statements{generator.statement()};
    while (!generator.one_in(3) && statements.size() < Policy::kConditionsMax)
      statements.push_back(generator.statement());
    const std::string text = generator.document(statements);
    PolicyRefusal refusal;
    const auto policy = Policy::parse(text, PolicyOf::queue, &refusal);
    ASSERT_TRUE(policy) << i << ": " << refusal.text << "\n" << text;
    for (int j = 0; j < 8; ++j) {
      const Asked asked = generator.asked();
      const Principal principal{
          .arn = asked.arn, .account = asked.account, .service = asked.service};
      const RequestContext context{.source_arn = asked.topic,
                                   .source_account = {},
                                   .source_ip = asked.address,
                                   .user_agent = {},
                                   .secure = asked.secure,
                                   .now_s = asked.now_s};
      const std::string resource = Generator::arn_of(asked.queue);
      const std::string action = lower(asked.action);
      const Decision decision = policy->decide({principal, action, resource, context});
      ASSERT_EQ(decision, naive_decide(statements, asked))
          << i << "." << j << ": " << asked.arn << asked.service << ' ' << action << ' ' << resource
          << "\n"
          << text;
      ++seen[static_cast<size_t>(decision)];
    }
  }
  for (const uint64_t count : seen)
    EXPECT_GT(count, 0u);
}

}  // namespace
}  // namespace millrace::net
