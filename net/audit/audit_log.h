// AuditLog: what was done to the server, by whom, from where, and what was refused: a line of JSON
// each, in a file of its own.
//
// record() is called by any shard and never waits: the line goes into a ring, which a thread of the
// log's own empties into the file. With the ring full it is dropped and counted, and the next line
// that is written says how many were. Of refusals, which a stranger can cause as fast as he likes,
// kHeldBackFrom are written in each kHoldBackS seconds, and how many there were besides.
//
// Texts come from outside: each is cut to kTextBytesMax and becomes valid JSON whatever its bytes
// are. No bodies and no secrets are ever given to it. The file is its owner's only and is appended
// to; a link is not followed. Nothing is synced: after a power loss the last lines may be missing.
//
// Threads: record() any; open, reopen and stop from one.   Memory: the ring, at most
// kRingLines lines of some hundred bytes, and never more than 3 KiB each.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "net/audit/line_ring.h"

namespace millrace::net {

// docs/security.md has the table for people; a test holds them together.
enum class AuditEvent : uint8_t {
  server_started,
  server_stopped,
  settings_reread,
  data_quarantined,
  loss_accepted,
  clock_accepted,
  shard_fenced,
  queue_created,
  queue_changed,
  queue_purged,
  queue_deleted,
  policy_changed,
  topic_created,
  topic_changed,
  topic_deleted,
  subscribed,
  subscription_changed,
  unsubscribed,
  move_started,
  move_cancelled,
  backup_started,
  queues_reset,
  logged_in,
  login_refused,
  signature_refused,
  access_denied,
  lines_dropped,
};

struct AuditRow {
  AuditEvent event{};
  std::string_view name;
  bool held_back = false;  // strangers can cause it: how many are written is bounded
};
std::span<const AuditRow> audit_table();

// What is empty is left out of the line.
struct AuditRecord {
  AuditEvent event{};
  std::string_view via{};      // "http", "binary", "server"
  std::string_view from{};     // the peer's address
  std::string_view who{};      // the user's ARN
  std::string_view key{};      // the access key's id
  std::string_view action{};   // as policies call it
  std::string_view queue{};    // its name
  std::string_view topic{};    // likewise
  std::string_view result{};   // "ok", or the name of an error
  std::string_view reason{};   // a line for people
  std::string_view request{};  // its id
};
// The members of a line, in order: "time", "event", those of AuditRecord, "count".
std::span<const std::string_view> audit_members();

class AuditLog {
 public:
  static constexpr size_t kTextBytesMax = 256;
  static constexpr size_t kReasonBytesMax = 1'024;
  static constexpr size_t kRingLines = 4'096;
  static constexpr uint32_t kHeldBackFrom = 50;
  static constexpr int64_t kHoldBackS = 10;

  // "-" is standard error. Null, and one line in `why`, if the file can't be opened, is not a plain
  // file of ours, or may be read or changed by others.
  static std::unique_ptr<AuditLog> open(const std::string& path, std::string* why);
  ~AuditLog();  // stops
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void record(const AuditRecord& record);
  // The file of this name, which somebody may have put in the place of the one in use. False, with
  // a line in `why`: it goes on in the one in use.
  bool reopen(std::string* why);
  // Writes what is in the ring and ends the thread. What is recorded later is dropped.
  void stop();

  uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  // For want of room in the ring, or because the file could not be written.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  // Of one event that is held back. The window is a number of kHoldBackS seconds.
  struct Window {
    std::atomic<int64_t> number{0};
    std::atomic<uint32_t> lines{0};
    std::atomic<uint64_t> held_back{0};
  };
  static constexpr size_t kEventsMax = 32;

  AuditLog(std::string path, int file);
  bool holds_back(AuditEvent event, int64_t now_s);
  void push(std::string line);
  void run();
  void write_all();
  void write_held_back(int64_t now_s, bool all);
  bool write_line(const std::string& line);
  bool anything_held_back() const;

  const std::string path_;
  std::mutex file_mutex_;  // the writer and reopen(), never record()
  int file_;
  bool torn_ = false;  // the last line in the file has no end
  bool complained_ = false;
  const int wake_fd_;
  LineRing ring_{kRingLines};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> dropped_{0};
  uint64_t dropped_told_ = 0;
  std::array<Window, kEventsMax> windows_;
  std::thread writer_;
};

// Does nothing without a log.
inline void record(AuditLog* log, const AuditRecord& record) {
  if (log != nullptr) log->record(record);
}

}  // namespace millrace::net
