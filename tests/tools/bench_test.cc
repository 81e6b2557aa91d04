// Every workload of millrace-bench once, small: it ends, loses nothing and says so.
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/process.h"

namespace millrace::tools {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kKeys[] = {
    "workload", "transport",  "durability",   "messages",     "seconds",       "msgs_per_s",
    "mb_per_s", "p50_us",     "p90_us",       "p99_us",       "p999_us",       "max_us",
    "lost",     "duplicates", "out_of_order", "server_cpu_s", "server_rss_kb", "config"};

double number(const std::string& json, const std::string& key) {
  std::smatch found;
  if (!std::regex_search(json, found, std::regex("\"" + key + "\":([-0-9.e+]+)"))) return -1;
  return std::stod(found[1]);
}

std::string bench(Words words, int code = 0) {
  words.insert(words.begin(), MILLRACE_BENCH_PATH);
  words.insert(words.end(), {"--json", "-"});
  Process process(words);
  EXPECT_EQ(process.finish(50'000), code) << process.err;
  return process.out;
}

void expect_whole(const std::string& json, double messages) {
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1) << json;
  for (const char* key : kKeys)
    EXPECT_NE(json.find("\"" + std::string(key) + "\":"), std::string::npos) << key;
  EXPECT_EQ(number(json, "messages"), messages) << json;
  EXPECT_EQ(number(json, "lost"), 0) << json;
  EXPECT_EQ(number(json, "duplicates"), 0) << json;
  EXPECT_GT(number(json, "msgs_per_s"), 0);
}

class Bench : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Workloads, Bench,
                         ::testing::Values("produce", "consume", "e2e", "latency", "echo"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_P(Bench, RunsOverTheNetworkAndLosesNothing) {
  const TemporaryDirectory directory;
  BrokerProcess broker(directory.path() + "/data", {"--durability", "none"});
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const std::string json =
      bench({"--server", broker.address(), "--workload", GetParam(), "--messages", "20000",
             "--batch", "50", "--connections", "3", "--size", "100"});
  expect_whole(json, 20'000);
  EXPECT_GE(number(json, "server_cpu_s"), 0);
  EXPECT_GT(number(json, "server_rss_kb"), 1000);
  Process list({MILLRACE_PATH, "--server", broker.address(), "--json", "queue", "list"});
  EXPECT_EQ(list.finish(), 0);
  EXPECT_EQ(list.out, "") << "the queue it made is still there";
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST_P(Bench, RunsOverHttpAndLosesNothing) {
  const TemporaryDirectory directory;
  BrokerProcess broker(directory.path() + "/data", {"--durability", "none", "--test-api"},
                       "127.0.0.1:0", "127.0.0.1:0");
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  for (const char* inflight : {"1", "4"}) {
    const std::string json =
        bench({"--http", "--server", broker.http_address(), "--workload", GetParam(), "--messages",
               "2000", "--connections", "3", "--size", "100", "--inflight", inflight});
    expect_whole(json, 2'000);
    EXPECT_NE(json.find("\"transport\":\"http\""), std::string::npos) << json;
    EXPECT_GE(number(json, "server_cpu_s"), 0);
  }
  Process list({MILLRACE_PATH, "--server", broker.address(), "--json", "queue", "list"});
  EXPECT_EQ(list.finish(), 0);
  EXPECT_EQ(list.out, "") << "the queue it made is still there";
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST_P(Bench, RunsEmbeddedAndLosesNothing) {
  if (std::string(GetParam()) == "echo") {
    bench({"--embedded", "--workload", "echo"}, 2);
    return;
  }
  expect_whole(bench({"--embedded", "--durability", "none", "--workload", GetParam(), "--messages",
                      "20000", "--batch", "50", "--connections", "2", "--shards", "2"}),
               20'000);
}

struct FifoCase {
  const char* name;
  Words words;
};
const FifoCase kFifoCases[] = {
    {"ByIds", {"--groups", "100"}},
    {"ByContent", {"--groups", "100", "--dedup", "content"}},
    {"OneGroupEach", {"--groups", "2"}},
    {"Spread",
     {"--groups", "100", "--set", "DeduplicationScope=messageGroup", "--set",
      "FifoThroughputLimit=perMessageGroupId"}},
};
class FifoBench : public ::testing::TestWithParam<FifoCase> {};
INSTANTIATE_TEST_SUITE_P(Queues, FifoBench, ::testing::ValuesIn(kFifoCases),
                         [](const auto& parameter) { return parameter.param.name; });

Words fifo_words(Words first, const Words& rest) {
  first.insert(first.end(),
               {"--fifo", "--connections", "2", "--batch", "10", "--messages", "3000"});
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

TEST_P(FifoBench, KeepsTheOrderOfEachGroupOverTheNetwork) {
  const TemporaryDirectory directory;
  BrokerProcess broker(directory.path() + "/data", {"--durability", "none"});
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const std::string json = bench(fifo_words({"--server", broker.address()}, GetParam().words));
  expect_whole(json, 3'000);
  EXPECT_EQ(number(json, "out_of_order"), 0) << json;
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST_P(FifoBench, KeepsTheOrderOfEachGroupOverHttp) {
  const TemporaryDirectory directory;
  BrokerProcess broker(directory.path() + "/data", {"--durability", "none"}, "127.0.0.1:0",
                       "127.0.0.1:0");
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const std::string json =
      bench(fifo_words({"--http", "--server", broker.http_address()}, GetParam().words));
  expect_whole(json, 3'000);
  EXPECT_EQ(number(json, "out_of_order"), 0) << json;
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST_P(FifoBench, KeepsTheOrderOfEachGroupEmbedded) {
  const std::string json =
      bench(fifo_words({"--embedded", "--durability", "none", "--shards", "2"}, GetParam().words));
  expect_whole(json, 3'000);
  EXPECT_EQ(number(json, "out_of_order"), 0) << json;
}

TEST(SignedBench, EachRequestIsSignedWithAKeyOfTheEnvironment) {
  const TemporaryDirectory directory;
  const std::string keys = directory / "keys.toml";
  std::ofstream(keys) << "[[key]]\nid = 'AKIDBENCH'\nsecret = 'a secret of the bench'\n";
  std::filesystem::permissions(keys, std::filesystem::perms::owner_read);
  BrokerProcess broker(directory.path() + "/data", {"--region", "eu-west-3", "--credentials", keys},
                       "127.0.0.1:0", "127.0.0.1:0");
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const Words words{MILLRACE_BENCH_PATH,
                    "--http",
                    "--server",
                    broker.http_address(),
                    "--sign",
                    "--messages",
                    "100",
                    "--json",
                    "-"};
  Process right(words, "",
                {{"AWS_ACCESS_KEY_ID", "AKIDBENCH"},
                 {"AWS_SECRET_ACCESS_KEY", "a secret of the bench"},
                 {"AWS_REGION", "eu-west-3"}});
  EXPECT_EQ(right.finish(), 0) << right.err;
  expect_whole(right.out, 100);
  EXPECT_EQ(right.out.find("a secret"), std::string::npos) << "it is told with the configuration";
  Process wrong(words, "",
                {{"AWS_ACCESS_KEY_ID", "AKIDBENCH"},
                 {"AWS_SECRET_ACCESS_KEY", "another"},
                 {"AWS_REGION", "eu-west-3"}});
  EXPECT_EQ(wrong.finish(), 1);
  EXPECT_NE(wrong.err.find("signature"), std::string::npos) << wrong.err;
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST(BenchOutput, IsForPeopleAndAPictureToo) {
  const TemporaryDirectory directory;
  const std::string plot = directory.path() + "/plot.svg";
  Process process({MILLRACE_BENCH_PATH, "--embedded", "--durability", "none", "--messages", "5000",
                   "--batch", "10", "--plot", plot});
  EXPECT_EQ(process.finish(), 0) << process.err;
  for (const char* part : {"e2e over embedded", "msg/s", "p99.9", "lost 0, duplicates 0"})
    EXPECT_NE(process.out.find(part), std::string::npos) << part << "\n" << process.out;
  std::ostringstream svg;
  svg << std::ifstream(plot).rdbuf();
  EXPECT_EQ(svg.str().find("<svg "), 0u);
  EXPECT_NE(svg.str().find("polyline"), std::string::npos);
}

TEST(BenchOutput, TheConfigurationIsEveryOptionAsRun) {
  const TemporaryDirectory directory;
  const std::string json = bench({"--embedded", "--durability", "none", "--messages", "1000",
                                  "--data", directory / "data", "--plot", directory / "p.svg"});
  const size_t config = json.find("\"config\":");
  ASSERT_NE(config, std::string::npos);
  for (const std::string& part :
       {std::string("\"durability\":\"none\""), "\"data\":\"" + directory / "data" + "\"",
        "\"plot\":\"" + directory / "p.svg" + "\"", std::string("\"json\":\"-\""),
        std::string("\"server_pid\":null")})
    EXPECT_NE(json.find(part, config), std::string::npos) << part << "\n" << json;
}

TEST(BenchOutput, WrongUsageIsOneLineAndExitTwo) {
  const Words rows[] = {{"--workload", "nonsense"},
                        {"--size", "23"},
                        {"--batch", "1001"},
                        {"--batch", "1000", "--size", "100000"},
                        {"--connections", "0"},
                        {"--seconds", "0"},
                        {"--rate", "5", "--workload", "echo"},
                        {"--groups", "3"},
                        {"--dedup", "ids"},
                        {"--fifo", "--dedup", "never"},
                        {"--set", "DelaySeconds"},
                        {"--sign"},
                        {"--http", "--embedded"},
                        {"--http", "--batch", "11"},
                        {"--http", "--size", "47"},
                        {"--http", "--batch", "2", "--size", "600000"}};
  for (const Words& words : rows) {
    Words all{MILLRACE_BENCH_PATH};
    all.insert(all.end(), words.begin(), words.end());
    Process process(all);
    EXPECT_EQ(process.finish(), 2) << words.front() << process.err;
    EXPECT_EQ(std::count(process.err.begin(), process.err.end(), '\n'), 1) << process.err;
  }
}

}  // namespace
}  // namespace millrace::tools
