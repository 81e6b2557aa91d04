// TagResource, UntagResource, ListTagsForResource.
#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

using TagsTest = SnsTest;

TEST_F(TagsTest, AreSetReadAndTakenAway) {
  const std::string arn = make("orders");
  const SnsAnswer none = well("ListTagsForResource", {{"ResourceArn", arn}});
  EXPECT_TRUE(none.find("Tags"));
  EXPECT_FALSE(none.find("member"));
  const SnsAnswer tagged = well("TagResource", {{"ResourceArn", arn},
                                                {"Tags.member.1.Key", "env"},
                                                {"Tags.member.1.Value", "prod"},
                                                {"Tags.member.2.Key", "team"},
                                                {"Tags.member.2.Value", ""}});
  EXPECT_TRUE(tagged.find("TagResourceResult"));
  const SnsAnswer all = well("ListTagsForResource", {{"ResourceArn", arn}});
  EXPECT_NE(all.text.find("<Tags><member><Value>prod</Value><Key>env</Key></member>"
                          "<member><Value></Value><Key>team</Key></member></Tags>"),
            std::string::npos)
      << all.text;
  EXPECT_TRUE(
      well("UntagResource",
           {{"ResourceArn", arn}, {"TagKeys.member.1", "env"}, {"TagKeys.member.2", "never"}})
          .find("UntagResourceResult"));
  EXPECT_EQ(well("ListTagsForResource", {{"ResourceArn", arn}}).values("Key"),
            std::vector<std::string>{"team"});
}

TEST_F(TagsTest, HaveBounds) {
  const std::string arn = make("orders");
  Form many{{"ResourceArn", arn}};
  for (int i = 1; i <= 50; ++i) {
    many.emplace_back("Tags.member." + std::to_string(i) + ".Key", "k" + std::to_string(i));
    many.emplace_back("Tags.member." + std::to_string(i) + ".Value", "v");
  }
  well("TagResource", many);
  // What is there already counts once.
  well("TagResource", many);
  EXPECT_EQ(refused("TagResource", {{"ResourceArn", arn},
                                    {"Tags.member.1.Key", "one-more"},
                                    {"Tags.member.1.Value", "v"}}),
            "TagLimitExceeded: Could not complete request: tag quota of per resource exceeded");
  EXPECT_EQ(refused("TagResource", {{"ResourceArn", arn},
                                    {"Tags.member.1.Key", "k1"},
                                    {"Tags.member.1.Value", "v"},
                                    {"Tags.member.2.Key", "k1"},
                                    {"Tags.member.2.Value", "w"}}),
            "InvalidParameter: Invalid parameter: Duplicated keys are not allowed.");
  EXPECT_EQ(refused("TagResource", {{"ResourceArn", make("others")},
                                    {"Tags.member.1.Key", "aws:x"},
                                    {"Tags.member.1.Value", "v"}})
                .substr(0, 36),
            "InvalidParameter: Invalid parameter:");
  EXPECT_EQ(refused("TagResource", {{"ResourceArn", arn}}),
            "ValidationError: 1 validation error detected: Value null at 'tags' failed to satisfy "
            "constraint: Member must not be null");
}

TEST_F(TagsTest, AreOfATopicThatIsThere) {
  const std::string arn(kOrders);
  const std::string kGone = "ResourceNotFound: Resource does not exist";
  EXPECT_EQ(refused("ListTagsForResource", {{"ResourceArn", arn}}, 404), kGone);
  EXPECT_EQ(refused("UntagResource", {{"ResourceArn", arn}, {"TagKeys.member.1", "a"}}, 404),
            kGone);
  EXPECT_EQ(
      refused("TagResource",
              {{"ResourceArn", arn}, {"Tags.member.1.Key", "a"}, {"Tags.member.1.Value", "b"}},
              404),
      kGone);
}

}  // namespace
}  // namespace millrace::net::sns
