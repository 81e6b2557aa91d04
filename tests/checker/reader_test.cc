#include "tests/checker/reader.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/checker/check_run.h"
#include "tests/support/temporary_directory.h"

namespace millrace::checker {
namespace {

constexpr std::string_view kSendBegun =
    R"({"t":10,"p":"c1","i":1,"ev":"inv","op":"send","q":"q","k":"a","h":"1"})"
    "\n";
constexpr std::string_view kReceiveBegun =
    R"({"t":20,"p":"c1","i":2,"ev":"inv","op":"recv","q":"q"})"
    "\n";

struct ReadResult {
  bool usable = false;
  InputError error;
  CheckRun run;
};

ReadResult read(const std::string& text) {
  const TemporaryDirectory folder;
  ReadResult outcome;
  outcome.usable = check({folder.write("h.jsonl", text)}, Limits{}, outcome.run, outcome.error);
  return outcome;
}

TEST(Reader, WhatBreaksTheFormatIsNamedWithItsLine) {
  const std::string send(kSendBegun);
  const std::string receive(kReceiveBegun);
  const std::pair<std::string, std::pair<uint64_t, std::string_view>> rows[] = {
      {"nonsense\n", {1, "not a JSON object"}},
      {"\n", {1, "not a JSON object"}},
      {"[1]\n", {1, "not a JSON object"}},
      {send + "{\"t\":11,\n", {2, "not a JSON object"}},
      {send + "{} {}\n", {2, "not a JSON object"}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"purge","q":"q","zz":1})"
       "\n",
       {1, "unknown field \"zz\""}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"pop","q":"q"})"
       "\n",
       {1, "bad value of field \"op\""}},
      {R"({"t":-1,"p":"c","i":1,"ev":"inv","op":"kill"})"
       "\n",
       {1, "bad value of field \"t\""}},
      {R"({"t":1.5,"p":"c","i":1,"ev":"inv","op":"kill"})"
       "\n",
       {1, "bad value of field \"t\""}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"mkq","q":"q","v":-3})"
       "\n",
       {1, "bad value of field \"v\""}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"send","q":"q","k":"a","h":"1","dur":"maybe"})"
       "\n",
       {1, "bad value of field \"dur\""}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"send","q":"q","k":"a","h":"1","lsn":"7"})"
       "\n",
       {1, "bad value of field \"lsn\""}},
      {R"({"t":1,"p":"c","ev":"inv","op":"kill"})"
       "\n",
       {1, "missing"}},
      {R"({"t":1,"p":"c","i":1,"ev":"inv","op":"send","q":"q","k":"a"})"
       "\n",
       {1, "send without field \"h\""}},
      {send + send, {2, "does not rise"}},
      {send + receive + R"({"t":21,"p":"c1","i":3,"ev":"ok","op":"recv"})" + "\n",
       {3, "not in flight"}},
      {send + R"({"t":9,"p":"c1","i":1,"ev":"ok","op":"send"})" + "\n", {2, "earlier"}},
      {send + R"({"t":11,"p":"c1","i":1,"ev":"ok","op":"recv"})" + "\n", {2, "began as send"}},
      {send + R"({"t":11,"p":"c1","i":1,"ev":"ok","op":"send","k":"b"})" + "\n",
       {2, "another key"}},
      {receive + R"({"t":21,"p":"c1","i":2,"ev":"ok","op":"recv","q":"z","k":"a","h":"1"})" + "\n",
       {2, "another queue"}},
      {receive + R"({"t":21,"p":"c1","i":2,"ev":"ok","op":"recv","k":"a"})" + "\n",
       {2, "without field \"h\""}},
      {send + R"({"t":11,"p":"c1","i":1,"ev":"ok","op":"send"})" + "\n" +
           R"({"t":12,"p":"c1","i":2,"ev":"inv","op":"send","q":"q","k":"a","h":"1"})" + "\n" +
           R"({"t":13,"p":"c1","i":2,"ev":"ok","op":"send"})" + "\n",
       {4, "sent before"}},
      {send + std::string((size_t{1} << 20) + 10, 'x') + "\n", {2, "more than 1 MiB"}},
  };
  for (const auto& [text, expected] : rows) {
    const ReadResult outcome = read(text);
    EXPECT_FALSE(outcome.usable) << text;
    EXPECT_EQ(outcome.error.line, expected.first) << text.substr(0, 200);
    EXPECT_NE(outcome.error.what.find(expected.second), std::string::npos)
        << text.substr(0, 200) << ": " << outcome.error.what;
  }
}

TEST(Reader, ATornLastLineIsSkippedAndCounted) {
  const ReadResult outcome = read(std::string(kSendBegun) + R"({"t":11,"p":"c1","i":1,"ev":"o)");
  ASSERT_TRUE(outcome.usable) << outcome.error.what;
  EXPECT_EQ(outcome.run.input.torn_lines, 1U);
  EXPECT_EQ(outcome.run.input.lines, 1U);
  EXPECT_EQ(outcome.run.counts[static_cast<size_t>(Op::send)].unfinished(), 1U);
}

TEST(Reader, AReceiveOfSeveralMessagesIsOneOperation) {
  const ReadResult outcome =
      read(std::string(kSendBegun) + std::string(kReceiveBegun) +
           R"({"t":11,"p":"c1","i":1,"ev":"ok","op":"send"})" + "\n" +
           R"({"t":30,"p":"c1","i":2,"ev":"ok","op":"recv","k":"a","h":"1"})" + "\n" +
           R"({"t":31,"p":"c1","i":2,"ev":"ok","op":"recv","k":"b","h":"1"})" + "\n");
  ASSERT_TRUE(outcome.usable) << outcome.error.what;
  const OpCounts& receives = outcome.run.counts[static_cast<size_t>(Op::recv)];
  EXPECT_EQ(receives.begun, 1U);
  EXPECT_EQ(receives.ok, 1U);
  EXPECT_EQ(outcome.run.findings[Rule::c2].checked, 2U);
  EXPECT_EQ(outcome.run.findings[Rule::c2].violations, 1U) << "b was never sent";
}

TEST(Reader, LinesLongerThanOneReadOfTheFileAreWhole) {
  std::string text;
  std::string key(100'000, 'k');
  for (int at = 0; at < 100; ++at) {
    text += R"({"t":10,"p":"c1","i":)" + std::to_string(at + 1) +
            R"(,"ev":"inv","op":"send","q":"q","h":"1","k":")" + key + std::to_string(at) + "\"}\n";
  }
  const ReadResult outcome = read(text);
  ASSERT_TRUE(outcome.usable) << outcome.error.what;
  EXPECT_EQ(outcome.run.input.lines, 100U);
  EXPECT_EQ(outcome.run.input.bytes, text.size());
}

TEST(Reader, AFolderWithoutHistoriesIsNotUsable) {
  const TemporaryDirectory folder;
  CheckRun run;
  InputError error;
  EXPECT_FALSE(check({folder.path()}, Limits{}, run, error));
  EXPECT_FALSE(check({folder.path() + "/none"}, Limits{}, run, error));
}

TEST(Reader, ClientsOfSeveralFilesAreOneHistory) {
  const TemporaryDirectory folder;
  folder.write("a.jsonl",
               std::string(kSendBegun) + R"({"t":11,"p":"c1","i":1,"ev":"ok","op":"send"})" + "\n");
  folder.write("b.jsonl", R"({"t":20,"p":"c2","i":1,"ev":"inv","op":"recv","q":"q"})"
                          "\n"
                          R"({"t":21,"p":"c2","i":1,"ev":"ok","op":"recv","k":"a","h":"1","n":1})"
                          "\n");
  folder.write("notes.txt", "not a history");
  CheckRun run;
  InputError error;
  ASSERT_TRUE(check({folder.path()}, Limits{}, run, error)) << error.what;
  EXPECT_EQ(run.input.files.size(), 2U);
  EXPECT_TRUE(run.findings.clean());
  EXPECT_EQ(run.findings[Rule::c2].checked, 1U);
}

}  // namespace
}  // namespace millrace::checker
