// millrace topic test-filter as its users meet it. It needs no broker.
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "tests/tools/process.h"

namespace millrace::tools {
namespace {

struct Asked {
  std::vector<std::string> words;  // after test-filter
  int code;
  std::string out;
  std::string err;  // without "millrace: "
};

void expect_answer(const Asked& asked, std::vector<std::string> before = {}) {
  std::vector<std::string> words{MILLRACE_PATH};
  words.insert(words.end(), before.begin(), before.end());
  words.insert(words.end(), {"topic", "test-filter"});
  words.insert(words.end(), asked.words.begin(), asked.words.end());
  Process process(words);
  EXPECT_EQ(process.finish(), asked.code) << asked.words[0];
  EXPECT_EQ(process.out, asked.out) << asked.words[0];
  EXPECT_EQ(process.err, asked.err.empty() ? "" : "millrace: " + asked.err + "\n")
      << asked.words[0];
}

const std::string kPolicy = R"({"store": ["a", "b"], "price": [{"numeric": [">", 5, "<=", 9]}]})";
const std::string kNoMatch = "the message does not match";

TEST(TestFilter, SaysWhetherAttributesMatchAndWhichKeysRefuse) {
  const std::string of_price = ", wanted {\"numeric\":[\">\",5,\"<=\",9]}\n";
  expect_answer(
      {{kPolicy, R"({"store": "a", "price": 9})"},
       0,
       "matches\n\"store\" is \"a\", wanted one of \"a\", \"b\"\n\"price\" is 9" + of_price,
       ""});
  expect_answer({{"{}", "{}"}, 0, "matches\n", ""});
  expect_answer(
      {{kPolicy, R"({"store": {"DataType": "String", "StringValue": "b"},
                               "price": {"DataType": "Number", "StringValue": "9.0"}})"},
       0,
       "matches\n\"store\" is \"b\", wanted one of \"a\", \"b\"\n\"price\" is 9" + of_price,
       ""});
  expect_answer({{kPolicy, R"({"store": "c", "price": 9.5})"},
                 1,
                 "\"store\" is \"c\", wanted one of \"a\", \"b\"\n"
                 "\"price\" is 9.5, wanted {\"numeric\":[\">\",5,\"<=\",9]}\n",
                 kNoMatch});
  expect_answer({{kPolicy, R"({"store": ["x", "b"]})"},
                 1,
                 "\"price\" is absent, wanted {\"numeric\":[\">\",5,\"<=\",9]}\n",
                 kNoMatch});
  expect_answer({{R"({"a": [{"anything-but": "x"}]})",
                  R"({"a": {"DataType": "Binary", "BinaryValue": "eA=="}})"},
                 1,
                 "\"a\" has no value to compare, wanted {\"anything-but\":\"x\"}\n",
                 kNoMatch});
  expect_answer({{kPolicy, "{}"}, 1, "", kNoMatch + ": it has no attributes"});
}

TEST(TestFilter, SaysWhetherABodyMatchesAndWhichBranchesRefuse) {
  const std::string policy = R"({"$or": [{"o": {"x": [{"prefix": "q"}]}},
                                         {"y": [true, {"cidr": "10.0.0.0/8"}]}]})";
  expect_answer({{"--scope", "MessageBody", policy, R"({"y": "10.1.1.1"})"},
                 0,
                 "matches\nbranch 2: \"y\" is \"10.1.1.1\", wanted one of true, "
                 "{\"cidr\":\"10.0.0.0/8\"}\n",
                 ""});
  expect_answer({{R"({"a": ["x"]})", R"({"a": "x"})"},
                 0,
                 R"({"matches":true,"accepted":[{"branch":1,"key":"a","present":true,)"
                 R"("values":["x"],"conditions":["x"]}]})"
                 "\n",
                 ""},
                {"--json"});
  expect_answer({{"--scope", "MessageBody", policy, R"({"o": [{"x": "p"}, {"x": null}]})"},
                 1,
                 "branch 1: \"o.x\" is \"p\", null, wanted {\"prefix\":\"q\"}\n"
                 "branch 2: \"y\" is absent, wanted one of true, {\"cidr\":\"10.0.0.0/8\"}\n",
                 kNoMatch});
  expect_answer({{"--scope", "MessageBody", policy, "[1]"},
                 1,
                 "",
                 kNoMatch + ": its body is no JSON object"});
  expect_answer({{R"({"a": ["x"]})", R"({"a": "y"})"},
                 1,
                 R"({"matches":false,"refused":[{"branch":1,"key":"a","present":true,)"
                 R"("values":["y"],"conditions":["x"]}]})"
                 "\n",
                 kNoMatch},
                {"--json"});
}

TEST(TestFilter, TakesFilesAndSaysWhatIsWrongWithThem) {
  TemporaryDirectory directory;
  const std::string file = directory.path() + "/policy.json";
  std::ofstream(file) << kPolicy << '\n';
  expect_answer({{file, R"({"store": "a", "price": 6})"},
                 0,
                 "matches\n\"store\" is \"a\", wanted one of \"a\", \"b\"\n"
                 "\"price\" is 6, wanted {\"numeric\":[\">\",5,\"<=\",9]}\n",
                 ""});
  const std::string missing = directory.path() + "/none";
  expect_answer({{file, missing}, 1, "", "'" + missing + "': No such file or directory"});
  expect_answer({{R"({"a": []})", "{}"}, 1, "", "FilterPolicy: Empty arrays are not allowed"});
  expect_answer({{R"({"a": [{"wildcard": "*"}]})", R"({"a": "x"})"},
                 1,
                 "",
                 "FilterPolicy: Unrecognized match type wildcard"});
  expect_answer({{"--extensions", R"({"a": [{"wildcard": "*"}]})", R"({"a": "x"})"},
                 0,
                 "matches\n\"a\" is \"x\", wanted {\"wildcard\":\"*\"}\n",
                 ""});
  expect_answer({{R"({"a": ["x"]})", R"({"a": null})"},
                 1,
                 "",
                 "attribute 'a': not a text, a number, a list, or an object with DataType and "
                 "StringValue"});
  expect_answer({{R"({"a": ["x"]})", "[1]"},
                 1,
                 "",
                 "the message: not a JSON object of attributes; --scope MessageBody takes a body"});
}

}  // namespace
}  // namespace millrace::tools
