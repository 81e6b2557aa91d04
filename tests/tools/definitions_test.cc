// Definitions of queues: what a file says, and what is done so that it is so.
#include "tools/common/definitions.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/queue_attributes.h"
#include "tools/common/definition_run.h"

namespace millrace::tools {
namespace {

using Kind = DefinitionOutcome::Kind;

std::vector<QueueDefinition> parse(const std::string& text) {
  std::vector<QueueDefinition> queues;
  std::string why;
  EXPECT_TRUE(parse_definitions(text, "f.toml", queues, &why)) << why;
  return queues;
}

// A broker's queues in memory, which refuses what a broker would.
class FakeAdmin final : public QueueAdmin {
 public:
  bool list(std::map<std::string, QueueAttributes>& to, std::string*) override {
    to = queues;
    return true;
  }
  bool create(const std::string& name, const QueueSettings& settings, std::string* why) override {
    calls.push_back("create " + name);
    return put(name, {}, settings, true, why);
  }
  bool set(const std::string& name, const QueueSettings& settings, std::string* why) override {
    calls.push_back("set " + name);
    return put(name, queues.at(name), settings, false, why);
  }

  std::map<std::string, QueueAttributes> queues;
  std::vector<std::string> calls;
  size_t calls_max = 1000;

 private:
  bool put(const std::string& name, QueueAttributes attributes, const QueueSettings& settings,
           bool creates, std::string* why) {
    if (calls.size() > calls_max) {
      *why = "the disk is full";
      return false;
    }
    if (!engine::apply_settings(settings, creates, &attributes, why)) return false;
    const std::string& target = attributes.dead_letter_queue;
    if (!target.empty() && target != name && !queues.contains(target)) {
      *why = "there is no such queue";
      return false;
    }
    queues[name] = attributes;
    return true;
  }
};

class DefinitionRun : public testing::Test {
 protected:
  RunEnd run(const std::string& text, bool dry_run = false) {
    const auto definitions = parse(text);
    outcomes_.clear();
    why_.clear();
    admin_.calls.clear();
    return run_definitions(definitions, admin_, dry_run, outcomes_, &why_);
  }

  FakeAdmin admin_;
  std::vector<DefinitionOutcome> outcomes_;
  std::string why_;
};

constexpr const char* kRing = R"(
[[queue]]
name = "a"
dead_letter_queue = "b"
max_receives = 3
[[queue]]
name = "b"
dead_letter_queue = "a"
max_receives = 4
attributes = { VisibilityTimeout = 5 }
)";

TEST_F(DefinitionRun, MakesQueuesThatNameEachOther) {
  ASSERT_EQ(run(kRing), RunEnd::done) << why_;
  EXPECT_EQ(admin_.calls, (std::vector<std::string>{"create a", "create b", "set a", "set b"}));
  EXPECT_EQ(admin_.queues["b"].dead_letter_queue, "a");
  EXPECT_EQ(admin_.queues["b"].visibility_timeout_ms, 5'000u);
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 2 created, 0 changed, 0 as before");
}

TEST_F(DefinitionRun, TheSameFileAgainChangesNothing) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  ASSERT_EQ(run(kRing), RunEnd::done);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 0 created, 0 changed, 2 as before");
}

TEST_F(DefinitionRun, ADryRunDoesNothing) {
  ASSERT_EQ(run(kRing, true), RunEnd::done);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 2 created, 0 changed, 0 as before");
}

TEST_F(DefinitionRun, SaysWhatChangesAndSetsNothingElse) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  admin_.queues["b"].retention_ms = 60'000;
  ASSERT_EQ(run("[[queue]]\nname = \"b\"\nattributes = { VisibilityTimeout = 6 }\n"
                "tags = { t = \"x\" }\n"),
            RunEnd::done);
  EXPECT_EQ(admin_.calls, std::vector<std::string>{"set b"});
  EXPECT_EQ(outcomes_.front().kind, Kind::changed);
  EXPECT_EQ(outcomes_.front().changes,
            (std::vector<std::string>{"VisibilityTimeout 5 -> 6", "tag t -> x"}));
  EXPECT_EQ(admin_.queues["b"].retention_ms, 60'000u);
  EXPECT_EQ(admin_.queues["b"].dead_letter_queue, "a");
}

TEST_F(DefinitionRun, ARedrivePolicyCanBeTakenAway) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  ASSERT_EQ(run("[[queue]]\nname = \"a\"\nattributes = { RedrivePolicy = \"\" }\n"), RunEnd::done);
  EXPECT_EQ(admin_.queues["a"].dead_letter_queue, "");
}

TEST_F(DefinitionRun, GoesOnWhereARefusalStoppedIt) {
  admin_.calls_max = 2;
  ASSERT_EQ(run(kRing), RunEnd::refused);
  EXPECT_EQ(why_, "f.toml:2: queue 'a': the disk is full");
  admin_.calls_max = 1000;
  ASSERT_EQ(run(kRing), RunEnd::done);
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 0 created, 2 changed, 0 as before");
  EXPECT_EQ(admin_.queues["a"].dead_letter_queue, "b");
}

TEST_F(DefinitionRun, AConflictComesBeforeAnythingIsDone) {
  ASSERT_EQ(run("[[queue]]\nname = \"x.fifo\"\n"), RunEnd::done);
  EXPECT_EQ(run("[[queue]]\nname = \"new\"\n[[queue]]\nname = \"x.fifo\"\n"
                "attributes = { Partitions = 2 }\n"),
            RunEnd::conflict);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_TRUE(why_.starts_with("f.toml:3: queue 'x.fifo': Partitions is ")) << why_;
}

TEST(DefinitionText, IsReadAsWhatItWasMadeOf) {
  QueueAttributes made;
  std::string detail;
  ASSERT_TRUE(engine::apply_settings(
      {.attributes = {{"FifoQueue", "true"},
                      {"DelaySeconds", "0.25"},
                      {"RedrivePolicy",
                       R"({"deadLetterTargetArn":"failed.fifo","maxReceiveCount":7})"},
                      {"Policy", "{\"Statement\": \"quotes \\\" and \\\\\\n\"}"},
                      {"KmsMasterKeyId", "12345678901234567890123"}},
       .tags = {{"cost center", "007"}, {"a.b", "true"}},
       .untagged = {}},
      true, &made, &detail))
      << detail;
  const auto read = parse(definition_text("x.fifo", engine::attribute_texts(made), made.tags) +
                          "\n" + definition_text("plain", engine::attribute_texts({}), {}));
  ASSERT_EQ(read.size(), 2u);
  QueueAttributes again;
  ASSERT_TRUE(engine::apply_settings(read[0].settings, true, &again, &detail)) << detail;
  EXPECT_TRUE(again == made);
  QueueAttributes plain;
  ASSERT_TRUE(engine::apply_settings(read[1].settings, true, &plain, &detail)) << detail;
  EXPECT_TRUE(plain == QueueAttributes{});
}

}  // namespace
}  // namespace millrace::tools
