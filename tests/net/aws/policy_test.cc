// What policies say: the table of documents that are refused, single statements, and the policies
// that users of the real service have written down.
#include "net/aws/policy.h"

#include <gtest/gtest.h>

#include "net/aws/wildcard.h"

namespace millrace::net {
namespace {

constexpr const char* kQueue = "arn:aws:sqs:us-east-1:123456789012:my-queue";

Principal user_of(std::string_view arn) {
  return {.arn = arn, .account = arn.substr(13, 12), .service = {}};
}
const Principal kTopics{.arn = {}, .account = {}, .service = "sns.amazonaws.com"};

std::string why_refused(std::string_view text, PolicyOf whose = PolicyOf::queue) {
  PolicyRefusal refusal;
  return Policy::parse(text, whose, &refusal) ? "" : refusal.text;
}

Decision decide(std::string_view text, const Principal& principal, std::string_view action,
                const RequestContext& context = {}, std::string_view resource = kQueue) {
  PolicyRefusal refusal;
  const auto policy = Policy::parse(text, PolicyOf::queue, &refusal);
  EXPECT_TRUE(policy) << refusal.text;
  return policy ? policy->decide({principal, action, resource, context}) : Decision::none;
}

// A queue's policy of one statement, with what the row says in the place of an element.
std::string statement(std::string_view rest) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",)" + std::string(rest) + "}]}";
}
std::string with_condition(std::string_view condition) {
  return statement(R"("Principal":"*","Action":"sqs:*","Resource":"*","Condition":)" +
                   std::string(condition));
}

TEST(Wildcard, MatchesRunsAndSingleCharacters) {
  const std::tuple<const char*, const char*, bool> rows[] = {{"", "", true},
                                                             {"", "a", false},
                                                             {"*", "", true},
                                                             {"*", "abc", true},
                                                             {"a*c", "abbc", true},
                                                             {"a*c", "abb", false},
                                                             {"a?c", "abc", true},
                                                             {"a?c", "ac", false},
                                                             {"*a*b*", "xxaxxbxx", true},
                                                             {"a*b", "ab", true},
                                                             {"*ab", "aab", true},
                                                             {"?*", "", false},
                                                             {"**?", "x", true},
                                                             {"a*a*a", "aa", false},
                                                             {"abc", "abcd", false},
                                                             {"*.fifo", "x.fifo.fifo", true}};
  for (const auto& [pattern, text, matches] : rows)
    EXPECT_EQ(matches_wildcard(pattern, text), matches) << pattern << ' ' << text;
}

TEST(Wildcard, ManyStarsAreNoReasonToTryForLong) {
  std::string pattern;
  for (int i = 0; i < 500; ++i)
    pattern += "s*";
  pattern += "x";
  const std::string text(1'000, 's');
  // Trying all ways would not end; the bound is the product of the lengths.
  EXPECT_FALSE(matches_wildcard(pattern, text));
  EXPECT_TRUE(matches_wildcard(pattern, text + "x"));
}

TEST(Policy, WhatIsNotUnderstoodIsRefused) {
  const std::pair<std::string, const char*> rows[] = {
      {"", "it is not JSON"},
      {"{", "it is not JSON"},
      {"[]", "it is not a JSON object"},
      {"{}", "it has no Statement"},
      {R"({"Version":"2012-10-17","Statement":[]})", ""},
      {R"({"Statement":[1]})", "a Statement is not an object"},
      {R"({"Version":"2020-01-01","Statement":[]})", "Version may be 2008-10-17 or 2012-10-17"},
      {R"({"Foo":1,"Statement":[]})", "the element Foo is not known"},
      {R"({"Statement":[],"Statement":[]})", "a name comes twice in one object"},
      {R"({"Statement":{"Effect":"Allow","Effect":"Deny"}})", "a name comes twice in one object"},
      {statement(R"("NotPrincipal":"*","Action":"*","Resource":"*")"),
       "the element NotPrincipal is not known"},
      {statement(R"("Principal":"*","NotAction":"*","Resource":"*")"),
       "the element NotAction is not known"},
      {statement(R"("Principal":"*","Action":"*","NotResource":"*")"),
       "the element NotResource is not known"},
      {statement(R"("Action":"*","Resource":"*")"), "a Statement has no Principal"},
      {statement(R"("Principal":"*","Resource":"*")"), "a Statement has no Action"},
      {statement(R"("Principal":"*","Action":"*")"), "a Statement has no Resource"},
      {R"({"Statement":{"Principal":"*","Action":"*","Resource":"*"}})",
       "a Statement has no Effect"},
      {R"({"Statement":{"Effect":"allow"}})", "Effect may be Allow or Deny"},
      {statement(R"("Principal":"*","Action":[],"Resource":"*")"),
       "Action is neither a text nor a list of texts"},
      {statement(R"("Principal":"*","Action":"sqs:SendMesage","Resource":"*")"),
       "the action sqs:sendmesage is not known"},
      {statement(R"("Principal":"*","Action":"s3:GetObject","Resource":"*")"),
       "the action s3:getobject is not known"},
      {statement(R"("Principal":"*","Action":"SendMessage","Resource":"*")"),
       "the action sendmessage is not known"},
      {statement(R"("Principal":"*","Action":"*","Resource":"my-queue")"),
       "the Resource my-queue is no ARN"},
      {statement(R"("Principal":"*","Action":"*","Resource":"arn:aws:sqs:*:*:${aws:username}")"),
       "policy variables are not known"},
      {statement(R"("Principal":"everybody","Action":"*","Resource":"*")"),
       "Principal is neither * nor an object"},
      {statement(R"("Principal":{"Federated":"x"},"Action":"*","Resource":"*")"),
       "principals of the kind Federated are not known"},
      {statement(R"("Principal":{"AWS":"bob"},"Action":"*","Resource":"*")"),
       "the principal bob is not an account or a user"},
      {statement(
           R"("Principal":{"AWS":"arn:aws:iam::123456789012:user/*"},"Action":"*","Resource":"*")"),
       "the principal arn:aws:iam::123456789012:user/* is not an account or a user"},
      {with_condition(R"({"StringMatches":{"aws:SourceArn":"x"}})"),
       "the condition operator StringMatches is not known"},
      {with_condition(R"({"ForAnyValue:StringEquals":{"aws:SourceArn":"x"}})"),
       "the condition operator ForAnyValue:StringEquals is not known"},
      {with_condition(R"({"StringEquals":{"aws:PrincipalOrgID":"o-1"}})"),
       "the condition key aws:PrincipalOrgID is not known"},
      {with_condition(R"({"IpAddress":{"aws:SourceArn":"10.0.0.0/8"}})"),
       "IpAddress cannot ask for aws:SourceArn"},
      {with_condition(R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}})"),
       "IpAddress of aws:SourceIp: \"10.0.0.0/33\" is not of its kind"},
      {with_condition(R"({"Bool":{"aws:SecureTransport":"yes"}})"),
       "Bool of aws:SecureTransport: \"yes\" is not of its kind"},
      {with_condition(R"({"DateLessThan":{"aws:CurrentTime":"tomorrow"}})"),
       "DateLessThan of aws:CurrentTime: \"tomorrow\" is not of its kind"},
      {with_condition(R"({"ArnEquals":{"aws:SourceArn":"*"}})"),
       "ArnEquals of aws:SourceArn: \"*\" is not of its kind"},
      {with_condition(R"({"StringEquals":{"aws:SourceArn":[]}})"),
       "the condition on aws:SourceArn has no value"},
      {with_condition(R"({"StringEquals":{"aws:SourceArn":[{}]}})"),
       "the condition on aws:SourceArn has no value"},
      {with_condition(R"({"StringLike":{"aws:UserAgent":"${x}"}})"),
       "StringLike of aws:UserAgent: policy variables are not known"},
  };
  for (const auto& [text, why] : rows)
    EXPECT_EQ(why_refused(text), why) << text;
}

TEST(Policy, LimitsAreWhatTheDocumentSays) {
  const auto statements = [](int count) {
    std::string list;
    for (int i = 0; i < count; ++i)
      list += std::string(i > 0 ? "," : "") +
              R"({"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"})";
    return R"({"Statement":[)" + list + "]}";
  };
  EXPECT_EQ(why_refused(statements(20)), "");
  PolicyRefusal refusal;
  EXPECT_FALSE(Policy::parse(statements(21), PolicyOf::queue, &refusal));
  EXPECT_EQ(refusal.reason, PolicyRefusal::Reason::too_many_statements);
  EXPECT_EQ(refusal.statements, 21u);
  EXPECT_EQ(refusal.text, "21 statements were found in the submitted policy, max allowed is 20");

  const auto principals = [](int count) {
    std::string list;
    for (int i = 0; i < count; ++i)
      list += std::string(i > 0 ? "," : "") + "\"123456789012\"";
    return statement(R"("Action":"*","Resource":"*","Principal":{"AWS":[)" + list + "]}");
  };
  EXPECT_EQ(why_refused(principals(50)), "");
  EXPECT_EQ(why_refused(principals(51)), "a policy may name 50 principals");

  std::string conditions;
  for (const char* op :
       {"StringEquals", "StringLike", "StringNotLike", "StringNotEquals", "ArnEquals", "ArnLike",
        "ArnNotLike", "ArnNotEquals", "StringEqualsIgnoreCase", "StringLikeIfExists"}) {
    conditions += std::string(conditions.empty() ? "{\"" : ",\"") + op +
                  R"(":{"aws:SourceArn":"arn:aws:sns:a:b:c"})";
  }
  EXPECT_EQ(why_refused(with_condition(conditions + "}")), "");
  EXPECT_EQ(why_refused(with_condition(conditions + R"(,"Bool":{"aws:SecureTransport":true}})")),
            "a policy may have 10 conditions");

  const std::string small = statements(1);
  EXPECT_EQ(why_refused(small + std::string(Policy::kBytesMax - small.size(), ' ')), "");
  EXPECT_FALSE(Policy::parse(small + std::string(Policy::kBytesMax + 1 - small.size(), ' '),
                             PolicyOf::queue, &refusal));
  EXPECT_EQ(refusal.reason, PolicyRefusal::Reason::too_large);
}

TEST(Policy, DepthIsNoDanger) {
  const std::string deep(10'000, '[');
  EXPECT_EQ(why_refused(deep), "it is not JSON");
  EXPECT_EQ(why_refused(deep + std::string(10'000, ']')), "it is not JSON");
}

TEST(Policy, TheTopicOfTheStatementMaySendAndNoOther) {
  // As terraform writes it for a topic with subscribed queues.
  const char* text = R"({
    "Version": "2012-10-17",
    "Statement": [{
      "Sid": "AllowSNS",
      "Effect": "Allow",
      "Principal": {"Service": "sns.amazonaws.com"},
      "Action": "sqs:SendMessage",
      "Resource": "arn:aws:sqs:us-east-1:123456789012:my-queue",
      "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-east-1:123456789:orders-topic"}}
    }]})";
  const RequestContext from_topic{.source_arn = "arn:aws:sns:us-east-1:123456789:orders-topic",
                                  .source_account = {},
                                  .source_ip = {},
                                  .user_agent = {}};
  const RequestContext from_other{.source_arn = "arn:aws:sns:us-east-1:123456789:other",
                                  .source_account = {},
                                  .source_ip = {},
                                  .user_agent = {}};
  EXPECT_EQ(decide(text, kTopics, "sqs:sendmessage", from_topic), Decision::allowed);
  EXPECT_EQ(decide(text, kTopics, "sqs:sendmessage", from_other), Decision::none);
  EXPECT_EQ(decide(text, kTopics, "sqs:sendmessage"), Decision::none);
  EXPECT_EQ(decide(text, kTopics, "sqs:receivemessage", from_topic), Decision::none);
  EXPECT_EQ(
      decide(text, user_of("arn:aws:iam::123456789012:user/u"), "sqs:sendmessage", from_topic),
      Decision::none);
}

TEST(Policy, TheOtherAccountOfTheStatementMaySendAndReceive) {
  const char* text = R"({
"Version": "2012-10-17",
"Statement": [
{
"Sid": "AllowCrossAccountAccess",
"Effect": "Allow",
"Principal": {
"AWS": "arn:aws:iam::987654321098:root"
},
"Action": [
"sqs:SendMessage",
"sqs:ReceiveMessage"
],
"Resource": "arn:aws:sqs:us-east-1:123456789012:my-queue"
}
]
})";
  const Principal root = user_of("arn:aws:iam::987654321098:root");
  const Principal user = user_of("arn:aws:iam::987654321098:user/worker");
  EXPECT_EQ(decide(text, root, "sqs:sendmessage"), Decision::allowed);
  EXPECT_EQ(decide(text, user, "sqs:receivemessage"), Decision::delegated);
  EXPECT_EQ(decide(text, root, "sqs:deletemessage"), Decision::none);
  EXPECT_EQ(decide(text, root, "sqs:sendmessage", {}, "arn:aws:sqs:us-east-1:123456789012:other"),
            Decision::none);
  EXPECT_EQ(decide(text, user_of("arn:aws:iam::111111111111:root"), "sqs:sendmessage"),
            Decision::none);
}

TEST(Policy, TheUsersPolicyOfTheStatementIsTaken) {
  PolicyRefusal refusal;
  const auto policy = Policy::parse(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",
      "Action":["sqs:SendMessage","sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes",
      "sqs:GetQueueUrl"],"Resource":"arn:aws:sqs:us-east-1:123456789012:my-queue"}]})",
                                    PolicyOf::user, &refusal);
  ASSERT_TRUE(policy) << refusal.text;
  const Principal user = user_of("arn:aws:iam::123456789012:user/u");
  EXPECT_EQ(policy->decide({user, "sqs:getqueueurl", kQueue, {}}), Decision::allowed);
  EXPECT_EQ(policy->decide({user, "sqs:purgequeue", kQueue, {}}), Decision::none);
  EXPECT_EQ(why_refused(R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*",
                        "Principal":"*"}})",
                        PolicyOf::user),
            "the element Principal is not known");
}

TEST(Policy, DenyWinsWhereverItStands) {
  const std::string allow = R"({"Effect":"Allow","Principal":"*","Action":"SQS:*","Resource":"*"})";
  const std::string deny =
      R"({"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"sqs:Send*","Resource":"*"})";
  const Principal user = user_of("arn:aws:iam::123456789012:user/u");
  for (const std::string& list : {allow + "," + deny, deny + "," + allow}) {
    const std::string text = R"({"Statement":[)" + list + "]}";
    EXPECT_EQ(decide(text, user, "sqs:sendmessage"), Decision::denied);
    EXPECT_EQ(decide(text, user, "sqs:receivemessage"), Decision::allowed);
    EXPECT_EQ(decide(text, kTopics, "sqs:sendmessage"), Decision::allowed);
  }
}

TEST(Policy, SaysWhenItIsOpenToAll) {
  const auto open = [](const std::string& text) {
    PolicyRefusal refusal;
    return Policy::parse(text, PolicyOf::queue, &refusal)->open_to_all();
  };
  EXPECT_TRUE(open(statement(R"("Principal":{"AWS":"*"},"Action":"*","Resource":"*")")));
  EXPECT_FALSE(
      open(statement(R"("Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*")")));
  EXPECT_FALSE(open(with_condition(R"({"Bool":{"aws:SecureTransport":"true"}})")));
}

TEST(Policy, ConditionsFollowTheTable) {
  const RequestContext context{.source_arn = "arn:aws:sns:us-east-1:123456789012:orders",
                               .source_account = "123456789012",
                               .source_ip = "10.1.2.3",
                               .user_agent = "aws-cli/2.1",
                               .secure = true,
                               .now_s = 1735787045};
  const std::pair<const char*, bool> rows[] = {
      {R"({"StringEquals":{"aws:SourceAccount":"123456789012"}})", true},
      {R"({"StringEquals":{"aws:SourceAccount":["1","123456789012"]}})", true},
      {R"({"StringEquals":{"AWS:sourceaccount":"123456789012"}})", true},
      {R"({"StringEquals":{"aws:UserAgent":"AWS-CLI/2.1"}})", false},
      {R"({"StringEqualsIgnoreCase":{"aws:UserAgent":"AWS-CLI/2.1"}})", true},
      {R"({"StringNotEquals":{"aws:UserAgent":["x","aws-cli/2.1"]}})", false},
      {R"({"StringNotEquals":{"aws:UserAgent":["x","y"]}})", true},
      {R"({"StringLike":{"aws:UserAgent":"aws-*/?.?"}})", true},
      {R"({"StringNotLike":{"aws:UserAgent":"aws-*"}})", false},
      {R"({"StringLike":{"aws:SourceArn":"arn:aws:sns:*"}})", true},
      {R"({"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:123456789012:ord*"}})", true},
      {R"({"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:*:orders"}})", true},
      {R"({"ArnLike":{"aws:SourceArn":"arn:*:*:*:*:other"}})", false},
      {R"({"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}})", false},
      {R"({"Bool":{"aws:SecureTransport":"true"}})", true},
      {R"({"Bool":{"aws:SecureTransport":false}})", false},
      {R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})", true},
      {R"({"IpAddress":{"aws:SourceIp":["192.0.2.1","10.1.2.0/30"]}})", true},
      {R"({"IpAddress":{"aws:SourceIp":"10.1.2.0/31"}})", false},
      {R"({"IpAddress":{"aws:SourceIp":"::ffff:10.1.2.3"}})", true},
      {R"({"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}})", true},
      {R"({"IpAddress":{"aws:SourceIp":"2001:db8::/32"}})", false},
      {R"({"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}})", false},
      {R"({"DateLessThan":{"aws:CurrentTime":"2025-01-02T03:04:06Z"}})", true},
      {R"({"DateLessThan":{"aws:CurrentTime":"2025-01-02T03:04:05Z"}})", false},
      {R"({"DateLessThanEquals":{"aws:CurrentTime":"2025-01-02T03:04:05Z"}})", true},
      {R"({"DateGreaterThan":{"aws:CurrentTime":"2025-01-02"}})", true},
      {R"({"DateGreaterThanEquals":{"aws:EpochTime":"1735787045"}})", true},
      {R"({"NumericEquals":{"aws:EpochTime":1735787045}})", true},
      {R"({"NumericGreaterThan":{"aws:EpochTime":"1735787045"}})", false},
      {R"({"Null":{"aws:SourceArn":"true"}})", false},
      {R"({"Null":{"aws:SourceArn":"false"}})", true},
      {R"({"Bool":{"aws:SecureTransport":true},"StringEquals":{"aws:SourceAccount":"1"}})", false},
      {R"({"StringEquals":{"aws:SourceAccount":"123456789012","aws:UserAgent":"x"}})", false},
  };
  const Principal user = user_of("arn:aws:iam::123456789012:user/u");
  for (const auto& [condition, holds] : rows) {
    EXPECT_EQ(decide(with_condition(condition), user, "sqs:sendmessage", context),
              holds ? Decision::allowed : Decision::none)
        << condition;
  }
}

TEST(Policy, AConditionOnWhatTheRequestHasNotFails) {
  const std::pair<const char*, bool> rows[] = {
      {R"({"StringEquals":{"aws:SourceAccount":"x"}})", false},
      {R"({"StringEqualsIfExists":{"aws:SourceAccount":"x"}})", true},
      {R"({"StringNotEquals":{"aws:SourceAccount":"x"}})", true},
      {R"({"ArnLike":{"aws:SourceArn":"arn:*:*:*:*:*"}})", false},
      {R"({"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}})", false},
      {R"({"NotIpAddress":{"aws:SourceIp":"0.0.0.0/0"}})", true},
      {R"({"Null":{"aws:SourceArn":"true"}})", true},
      {R"({"Bool":{"aws:SecureTransport":"false"}})", true},
  };
  for (const auto& [condition, holds] : rows) {
    EXPECT_EQ(decide(with_condition(condition), kTopics, "sqs:sendmessage"),
              holds ? Decision::allowed : Decision::none)
        << condition;
  }
}

TEST(Policy, AddressesOfEitherFamilyAreCompared) {
  const std::tuple<const char*, const char*, bool> rows[] = {
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::1", "::1", true},
      {"127.0.0.0/8", "::ffff:127.0.0.1", true},
      {"::/0", "10.0.0.1", true},
      {"10.0.0.0/8", "not an address", false},
  };
  for (const auto& [block, address, inside] : rows) {
    const std::string text =
        with_condition(R"({"IpAddress":{"aws:SourceIp":")" + std::string(block) + "\"}}");
    EXPECT_EQ(
        decide(text, kTopics, "sqs:sendmessage",
               {.source_arn = {}, .source_account = {}, .source_ip = address, .user_agent = {}}),
        inside ? Decision::allowed : Decision::none)
        << block << ' ' << address;
  }
}

}  // namespace
}  // namespace millrace::net
