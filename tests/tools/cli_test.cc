// The command line as its users meet it: what is typed, the exit code, both outputs.
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/process.h"

namespace millrace::tools {
namespace {

using Words = std::vector<std::string>;

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

size_t lines_in(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// What was printed under a JSON key, without its quotes; the first line that has it.
std::string json_value(const std::string& json, const std::string& key) {
  std::smatch found;
  if (!std::regex_search(json, found, std::regex("\"" + key + "\":\"?([^\",}]*)"))) return "";
  return found[1];
}

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    broker_ = std::make_unique<BrokerProcess>(data(), Words{"--durability", "none"});
    ASSERT_TRUE(broker_->ready()) << broker_->process().err;
  }
  std::string data() const { return directory_.path() + "/data"; }

  struct Ended {
    int code = -1;
    std::string out;
    std::string err;
  };
  Ended run(Words words, const std::string& input = "") {
    words.insert(words.begin(), {MILLRACE_PATH, "--server", broker_->address()});
    Process process(words, input);
    Ended ended;
    ended.code = process.finish();
    ended.out = process.out;
    ended.err = process.err;
    return ended;
  }
  void expect(const Words& words, int code, const std::string& out, const std::string& err,
              const std::string& input = "") {
    std::string typed;
    for (const std::string& word : words)
      typed += word.substr(0, 60) + " ";
    const Ended ended = run(words, input);
    EXPECT_EQ(ended.code, code) << typed << ended.err;
    EXPECT_TRUE(matches(ended.out, out)) << typed << "\nstdout: " << ended.out;
    EXPECT_TRUE(matches(ended.err, err)) << typed << "\nstderr: " << ended.err;
    if (code != 0) {
      EXPECT_EQ(lines_in(ended.err), 1u) << typed << "\nstderr: " << ended.err;
    }
  }
  void restart() {
    ASSERT_EQ(broker_->stop(), 0) << broker_->process().err;
    broker_ = std::make_unique<BrokerProcess>(data(), Words{"--durability", "none"});
    ASSERT_TRUE(broker_->ready()) << broker_->process().err;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<BrokerProcess> broker_;
};

TEST_F(CommandLine, RedriveMovesDeadLettersBackAndShowsHowFar) {
  const std::string quiet = "^$";
  expect({"queue", "create", "dead"}, 0, "is there", quiet);
  expect({"queue", "create", "there"}, 0, "is there", quiet);
  expect({"queue", "create", "q", "--dlq", "dead", "--max-receives", "1"}, 0, "is there", quiet);
  expect({"send", "q", "--lines"}, 0, "3 messages", quiet, "a\nb\nc");
  expect({"receive", "q", "--max", "10", "--visibility", "0"}, 0, "(.*\n){4}", quiet);
  expect({"receive", "q"}, 0, quiet, "no message came");
  expect({"redrive", "dead"}, 0,
         "0 of 3 moved\n(.*\n)*completed: 3 moved to where they came from\n$", quiet);
  expect({"peek", "q"}, 0, "ready +0 .*a\nready +0 .*b\nready +0 .*c\n", quiet);

  expect({"send", "dead", "--lines"}, 0, "2 messages", quiet, "d\ne");
  expect({"redrive", "dead"}, 1, "failed: 0 moved",
         "the task failed: CouldNotDetermineMessageSource");
  expect({"--json", "redrive", "dead", "--to", "there", "--rate", "1", "--detach"}, 0,
         "\"state\":\"running\",\"destination\":\"there\",\"rate\":1,\"moved\":0,\"to_move\":2",
         quiet);
  expect({"redrive", "dead"}, 1, quiet, "a task of 'dead' is running; .*queue 'dead'");
  expect({"redrive", "--list", "dead"}, 0,
         "STATE +MOVED +OF +RATE +STARTED +TO\nrunning .* 1/s .* there\nfailed "
         ".*CouldNot.*\ncompleted +3 +3 +- ",
         quiet);
  expect({"redrive", "--cancel", "dead"}, 0, "^cancelled: [01] of 2 moved\n$", quiet);
  expect({"redrive", "--cancel", "dead"}, 1, quiet, "no such move task of 'dead' is running");
  expect({"--json", "redrive", "--list", "dead"}, 0, "\"state\":\"cancelled\"(.*\n){3}$", quiet);
  expect({"--json", "redrive", "dead", "--to", "there"}, 0, "^.*\"state\":\"completed\".*\n$",
         quiet);
  expect({"peek", "there"}, 0, "ready +0 .*d\nready +0 .*e\n", quiet);

  expect({"redrive", "there"}, 1, quiet, "no RedrivePolicy names 'there'");
  expect({"redrive", "dead", "--to", "dead"}, 1, quiet, "source and destination are 'dead'");
  expect({"redrive", "dead", "--to", "nope"}, 1, quiet, "no queue 'nope'");
  expect({"redrive", "nope"}, 1, quiet, "no queue 'nope'");
  for (const char* rate : {"0", "501", "x", "-1"})
    expect({"redrive", "dead", "--rate", rate}, 2, quiet, "--rate");
  expect({"redrive", "dead", "--list", "--cancel"}, 2, quiet, "do not go together");
  expect({"redrive", "dead", "--list", "--rate", "5"}, 2, quiet, "are for a new task");
}

TEST_F(CommandLine, ATourOfEveryCommandWorks) {
  const std::string quiet = "^$";
  expect(
      {"queue", "create", "orders", "--set", "VisibilityTimeout=60", "--set", "Durability=commit"},
      0, "queue orders is there", quiet);
  expect(
      {"queue", "create", "orders", "--set", "VisibilityTimeout=60", "--set", "Durability=commit"},
      0, "queue orders is there", quiet);
  expect({"queue", "list"}, 0, "NAME +READY.*\norders +0 +0 +0", quiet);
  expect({"queue", "list", "nope"}, 0, "^NAME[^\n]*\n$", quiet);
  expect({"queue", "show", "orders"}, 0, "VisibilityTimeout +60 s\n(.*\n)*Durability +commit",
         quiet);
  expect({"queue", "set", "orders", "VisibilityTimeout=1.5"}, 0, "changed", quiet);
  expect({"--json", "queue", "show", "orders"}, 0,
         "\"VisibilityTimeout\":1.5,.*\"Durability\":\"commit\"", quiet);
  expect({"send", "orders", "first"}, 0, "^1 message stored in orders\n$", quiet);
  expect({"send", "orders"}, 0, "^1 message stored", quiet, "from standard input");
  expect({"send", "orders", "--lines"}, 0, "^3 messages stored", quiet, "a\nb\nc");
  expect({"send", "orders", "later", "--delay", "600"}, 0, "^1 message stored", quiet);
  expect({"--json", "send", "orders", "x"}, 0, "\"count\":1,.*\"durability\":\"commit\"", quiet);
  expect({"peek", "orders", "--max", "20"}, 0, "STATE +COUNT +AGE +DUE IN +BODY\n(.*\n)*.*first",
         quiet);
  expect({"peek", "orders", "--state", "delayed"}, 0, "delayed +0 .*later\n$", quiet);
  expect({"top", "--once"}, 0, "QUEUE +READY(.*\n)+orders +6 ", quiet);
  expect({"--json", "top", "--once"}, 0, "\"name\":\"orders\",\"ready\":6", quiet);
  expect({"receive", "orders", "--max", "10", "--ack"}, 0, "COUNT +AGE +BODY\n(.*\n){6}$", quiet);
  expect({"receive", "orders"}, 0, quiet, "no message came");
  expect({"queue", "purge", "orders"}, 0, "is empty", quiet);
  expect({"queue", "delete", "orders"}, 0, "is deleted", quiet);
  expect({"queue", "show", "orders"}, 1, quiet, "no queue 'orders'");
}

TEST_F(CommandLine, AReceiptProvesALeaseUntilThereIsANewerOne) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  ASSERT_EQ(run({"queue", "create", "others"}).code, 0);
  ASSERT_EQ(run({"send", "orders", "x"}).code, 0);
  const std::string past = json_value(run({"--json", "receive", "orders"}).out, "receipt");
  ASSERT_EQ(past.size(), 32u);
  expect({"extend", "orders", past, "0"}, 0, "visible again", "^$");
  const std::string now = json_value(run({"--json", "receive", "orders"}).out, "receipt");
  ASSERT_EQ(now.size(), 32u);

  std::string forged = now;
  forged[31] = forged[31] == 'A' ? 'B' : 'A';
  expect({"ack", "orders", past}, 1, "^$", "past lease");
  expect({"extend", "orders", past, "30"}, 1, "^$", "past lease");
  expect({"ack", "orders", now.substr(0, 20)}, 1, "^$", now.substr(0, 20) + "': not a receipt");
  expect({"ack", "orders", "random!"}, 1, "^$", "'random!': not a receipt");
  expect({"ack", "orders", forged}, 1, "^$", "not a receipt of this broker");
  expect({"ack", "others", now}, 1, "^$", "not a receipt of queue 'others'");
  restart();
  expect({"extend", "orders", now, "60"}, 0, "hidden for 60 s", "^$");
  expect({"ack", "orders", now}, 0, "1 message acknowledged", "^$");
  expect({"ack", "orders", now}, 0, "1 message acknowledged", "^$");
  expect({"extend", "orders", now, "60"}, 1, "^$", "receipt '" + now);
}

TEST_F(CommandLine, AReceiptMayStartWithADash) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  // Slot 0xF8 of shard 0 or a forgery: either way it is read as a receipt, not as an option.
  const std::string dashed = "-" + std::string(31, 'A');
  expect({"ack", "orders", dashed}, 1, "^$", "receipt '-AAAA.*not a receipt of queue");
  expect({"extend", "orders", dashed, "5"}, 1, "^$", "receipt '-AAAA");
  expect({"send", "orders", dashed}, 0, "1 message", "^$");
  expect({"receive", "orders", "--ack"}, 0, dashed, "^$");
}

TEST_F(CommandLine, WhatIsRefusedSaysWhyInOneLine) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  const std::string large((1u << 20) + 1, 'x');
  const std::string name80(80, 'n');
  const struct {
    Words words;
    int code;
    std::string err;
    std::string input = "";
  } rows[] = {
      {{"send", "nope", "x"}, 1, "no queue 'nope'"},
      {{"receive", "nope"}, 1, "no queue 'nope'"},
      {{"peek", "nope"}, 1, "no queue 'nope'"},
      {{"tail", "nope"}, 1, "no queue 'nope'"},
      {{"queue", "delete", "nope"}, 1, "no queue 'nope'"},
      {{"queue", "create", "orders", "--set", "DelaySeconds=1"},
       1,
       "'orders'.*another DelaySeconds"},
      {{"queue", "create", "bad name"}, 1, "'bad name'"},
      {{"queue", "create", "../x"}, 1, "'../x'"},
      {{"queue", "create", ""}, 1, "queue ''"},
      {{"queue", "create", name80}, 0, ""},
      {{"queue", "create", name80 + "n"}, 1, "80"},
      {{"queue", "show", name80 + "n"}, 1, "80"},
      {{"queue", "create", "q", "--set", "VisibilityTimeout=43201"}, 2, "43201.*0 to 43200"},
      {{"queue", "create", "q", "--set", "DelaySeconds=-1"}, 2, "DelaySeconds=-1"},
      {{"queue", "create", "q", "--set", "MaximumMessageSize=1"}, 2, "1024"},
      {{"queue", "create", "q", "--set", "Durability=most"}, 2, "none or interval or commit"},
      {{"queue", "create", "q", "--set", "Color=red"}, 2, "no such attribute"},
      {{"queue", "create", "q", "--fifo"}, 1, "'q'.*ends in .fifo"},
      {{"queue", "create", "q.fifo"}, 1, "'q.fifo'"},
      {{"queue", "create", "q", "--set", "Partitions=2"}, 1, "Partitions.*FIFO queues"},
      {{"queue", "create", "q", "--set", "InFlightMax=0"}, 2, "InFlightMax=0.*1 to 1000000000"},
      {{"queue", "create", "q", "--set", "RedrivePolicy={"}, 2, "not a JSON object"},
      {{"queue", "create", "q", "--dlq", "d"}, 2, "--dlq and --max-receives"},
      {{"queue", "create", "q", "--max-receives", "5"}, 2, "--dlq and --max-receives"},
      {{"queue", "create", "q", "--dlq", "d", "--max-receives", "1001"}, 2, "'1001'.*1 to 1000"},
      {{"queue", "create", "q", "--dlq", "d", "--max-receives", "5"}, 1, "'d'; there is no such"},
      {{"queue", "create", "q", "--tag", "team"}, 2, "'team' is not KEY=VALUE"},
      {{"queue", "create", "q", "--tag", "aws:team=a"}, 1, "tag is 'aws:team'"},
      {{"queue", "set", "orders", "nonsense"}, 2, "'nonsense' is not ATTRIBUTE=VALUE"},
      {{"queue", "set", "orders", "FifoQueue=true"}, 1, "FifoQueue.*since the queue was created"},
      {{"queue", "set", "orders"}, 2, "ATTRIBUTE=VALUE, --tag or --untag"},
      {{"queue"}, 2, "."},
      {{"send", "orders", "x", "--group", "a b"}, 2, "'a b'.*1 to 128"},
      {{"send", "orders", "x", "--group", std::string(129, 'g')}, 2, "1 to 128"},
      {{"send", "orders", "x", "--dedup", ""}, 2, "1 to 128"},
      {{"send", "orders", "x", "--dedup", "d"}, 1, "'orders'"},
      {{"send", "orders", "--lines", "--dedup", "d"}, 2, "--dedup with --lines"},
      {{"send", "orders", "x", "--attr", "color"}, 2, "'color' is not NAME=VALUE"},
      {{"send", "orders", "x", "--attr", "color:Colour=blue"}, 1, "'orders'"},
      {{"send", "orders", "x", "--delay", "2592001"}, 2, "'2592001'.*0 to 2592000"},
      {{"send", "orders", "x", "--file", "f"}, 2, "not both"},
      {{"send", "orders", "--file", "/nonexistent"}, 1, "'/nonexistent': No such file"},
      {{"send", "orders"}, 1, "larger than 1048576 bytes", large},
      {{"send", "orders", "--lines"}, 1, "line 2: .*larger", "a\n" + large + "\n"},
      {{"receive", "orders", "--max", "0"}, 2, "'0'.*1 to 1000"},
      {{"receive", "orders", "--max", "1001"}, 2, "'1001'.*1 to 1000"},
      {{"receive", "orders", "--visibility", "2592001"}, 2, "'2592001'.*2592000"},
      {{"receive", "orders", "--wait", "soon"}, 2, "'soon'"},
      {{"extend", "orders", "x", "2592001"}, 2, "2592000"},
      {{"peek", "orders", "--state", "gone"}, 2, "'gone'.*ready"},
      {{"topple"}, 2, "topple"},
      {{}, 2, "."},
      {{"log", "verify", "/nonexistent"}, 1, "/nonexistent.*no such directory"},
  };
  for (const auto& row : rows)
    expect(row.words, row.code, "", row.err, row.input);
}

TEST_F(CommandLine, AFifoQueueIsSentToAndShown) {
  ASSERT_EQ(run({"queue", "create", "failed.fifo", "--fifo"}).code, 0);
  expect({"queue", "create", "orders.fifo", "--fifo", "--dlq", "failed.fifo", "--max-receives", "3",
          "--tag", "team=a", "--tag", "cost=1", "--set", "MaximumMessageSize=64KiB"},
         0, "queue orders.fifo is there", "^$");
  expect({"queue", "show", "orders.fifo"}, 0,
         "FifoQueue +true(.*\n)+MaximumMessageSize +64KiB(.*\n)+RedrivePolicy +.*failed.fifo.*3"
         "(.*\n)+ContentBasedDeduplication +false(.*\n)+tag cost +1\ntag team +a\n",
         "^$");
  expect({"queue", "set", "orders.fifo", "MessageRetentionPeriod=60", "--tag", "team=b", "--untag",
          "cost"},
         0, "changed", "^$");
  expect({"--json", "queue", "show", "orders.fifo"}, 0,
         "\"FifoQueue\":true,.*\"MessageRetentionPeriod\":60,.*\"maxReceiveCount\":3.*"
         "\"tags\":\\{\"team\":\"b\"\\}",
         "^$");
  const Words send{"--json",  "send", "orders.fifo", "first",      "--group", "g1",
                   "--dedup", "d1",   "--attr",      "color=blue", "--attr",  "price:Number=9"};
  const std::string sent = run(send).out;
  EXPECT_TRUE(matches(sent, "\"sequence_numbers\":\\[\"1000000000000000000[0-9]\"\\]")) << sent;
  EXPECT_EQ(json_value(run(send).out, "ids"), json_value(sent, "ids"));
  EXPECT_EQ(run({"send", "orders.fifo", "second", "--group", "g1", "--dedup", "d2"}).code, 0);
  expect({"send", "orders.fifo", "third", "--dedup", "d3"}, 1, "^$",
         "needs a message group id.*'orders.fifo'");
  expect({"peek", "orders.fifo"}, 0,
         "STATE +COUNT +AGE +DUE IN +GROUP +SEQUENCE +ATTRIBUTES +BODY\nready.* g1 +1[0-9]{19} +"
         "color=blue price=9 +first\nready.*second\n$",
         "^$");
  expect({"--json", "receive", "orders.fifo"}, 0,
         "\"group\":\"g1\",\"deduplication_id\":\"d1\",\"sequence_number\":\"1[0-9]{19}\","
         "\"attributes\":\\{\"color\":\\{\"type\":\"String\",\"value\":\"blue\"\\},"
         "\"price\":\\{\"type\":\"Number\",\"value\":\"9\"",
         "^$");
  // The group waits for its first message.
  expect({"receive", "orders.fifo"}, 0, "^$", "no message came");
  expect({"peek", "orders.fifo", "--state", "leased"}, 0,
         "DUE IN +HOLDER +GROUP.*\nleased +1 .* (29|30|2[0-9]\\.[0-9])s? +127\\.0\\.0\\.1:[0-9]+ "
         "millrace, gone .*first",
         "^$");
  expect({"--json", "peek", "orders.fifo", "--state", "leased"}, 0,
         "\"holder\":\"127\\.0\\.0\\.1:[0-9]+ millrace, gone\"", "^$");
}

TEST_F(CommandLine, TailPrintsAndAcknowledgesAsMessagesCome) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  Process tail({MILLRACE_PATH, "--server", broker_->address(), "tail", "orders", "--max", "3"});
  ASSERT_EQ(run({"send", "orders", "--lines"}, "one\ntwo\nthree\n").code, 0);
  EXPECT_EQ(tail.finish(), 0) << tail.err;
  EXPECT_EQ(tail.out, "one\ntwo\nthree\n");
  EXPECT_TRUE(matches(run({"--json", "queue", "show", "orders"}).out,
                      "\"ready\":0,\"leased\":0,.*\"acked\":3"));
}

TEST_F(CommandLine, TailEndsInOrderWhenInterrupted) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  Process tail({MILLRACE_PATH, "--server", broker_->address(), "tail", "orders"});
  ASSERT_EQ(run({"send", "orders", "x"}).code, 0);
  ASSERT_TRUE(tail.wait_for("x\n"));
  tail.signal(SIGINT);
  EXPECT_EQ(tail.finish(), 0) << tail.err;
}

TEST_F(CommandLine, BytesThatAreNoTextTravelWhole) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  ASSERT_EQ(run({"send", "orders"}, std::string("\xff\x00\x1b[2J", 6)).code, 0);
  const Ended json = run({"--json", "receive", "orders", "--visibility", "0"});
  EXPECT_EQ(json_value(json.out, "body_base64url"), "_wAbWzJK");
  EXPECT_TRUE(matches(run({"receive", "orders"}).out, R"(\\xff\\x00\\x1b\[2J)"));
}

TEST_F(CommandLine, ABrokerThatIsNotThereIsOneLine) {
  ASSERT_EQ(broker_->stop(), 0);
  expect({"queue", "list"}, 1, "^$", "cannot connect to 127.0.0.1:.*refused");
}

TEST_F(CommandLine, TraceTellsTheLifeOfAMessageWhileTheBrokerRuns) {
  expect({"queue", "create", "orders"}, 0, "", "");
  expect({"send", "orders", "hello"}, 0, "", "");
  const std::string id = json_value(run({"--json", "peek", "orders"}).out, "id");
  const std::string receipt = json_value(run({"--json", "receive", "orders"}).out, "receipt");
  expect({"extend", "orders", receipt, "90"}, 0, "", "");
  expect({"ack", "orders", receipt}, 0, "", "");
  const Ended told = run({"trace", id, "--data", data()});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_TRUE(matches(told.out,
                      "sent +to orders, 5 bytes, ready\n"
                      "[^\n]* received +number 1, hidden until [^\n]*\\(30.0s\\)\n"
                      "[^\n]* extended +hidden until [^\n]*\\(1m 30s\\)\n"
                      "[^\n]* acknowledged"))
      << told.out;
  const Ended json = run({"--json", "trace", id, "--data", data()});
  EXPECT_EQ(lines_in(json.out), 4u);
  EXPECT_EQ(json_value(json.out, "event"), "sent");
  expect({"trace", "x", "--data", data()}, 1, "",
         "millrace: 'x': not a message id; one looks like 00000001-0000-8000-8000-000000000000\n");
  EXPECT_TRUE(matches(run({"trace", "00000001-0000-8000-8000-0000000000ff", "--data", data()}).err,
                      "nothing of it is in the log"));
  EXPECT_EQ(run({"trace", id, "--data", data() + "/none"}).code, 1);
}

TEST_F(CommandLine, TheLogCommandsReadAStoppedBrokersDirectory) {
  ASSERT_EQ(run({"queue", "create", "orders"}).code, 0);
  ASSERT_EQ(run({"send", "orders", "--lines"}, "a\nb\n").code, 0);
  expect({"log", "verify", data()}, 1, "^$", "another process is using");
  ASSERT_EQ(broker_->stop(), 0);
  expect({"log", "verify", data()}, 0, "catalog +clean(.*\n)+shard-0 +clean(.*\n)+shard-1 +clean",
         "^$");
  expect({"log", "inspect", data()}, 0, "shard-0 +.*segment", "^$");
  expect({"--json", "log", "inspect", data(), "--records"}, 0, "\"kind\":\"enqueue\"", "^$");
  expect({"log", "repair", data()}, 0, "catalog +clean", "^$");
  expect({"log", "verify", directory_.path()}, 1, "^$", "not a data directory");
}

}  // namespace
}  // namespace millrace::tools
