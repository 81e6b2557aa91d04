// The audit log: what a line says, what becomes of too many, and its file.
#include "net/audit/audit_log.h"

#include <csignal>
#include <fstream>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/net/login_peer.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net {
namespace {

using Json = nlohmann::ordered_json;
using test::Answer;
using wire::Opcode;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

class Audit : public testing::Test {
 protected:
  void SetUp() override { log_ = AuditLog::open(path_, &why_); }
  // All lines, as JSON; the log is stopped.
  std::vector<Json> told() {
    log_->stop();
    std::vector<Json> told;
    for (const std::string& line : lines_of(path_))
      told.push_back(Json::parse(line));
    return told;
  }
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "audit.log";
  std::string why_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(Audit, ALineHasItsMembersInOrderAndNoneThatIsEmpty) {
  log_->record({.event = AuditEvent::queue_deleted,
                .via = "http",
                .from = "10.0.0.7",
                .who = "arn",
                .key = "AKIA",
                .action = "DeleteQueue",
                .queue = "orders",
                .topic = "events",
                .result = "ok",
                .reason = "because",
                .request = "r-1"});
  log_->record({.event = AuditEvent::server_stopped});
  const std::vector<Json> lines = told();
  ASSERT_EQ(lines.size(), 2u);
  std::vector<std::string> members;
  for (const auto& [name, value] : lines[0].items())
    members.push_back(name);
  const auto all = audit_members();
  EXPECT_EQ(members, std::vector<std::string>(all.begin(), all.end() - 1));
  EXPECT_EQ(lines[0]["event"], "queue.deleted");
  EXPECT_EQ(lines[0]["queue"], "orders");
  EXPECT_EQ(lines[0]["time"].get<std::string>().size(), 24u);
  EXPECT_EQ(lines[1].size(), 2u);
  EXPECT_EQ(log_->written(), 2u);
}

TEST_F(Audit, WhatStrangersSayIsCutAndStaysOneLineOfJson) {
  std::string all;
  for (int c = 0; c < 256; ++c)
    all += static_cast<char>(c);
  const std::string text = all + std::string(10'000, '"');
  log_->record({.event = AuditEvent::queue_created,
                .via = text,
                .from = text,
                .who = text,
                .key = text,
                .action = text,
                .queue = text,
                .result = text,
                .reason = text,
                .request = text});
  log_->record({.event = AuditEvent::queue_created, .queue = "\n{\"event\":\"forged\"}\n"});
  const std::vector<Json> lines = told();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LE(lines[0]["queue"].get<std::string>().size(), AuditLog::kTextBytesMax + 3);
  EXPECT_LT(lines_of(path_)[0].size(), 8'192u);
  EXPECT_EQ(lines[1]["queue"], "?{\"event\":\"forged\"}?");
}

TEST_F(Audit, OfRefusalsSomeAreWrittenAndAllAreCounted) {
  for (int i = 0; i < 1'000; ++i)
    log_->record({.event = AuditEvent::login_refused, .from = "10.0.0.7"});
  log_->record({.event = AuditEvent::queue_deleted});
  uint64_t counted = 0;
  uint64_t written = 0;
  for (const Json& line : told()) {
    if (line["event"] != "login.refused") continue;
    if (line.contains("count"))
      counted += line["count"].get<uint64_t>();
    else
      ++written;
  }
  EXPECT_EQ(written + counted, 1'000u);
  EXPECT_GE(written, AuditLog::kHeldBackFrom);
  // The machine may have been slow enough for a second window, not for more.
  EXPECT_LE(written, 3 * AuditLog::kHeldBackFrom);
}

TEST_F(Audit, EachLineOfManyThreadsIsWrittenOrCounted) {
  constexpr int kThreads = 8;
  constexpr int kEach = 2'000;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i)
        log_->record({.event = AuditEvent::queue_changed,
                      .from = std::to_string(thread),
                      .request = std::to_string(i)});
    });
  for (std::thread& thread : threads)
    thread.join();
  std::vector<int> next(kThreads, 0);
  uint64_t dropped = 0;
  uint64_t written = 0;
  for (const Json& line : told()) {
    if (line["event"] == "audit.dropped") {
      dropped += line["count"].get<uint64_t>();
      continue;
    }
    ++written;
    // Of one thread they come in order.
    int& expected = next[static_cast<size_t>(std::stoi(line["from"].get<std::string>()))];
    const int number = std::stoi(line["request"].get<std::string>());
    EXPECT_GE(number, expected);
    expected = number + 1;
  }
  EXPECT_EQ(written, log_->written());
  EXPECT_EQ(dropped, log_->dropped());
  EXPECT_EQ(written + dropped, uint64_t{kThreads} * kEach);
}

TEST(LineRing, RefusesWhatItHasNoRoomForAndGivesBackInOrder) {
  LineRing ring(4);
  std::string line;
  EXPECT_FALSE(ring.pop(&line));
  int in = 0;
  int out = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i)
      EXPECT_TRUE(ring.push(std::to_string(in++)));
    EXPECT_FALSE(ring.push("no room"));
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(ring.pop(&line));
      EXPECT_EQ(line, std::to_string(out++));
    }
    ASSERT_TRUE(ring.pop(&line));
    EXPECT_EQ(line, std::to_string(out++));
    EXPECT_FALSE(ring.pop(&line));
  }
}

TEST_F(Audit, AfterTheEndLinesAreDroppedAndCounted) {
  log_->stop();
  log_->record({.event = AuditEvent::queue_deleted});
  EXPECT_EQ(log_->written(), 0u);
  EXPECT_EQ(log_->dropped(), 1u);
}

TEST_F(Audit, ItsFileIsForItsOwnerAndIsAppendedTo) {
  log_->record({.event = AuditEvent::server_started});
  log_->stop();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  log_ = AuditLog::open(path_, &why_);
  log_->record({.event = AuditEvent::server_started});
  EXPECT_EQ(told().size(), 2u);
}

TEST_F(Audit, AFileThatOthersReadALinkAPipeAndAFolderAreRefused) {
  const std::string open_to_all = directory_.write("open", "");
  ::chmod(open_to_all.c_str(), 0644);
  const std::string link = directory_ / "link";
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::pair<std::string, const char*> rows[] = {
      {open_to_all, "chmod 600 it"},
      {link, "it is a link"},
      {pipe, ""},
      {directory_.path(), "directory"},
      {directory_ / "none/audit.log", "No such file"},
  };
  for (const auto& [path, part] : rows) {
    EXPECT_EQ(AuditLog::open(path, &why_), nullptr) << path;
    EXPECT_NE(why_.find(part), std::string::npos) << why_;
    EXPECT_EQ(why_.find(path), 0u) << why_;
  }
}

TEST_F(Audit, IsOpenedAgainUnderItsName) {
  log_->record({.event = AuditEvent::server_started});
  // Until it is written: what comes after the new file is in place is in the new one.
  for (int tries = 0; log_->written() < 1 && tries < 10'000; ++tries)
    ::usleep(1'000);
  const std::string rotated = directory_ / "audit.1";
  ASSERT_EQ(::rename(path_.c_str(), rotated.c_str()), 0);
  ASSERT_TRUE(log_->reopen(&why_)) << why_;
  log_->record({.event = AuditEvent::server_stopped});
  EXPECT_EQ(told().size(), 1u);
  EXPECT_EQ(lines_of(rotated).size(), 1u);
  // What can't be opened changes nothing.
  log_ = AuditLog::open(path_, &why_);
  ASSERT_EQ(::rename(path_.c_str(), rotated.c_str()), 0);
  ASSERT_EQ(::symlink("/nowhere", path_.c_str()), 0);
  EXPECT_FALSE(log_->reopen(&why_));
  log_->record({.event = AuditEvent::server_stopped});
  log_->stop();
  EXPECT_EQ(lines_of(rotated).size(), 2u);
}

TEST_F(Audit, ALineThatDidNotFitIsDroppedAndTheNextStandsByItself) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 50;  // a part of the first line
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  log_->record({.event = AuditEvent::queue_created, .queue = "one"});
  for (int tries = 0; log_->dropped() < 1 && tries < 10'000; ++tries)
    ::usleep(1'000);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  log_->record({.event = AuditEvent::queue_created, .queue = "two"});
  log_->stop();
  std::signal(SIGXFSZ, SIG_DFL);
  const std::vector<std::string> lines = lines_of(path_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].size(), 50u);
  EXPECT_EQ(Json::parse(lines[1])["queue"], "two");
  EXPECT_EQ(Json::parse(lines[2])["event"], "audit.dropped");
  EXPECT_EQ(Json::parse(lines[2])["count"], 1);
}

// Whether a line of docs/security.md is a row about `name`.
bool has_row(const std::vector<std::string>& page, std::string_view name) {
  const std::string start = "| `" + std::string(name) + "` |";
  for (const std::string& line : page)
    if (line.rfind(start, 0) == 0) return true;
  return false;
}

TEST(AuditDocument, NamesEachEventAndMemberAndNoOthers) {
  std::vector<std::string> page;
  bool inside = false;
  for (const std::string& line : lines_of(MILLRACE_SOURCE_DIR "/docs/security.md")) {
    if (line.rfind("## ", 0) == 0) inside = line == "## The audit log";
    if (inside) page.push_back(line);
  }
  size_t rows = 0;
  for (const std::string& line : page)
    rows += line.rfind("| `", 0) == 0 ? 1 : 0;
  for (const AuditRow& row : audit_table())
    EXPECT_TRUE(has_row(page, row.name)) << row.name;
  for (const std::string_view member : audit_members())
    EXPECT_TRUE(has_row(page, member)) << member;
  EXPECT_EQ(rows, audit_table().size() + audit_members().size());
}

// --- what a session tells it ---

class SessionAudit : public Audit {
 protected:
  test::LoginServer server_{"[[user.rule]]\nallow = [\"GetQueueUrl\"]"};
  test::Peer::Guard guard() {
    return {.gatekeeper = server_.gatekeeper.get(), .audit = log_.get()};
  }
};

TEST_F(SessionAudit, LogInsRefusalsAndChangesAreTold) {
  test::Peer peer({}, guard());
  ASSERT_TRUE(test::log_in(peer, "ROOT").is(Opcode::login_proof));
  peer.say(test::queue_create(4, "orders"));
  const auto queue = QueueId{peer.hear_one().as<wire::QueueRef>().queue_id};
  peer.say(test::queue_set(5, queue, {.attributes = {{"DelaySeconds", "1"}}}));
  peer.say(test::queue_set(6, queue, {.attributes = {{"Policy", ""}}}));
  peer.say(test::frame(Opcode::queue_purge, 7, test::bytes_of(wire::QueueRef{raw(queue), 0})));
  peer.say(test::queue_set(8, queue, {.attributes = {{"DelaySeconds", "never"}}}));
  peer.say(test::frame(Opcode::queue_delete, 9, test::bytes_of(wire::QueueRef{raw(queue), 0})));
  peer.say(test::send(10, queue, {"a body is nobody's business"}));
  peer.hear();
  test::Peer stranger({}, guard());
  test::log_in(stranger, "ROOT", "not-the-secret-at-all");
  test::Peer worker({}, guard());
  worker.port.add_queue("orders");
  test::log_in(worker, "WORKER");
  worker.say(test::receive(4, QueueId{1}, 1));
  worker.hear();

  const std::vector<Json> lines = told();
  const std::vector<std::vector<std::string>> expected = {
      {"login.accepted", "ROOT", "", "", "ok", "3"},
      {"queue.created", "ROOT", "CreateQueue", "orders", "ok", "4"},
      {"queue.changed", "ROOT", "SetQueueAttributes", "orders", "ok", "5"},
      {"policy.changed", "ROOT", "SetQueueAttributes", "orders", "ok", "6"},
      {"queue.purged", "ROOT", "PurgeQueue", "orders", "ok", "7"},
      {"queue.changed", "ROOT", "SetQueueAttributes", "orders", "invalid_argument", "8"},
      {"queue.deleted", "ROOT", "DeleteQueue", "orders", "ok", "9"},
      {"login.refused", "ROOT", "", "", "login_refused", "3"},
      {"login.accepted", "WORKER", "", "", "ok", "3"},
      {"access.denied", "WORKER", "ReceiveMessage", "orders", "access_denied", "4"},
  };
  ASSERT_EQ(lines.size(), expected.size());
  const std::string whole = Json(lines).dump();
  EXPECT_EQ(whole.find("nobody's business"), std::string::npos);
  EXPECT_EQ(whole.find("secret-at-all"), std::string::npos);
  EXPECT_EQ(whole.find(test::kSecret), std::string::npos);
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto text = [&](const char* name) { return lines[i].value(name, std::string()); };
    EXPECT_EQ((std::vector<std::string>{text("event"), text("key"), text("action"), text("queue"),
                                        text("result"), text("request")}),
              expected[i])
        << i;
    EXPECT_EQ(text("via"), "binary") << i;
    EXPECT_EQ(text("from"), "process 0") << i;
  }
}

TEST_F(SessionAudit, AChangeWhoseAnswerNobodyHearsIsToldToo) {
  // The connection is closed, breaks, or ends by a mistake of the client's.
  for (const int how : {0, 1, 2}) {
    test::Peer peer({}, guard());
    ASSERT_TRUE(test::log_in(peer, "ROOT").is(Opcode::login_proof));
    const QueueId queue = peer.port.add_queue("orders");
    peer.port.held = true;
    peer.say(test::frame(Opcode::queue_purge, 4, test::bytes_of(wire::QueueRef{raw(queue), 0})));
    if (how == 1) peer.session.abandon();
    if (how == 2) peer.say(test::hello(1));
  }
  const std::vector<Json> lines = told();
  ASSERT_EQ(lines.size(), 6u);
  for (const size_t at : {1u, 3u, 5u}) {
    EXPECT_EQ(lines[at]["event"], "queue.purged");
    EXPECT_EQ(lines[at]["queue"], "orders");
    EXPECT_EQ(lines[at]["result"], "unknown");
    EXPECT_EQ(lines[at]["request"], "4");
  }
}

}  // namespace
}  // namespace millrace::net
