// The credentials file: what it gives, and what is said of one that cannot be used.
#include "net/aws/credentials.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/net/aws/signed_request.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net {
namespace {

std::string why_not(std::string text) {
  std::string why;
  return Credentials::parse(text, "keys.toml", "000000000000", &why) != nullptr ? "" : why;
}

constexpr const char* kExample = R"(
mode = "strict"

[[user]]
name = "orders"
  [[user.rule]]
  allow = ["SendMessage", "GetQueueUrl"]
  queues = ["orders", "orders-*"]
  [[user.rule]]
  deny = ["sqs:Purge*"]

[[user]]
name = "audit"
account = "111111111111"
policy = '''{"Statement": {"Effect": "Allow", "Action": "sqs:Get*", "Resource": "*"}}'''

[[key]]
id = "AKIAORDERS1"
secret = "0123456789abcdef-1"
user = "orders"
[[key]]
id = "AKIAORDERS2"
secret = "0123456789abcdef-2"
user = "orders"
[[key]]
id = "AKIAORDERS0"
secret = "0123456789abcdef-0"
user = "orders"
enabled = false
[[key]]
id = "AKIAAUDIT"
secret = "0123456789abcdef-3"
token = "session"
user = "audit"
account = "111111111111"
[[key]]
id = "AKIAROOT"
secret = "0123456789abcdef-4"
)";

Decision may(const User& user, std::string_view action, std::string_view queue) {
  const Principal principal{.arn = user.arn, .account = user.account, .service = {}};
  Decision best = Decision::none;
  for (const Policy& policy : user.policies)
    best = std::max(best, policy.decide({principal, action, queue, {}}));
  return best;
}

TEST(Credentials, GivesKeysUsersAndRules) {
  const auto credentials = test::credentials_of(kExample);
  ASSERT_NE(credentials, nullptr);
  EXPECT_EQ(credentials->mode(), AuthMode::strict);
  EXPECT_EQ(credentials->key_count(), 4u);
  EXPECT_EQ(credentials->find("AKIAORDERS0"), nullptr);
  EXPECT_EQ(credentials->find(""), nullptr);

  const AccessKey* orders = credentials->find("AKIAORDERS1");
  ASSERT_NE(orders, nullptr);
  EXPECT_EQ(orders->secret, "0123456789abcdef-1");
  EXPECT_EQ(orders->token, "");
  EXPECT_EQ(orders->user->arn, "arn:aws:iam::000000000000:user/orders");
  EXPECT_EQ(credentials->find("AKIAORDERS2")->user, orders->user);
  const User& user = *orders->user;
  EXPECT_EQ(may(user, "sqs:sendmessage", "arn:aws:sqs:eu-west-1:000000000000:orders-eu"),
            Decision::allowed);
  EXPECT_EQ(may(user, "sqs:sendmessage", "arn:aws:sqs:eu-west-1:000000000000:other"),
            Decision::none);
  EXPECT_EQ(may(user, "sqs:sendmessage", "arn:aws:sqs:eu-west-1:111111111111:orders"),
            Decision::none);
  EXPECT_EQ(may(user, "sqs:purgequeue", "arn:aws:sqs:eu-west-1:111111111111:x"), Decision::denied);

  const AccessKey* audit = credentials->find("AKIAAUDIT");
  ASSERT_NE(audit, nullptr);
  EXPECT_EQ(audit->token, "session");
  EXPECT_EQ(audit->user->arn, "arn:aws:iam::111111111111:user/audit");
  EXPECT_TRUE(credentials->find("AKIAROOT")->user->is_account());
  EXPECT_EQ(credentials->find("AKIAROOT")->user->arn, "arn:aws:iam::000000000000:root");
}

TEST(Credentials, WipesTheTextThatItReads) {
  std::string text = kExample;
  std::string why;
  ASSERT_NE(Credentials::parse(text, "f", "000000000000", &why), nullptr);
  EXPECT_EQ(text.find_first_not_of('\0'), std::string::npos);
}

TEST(Credentials, AMistakeIsOneLineThatNamesIts) {
  const std::string key = "[[key]]\nid = 'AKIA1'\nsecret = '0123456789abcdef'\n";
  const std::pair<std::string, const char*> rows[] = {
      {"mode = ", "keys.toml:1: "},
      {"[%]", "keys.toml:1: "},
      {"mode = f\n\n[[user]]", "keys.toml:1: "},
      {"mode = 'lax'", "keys.toml:1: mode must be off, relaxed or strict"},
      {"\nregion = 'x'", "keys.toml:2: unknown key \"region\""},
      {"key = 1", "keys.toml:1: key must be written as [[key]]"},
      {"[key]\nid = 'x'", "keys.toml:1: key must be written as [[key]]"},
      {"[[key]]\nsecret = 'x'", "keys.toml:1: a key must have an id"},
      {"[[key]]\nid = 'AKIA1'", "keys.toml:1: the key AKIA1 has no secret"},
      {"[[key]]\nid = 'a b'", "keys.toml:2: id must be 3 to 128 of letters, digits, _ and -"},
      {"[[key]]\nid = 'AKIA1'\nsecret = 5", "keys.toml:3: secret must be a text"},
      {"[[key]]\nid = 'AKIA1'\nsecret = 'short'",
       "keys.toml:1: the secret of AKIA1 is shorter than 16 characters"},
      {"[[key]]\nname = 'x'", "keys.toml:2: a key has no \"name\""},
      {key + "user = 'bob'", "keys.toml:1: there is no user bob in the account 000000000000"},
      {key + "account = '12'",
       "keys.toml:4: account must be the 12 digits of an account, as a text"},
      {key + "enabled = 'yes'", "keys.toml:4: enabled must be true or false"},
      {key + key, "keys.toml:4: the key AKIA1 comes twice"},
      {key + "[[key]]\nid='AKIA2'\nsecret='0123456789abcdef'\n[[key]]\nid='AKIA3'\n"
             "secret='0123456789abcdef'",
       "keys.toml:7: arn:aws:iam::000000000000:root has more than 2 keys that are enabled"},
      {"[[user]]\naccount = '000000000000'", "keys.toml:1: a user must have a name"},
      {"[[user]]\nname = 'a/b'",
       "keys.toml:2: name must be 1 to 64 of letters, digits and _+=,.@-"},
      {"[[user]]\nname = 'a'\n[[user]]\nname = 'a'", "keys.toml:3: the user a comes twice"},
      {"[[user]]\nname = 'a'\npolicies = []", "keys.toml:3: a user has no \"policies\""},
      {"[[user]]\nname = 'a'\npolicy = '{}'", "keys.toml:3: a policy of a: it has no Statement"},
      {"[[user]]\nname = 'a'\npolicy = 3",
       "keys.toml:3: policy must be a policy document in JSON, or a list of them"},
      {"[[user]]\nname = 'a'\n[[user.rule]]\nqueues = ['x']",
       "keys.toml:3: a rule must have allow or deny"},
      {"[[user]]\nname = 'a'\n[[user.rule]]\nallow = ['*']\ndeny = ['*']",
       "keys.toml:5: a rule has either allow or deny"},
      {"[[user]]\nname = 'a'\n[[user.rule]]\nallow = '*'",
       "keys.toml:4: allow must be a list of names of actions"},
      {"[[user]]\nname = 'a'\n[[user.rule]]\nallow = ['Send\"x']",
       "keys.toml:4: allow must be a list of names of actions"},
      {"[[user]]\nname = 'a'\n[[user.rule]]\nallow = ['SendMesage']",
       "keys.toml:3: a policy of a: the action sqs:sendmesage is not known"},
  };
  for (const auto& [text, why] : rows) {
    const std::string said = why_not(text);
    EXPECT_EQ(said.substr(0, std::string(why).size()), why) << text;
    EXPECT_EQ(said.find('\n'), std::string::npos);
    EXPECT_EQ(said.find("0123456789abcdef"), std::string::npos);
  }
}

TEST(Credentials, TheExampleOfTheDocumentIsTaken) {
  std::ifstream page(MILLRACE_SOURCE_DIR "/docs/security.md");
  const std::string text((std::istreambuf_iterator<char>(page)), std::istreambuf_iterator<char>());
  const std::string fence = "```toml\n";
  const size_t begin = text.find(fence) + fence.size();
  const auto credentials =
      test::credentials_of(text.substr(begin, text.find("```", begin) - begin));
  ASSERT_NE(credentials, nullptr);
  EXPECT_EQ(credentials->key_count(), 2u);
  EXPECT_EQ(credentials->find("AKIAORDERS2026A")->user->policies.size(), 2u);
  EXPECT_TRUE(credentials->find("AKIAADMIN")->user->is_account());
}

TEST(Credentials, ShortSecretsAreForRelaxedServersOnly) {
  EXPECT_EQ(why_not("mode = 'relaxed'\n[[key]]\nid = 'test'\nsecret = 'test'"), "");
}

class CredentialsFile : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::chmod(path_.c_str(), 0600), 0); }
  std::string why_not() {
    std::string why;
    return Credentials::load(path_, "000000000000", &why) != nullptr ? "" : why;
  }
  TemporaryDirectory directory_;
  const std::string path_ = directory_.write("keys.toml", kExample);
};

TEST_F(CredentialsFile, IsForItsOwnerOnly) {
  EXPECT_EQ(why_not(), "");
  for (const mode_t mode : {0640u, 0604u, 0620u, 0601u, 0644u}) {
    ::chmod(path_.c_str(), mode);
    const std::string octal = {'0', static_cast<char>('0' + mode / 64),
                               static_cast<char>('0' + mode / 8 % 8),
                               static_cast<char>('0' + mode % 8)};
    EXPECT_EQ(why_not(),
              path_ + ": others may read or change it (mode " + octal + "); chmod 600 it");
  }
  ::chmod(path_.c_str(), 0400);
  EXPECT_EQ(why_not(), "");
}

TEST_F(CredentialsFile, MustBeAFile) {
  ::unlink(path_.c_str());
  EXPECT_EQ(why_not(), path_ + ": No such file or directory");
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(why_not(), path_ + ": it is not a file");
}

}  // namespace
}  // namespace millrace::net
