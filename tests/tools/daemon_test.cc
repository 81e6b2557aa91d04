// millraced as an operator meets it: settings and their sources, readiness, what it refuses.
#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <regex>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/process.h"

namespace millrace::tools {
namespace {

using Words = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

Ended run(Words words, const Environment& environment = {}) {
  words.insert(words.begin(), MILLRACED_PATH);
  Process process(words, "", environment);
  Ended ended;
  ended.code = process.finish();
  ended.out = process.out;
  ended.err = process.err;
  return ended;
}

void expect_refused(const Words& words, int code, const std::string& err,
                    const Environment& environment = {}) {
  const Ended ended = run(words, environment);
  std::string typed;
  for (const std::string& word : words)
    typed += word + " ";
  EXPECT_EQ(ended.code, code) << typed << ended.err;
  EXPECT_EQ(ended.out, "") << typed;
  EXPECT_TRUE(matches(ended.err, err)) << typed << "\nstderr: " << ended.err;
}

// All that the server says to this, until it closes.
std::string http_answer(const std::string& address, const std::string& request) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char piece[4096];
    for (ssize_t n = 0; (n = ::recv(socket, piece, sizeof piece, 0)) > 0;)
      answer.append(piece, static_cast<size_t>(n));
  }
  ::close(socket);
  return answer;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(Daemon, ServesAndStopsInOrderOnSigterm) {
  const TemporaryDirectory directory;
  const std::string data = directory.path() + "/data";
  BrokerProcess broker(data);
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  EXPECT_TRUE(matches(broker.process().out,
                      "^millraced ready: binary=127\\.0\\.0\\.1:[0-9]+ http=off data=" + data +
                          " shards=2 durability=commit\n$"))
      << broker.process().out;
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
  BrokerProcess again(data, {"--durability", "interval=50"});
  ASSERT_TRUE(again.ready()) << again.process().err;
  EXPECT_TRUE(matches(again.process().out, "durability=interval=50\n$"));
  again.process().signal(SIGINT);
  EXPECT_EQ(again.process().finish(10'000), 0);
}

TEST(Daemon, ListensOnAUnixSocket) {
  const TemporaryDirectory directory;
  const std::string listen = "unix:" + directory.path() + "/socket";
  BrokerProcess broker(directory.path() + "/data", {}, listen);
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  EXPECT_EQ(broker.address(), listen);
  Process list({MILLRACE_PATH, "--server", listen, "queue", "list"});
  EXPECT_EQ(list.finish(), 0) << list.err;
  EXPECT_EQ(broker.stop(), 0);
}

TEST(Daemon, TellsTheServiceManagerWhenItIsReadyAndStopping) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/notify";
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  const auto told = [socket] {
    pollfd ready{socket, POLLIN, 0};
    char text[64] = {};
    if (::poll(&ready, 1, 10'000) == 1) (void)!::recv(socket, text, sizeof text - 1, 0);
    return std::string(text);
  };
  Process broker({MILLRACED_PATH, "--data", directory.path() + "/data", "--listen", "127.0.0.1:0",
                  "--http", "off", "--shards", "1", "--segment-size", "4MiB"},
                 "", {{"NOTIFY_SOCKET", path}});
  EXPECT_EQ(told(), "READY=1");
  broker.signal(SIGTERM);
  EXPECT_EQ(told(), "STOPPING=1");
  EXPECT_EQ(broker.finish(10'000), 0);
  ::close(socket);
}

TEST(Daemon, AFlagWinsOverTheEnvironmentAndTheEnvironmentOverTheFile) {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/millrace.toml";
  write_file(file, "shards = 3\nsegment-size = \"8MiB\"\nlog = \"json\"\ninsecure = true\n");
  const Ended ended = run({"--config", file, "--check-config", "--shards", "5"},
                          {{"MILLRACE_SHARDS", "4"}, {"MILLRACE_SEGMENT_SIZE", "16MiB"}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (const char* line :
       {"shards = 5 \\(flag\\)", "segment-size = 16MiB \\(environment\\)", "log = json \\(file\\)",
        "insecure = true \\(file\\)", "durability = commit \\(default\\)"})
    EXPECT_TRUE(matches(ended.out, line)) << line << "\n" << ended.out;
}

TEST(Daemon, RefusesWrongSettingsAndNamesWhoSaidThem) {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/millrace.toml";
  const struct {
    const char* content;
    const char* err;
  } files[] = {
      {"shards = 65\n", "millrace.toml: shards \"65\": must be 1 to 64"},
      {"listen = \"127.0.0.1:0\"\nshard = 1\n", "millrace.toml:2: unknown key \"shard\""},
      {"shards = \n", "millrace.toml:[12]: "},
      {"shards = [1]\n", "millrace.toml:1: shards must be"},
      {"http = \"nonsense\"\n", "nonsense"},
      {"credentials = \"/no/such\"\n", "--credentials /no/such: No such file"},
      {"topics = \"x\"\n", "unknown key \"topics\""},
  };
  for (const auto& row : files) {
    write_file(file, row.content);
    expect_refused({"--config", file, "--check-config"}, 2, row.err);
  }
  expect_refused({"--config", "/nonexistent.toml", "--check-config"}, 2, "/nonexistent.toml");
  expect_refused({"--check-config"}, 2, "MILLRACE_SHARDS \"many\": must be 1 to 64",
                 {{"MILLRACE_SHARDS", "many"}});
  expect_refused({"--check-config"}, 2, "^millraced: x\\.toml: .*\n$",
                 {{"MILLRACE_DEFINITIONS", "x.toml"}});
  const struct {
    Words words;
    const char* err;
  } flags[] = {
      {{"--shards", "0"}, "--shards \"0\": must be 1 to 64"},
      {{"--durability", "most"}, "commit, interval=MS"},
      {{"--durability", "interval"}, "interval=MS"},
      {{"--durability", "interval=0"}, "interval=MS"},
      {{"--segment-size", "5MiB"}, "power of two from 4MiB to 1GiB"},
      {{"--segment-size", "64MB"}, "power of two"},
      {{"--max-disk", "0"}, "--max-disk \"0\""},
      {{"--log", "xml"}, "text or json"},
      {{"--log-level", "loud"}, "debug, info"},
      {{"--http", "nonsense"}, "nonsense"},
      {{"--http", "0.0.0.0:9324"}, "insecure"},
      {{"--tls-cert", "x"}, "--tls-key go together"},
      {{"--tls-cert", "/no/such", "--tls-key", "x"}, "TLS: /no/such: No such file"},
      {{"--credentials", "/no/such"}, "--credentials /no/such: No such file"},
      {{"--region", "US East"}, "--region"},
      {{"--account", "12"}, "--account"},
      {{"--advertise", "x"}, "--advertise"},
      {{"--recreate-wait", "never"}, "--recreate-wait"},
      {{"--listen", "nonsense"}, "nonsense"},
      {{"--listen", "0.0.0.0:7411"}, "insecure"},
      {{"stray"}, "stray"},
  };
  for (const auto& row : flags) {
    Words words = row.words;
    words.emplace_back("--check-config");
    expect_refused(words, 2, row.err);
  }
  EXPECT_EQ(run({"--check-config", "--http", "off", "--listen", "0.0.0.0:0", "--insecure"}).code,
            0);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_TRUE(matches(run({"--version"}).out, "^millraced [0-9.]+\n$"));
}

TEST(Daemon, RefusesAnAddressThatOthersReachOrThatIsTaken) {
  const TemporaryDirectory directory;
  const std::string data = directory.path() + "/data";
  expect_refused({"--data", data, "--listen", "0.0.0.0:0", "--shards", "1"}, 2, "insecure");
  BrokerProcess broker(data);
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  expect_refused({"--data", directory.path() + "/other", "--listen", broker.address(), "--shards",
                  "1", "--segment-size", "4MiB", "--log-level", "error"},
                 1, broker.address());
  expect_refused({"--data", data, "--listen", "127.0.0.1:0", "--log-level", "error"}, 1,
                 "another process");
  EXPECT_EQ(broker.stop(), 0);
}

TEST(Daemon, ServesHealthOverHttpWhereTheReadyLineSays) {
  const TemporaryDirectory directory;
  BrokerProcess broker(directory.path() + "/data", {"--test-api"}, "127.0.0.1:0", "127.0.0.1:0");
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const std::string address = broker.http_address();
  ASSERT_TRUE(matches(address, "^127.0.0.1:[1-9][0-9]*$")) << address;
  const std::string health = http_answer(address, "GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"))
      << health;
  const std::string echo =
      http_answer(address, "POST /_millrace/echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_TRUE(echo.ends_with("\r\n\r\nhi")) << echo;
  expect_refused({"--data", directory.path() + "/other", "--listen", "127.0.0.1:0", "--http",
                  address, "--shards", "1", "--segment-size", "4MiB", "--log-level", "error"},
                 1, address);
  EXPECT_EQ(broker.stop(), 0);
}

TEST(Daemon, ReadsItsFilesAgainOnSighupAndServesOn) {
  const TemporaryDirectory directory;
  const std::string keys = directory.path() + "/keys.toml";
  write_file(keys, "[[key]]\nid = 'AKIA1'\nsecret = '0123456789abcdef'\n");
  expect_refused({"--credentials", keys, "--check-config"}, 2, "chmod 600");
  std::filesystem::permissions(keys, std::filesystem::perms::owner_read);
  EXPECT_EQ(run({"--credentials", keys, "--check-config"}).code, 0);
  // Signatures without TLS are not for other machines.
  expect_refused({"--credentials", keys, "--http", "0.0.0.0:0", "--check-config"}, 2,
                 "there is no encryption");
  BrokerProcess broker(directory.path() + "/data", {"--credentials", keys}, "127.0.0.1:0",
                       "127.0.0.1:0");
  ASSERT_TRUE(broker.ready()) << broker.process().err;
  const char* list = "GET /?Action=ListQueues HTTP/1.0\r\nHost: h\r\n\r\n";
  EXPECT_TRUE(http_answer(broker.http_address(), list).starts_with("HTTP/1.1 403 "));
  std::filesystem::remove(keys);
  for (int i = 0; i < 3; ++i) {
    broker.process().signal(SIGHUP);
    EXPECT_TRUE(http_answer(broker.http_address(), list).starts_with("HTTP/1.1 403 "));
  }
  EXPECT_EQ(broker.stop(), 0) << broker.process().err;
}

TEST(Daemon, RefusesADataDirectoryItCannotUse) {
  const TemporaryDirectory directory;
  const Words rest{"--listen", "127.0.0.1:0", "--shards", "1", "--log-level", "error"};
  const auto refused = [&](const std::string& data, int code, const std::string& err) {
    Words words{"--data", data};
    words.insert(words.end(), rest.begin(), rest.end());
    expect_refused(words, code, err);
  };
  refused(directory.path() + "/missing/parent", 1, "missing/parent");
  write_file(directory.path() + "/file", "x");
  refused(directory.path() + "/file", 1, "file");
  if (::geteuid() != 0) {
    std::filesystem::create_directory(directory.path() + "/locked");
    std::filesystem::permissions(directory.path() + "/locked", std::filesystem::perms::owner_read);
    refused(directory.path() + "/locked/data", 1, "permission");
  }
}

// Overwrites the format version in both copies of every segment header of a directory.
void claim_newer_version(const std::string& folder) {
  constexpr std::streamoff kCopies[] = {0, 4096};
  constexpr std::streamoff kVersionAt = 8;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".segment") continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    for (const std::streamoff copy : kCopies) {
      const uint32_t version = 999;
      file.seekp(copy + kVersionAt);
      file.write(reinterpret_cast<const char*>(&version), sizeof version);
    }
  }
}

TEST(Daemon, DataFromANewerVersionIsExit78AndNamesTheFile) {
  const TemporaryDirectory directory;
  const std::string data = directory.path() + "/data";
  {
    BrokerProcess broker(data);
    ASSERT_TRUE(broker.ready()) << broker.process().err;
    ASSERT_EQ(broker.stop(), 0);
  }
  claim_newer_version(data + "/shard-0");
  expect_refused({"--data", data, "--listen", "127.0.0.1:0", "--log-level", "error"}, 78,
                 "shard-0.*\\.segment .*newer");
}

}  // namespace
}  // namespace millrace::tools
