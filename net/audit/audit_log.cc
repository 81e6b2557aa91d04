#include "net/audit/audit_log.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/json_string.h"
#include "base/log_line.h"
#include "base/os_clock.h"
#include "base/printable.h"

namespace millrace::net {
namespace {

using Event = AuditEvent;

constexpr AuditRow kRows[] = {
    {Event::server_started, "server.started"},
    {Event::server_stopped, "server.stopped"},
    {Event::settings_reread, "settings.reread"},
    {Event::data_quarantined, "data.quarantined"},
    {Event::loss_accepted, "loss.accepted"},
    {Event::clock_accepted, "clock.accepted"},
    {Event::shard_fenced, "shard.fenced"},
    {Event::queue_created, "queue.created"},
    {Event::queue_changed, "queue.changed"},
    {Event::queue_purged, "queue.purged"},
    {Event::queue_deleted, "queue.deleted"},
    {Event::policy_changed, "policy.changed"},
    {Event::topic_created, "topic.created"},
    {Event::topic_changed, "topic.changed"},
    {Event::topic_deleted, "topic.deleted"},
    {Event::subscribed, "subscription.created"},
    {Event::subscription_changed, "subscription.changed"},
    {Event::unsubscribed, "subscription.deleted"},
    {Event::move_started, "move.started"},
    {Event::move_cancelled, "move.cancelled"},
    {Event::backup_started, "backup.started"},
    {Event::queues_reset, "queues.reset"},
    {Event::logged_in, "login.accepted", true},
    {Event::login_refused, "login.refused", true},
    {Event::signature_refused, "signature.refused", true},
    {Event::access_denied, "access.denied", true},
    {Event::lines_dropped, "audit.dropped"},
};

struct Member {
  std::string_view name;
  std::string_view AuditRecord::*text;
  size_t bytes_max;
};
constexpr Member kMembers[] = {
    {"via", &AuditRecord::via, AuditLog::kTextBytesMax},
    {"from", &AuditRecord::from, AuditLog::kTextBytesMax},
    {"who", &AuditRecord::who, AuditLog::kTextBytesMax},
    {"key", &AuditRecord::key, AuditLog::kTextBytesMax},
    {"action", &AuditRecord::action, AuditLog::kTextBytesMax},
    {"queue", &AuditRecord::queue, AuditLog::kTextBytesMax},
    {"topic", &AuditRecord::topic, AuditLog::kTextBytesMax},
    {"result", &AuditRecord::result, AuditLog::kTextBytesMax},
    {"reason", &AuditRecord::reason, AuditLog::kReasonBytesMax},
    {"request", &AuditRecord::request, AuditLog::kTextBytesMax},
};
constexpr std::string_view kNames[] = {"time",   "event",   "via",   "from",  "who",
                                       "key",    "action",  "queue", "topic", "result",
                                       "reason", "request", "count"};
static_assert(std::size(kNames) == std::size(kMembers) + 3);

const AuditRow& row_of(AuditEvent event) {
  const AuditRow& row = kRows[static_cast<size_t>(event)];
  MR_ASSERT(row.event == event);
  return row;
}

std::string line_of(const AuditRecord& record, uint64_t count) {
  std::string line = fmt::format(R"({{"time":"{}","event":"{}")",
                                 base::utc_text(base::os_wall_ms()), row_of(record.event).name);
  for (const Member& member : kMembers) {
    const std::string_view text = record.*member.text;
    if (text.empty()) continue;
    line += fmt::format(R"(,"{}":)", member.name);
    base::append_json_string(line, base::printable(text, member.bytes_max));
  }
  if (count > 0) line += fmt::format(R"(,"count":{})", count);
  line += "}\n";
  return line;
}

int64_t now_s() {
  return base::os_monotonic_ns() / 1'000'000'000;
}

// -1, and one line in `why`.
int open_file(const std::string& path, std::string* why) {
  if (path == "-") return ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  const auto refuse = [&](int file, std::string_view text) {
    *why = fmt::format("{}: {}", path, text);
    if (file >= 0) ::close(file);
    return -1;
  };
  // Not to hang in the opening of a named pipe.
  const int file = ::open(
      path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (file < 0)
    return refuse(-1,
                  errno == ELOOP ? "it is a link, which is not followed" : std::strerror(errno));
  struct stat status {};
  if (::fstat(file, &status) != 0) return refuse(file, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return refuse(file, "it is not a file");
  if (status.st_uid != ::geteuid()) return refuse(file, "it belongs to another user");
  if ((status.st_mode & 077) != 0)
    return refuse(file, fmt::format("others may read or change it (mode {:04o}); chmod 600 it",
                                    status.st_mode & 07777));
  return file;
}

}  // namespace

std::span<const AuditRow> audit_table() {
  return kRows;
}

std::span<const std::string_view> audit_members() {
  return kNames;
}

std::unique_ptr<AuditLog> AuditLog::open(const std::string& path, std::string* why) {
  const int file = open_file(path, why);
  if (file < 0) return nullptr;
  return std::unique_ptr<AuditLog>(new AuditLog(path, file));
}

AuditLog::AuditLog(std::string path, int file)
    : path_(std::move(path)), file_(file), wake_fd_(::eventfd(0, EFD_CLOEXEC)) {
  MR_ASSERT(wake_fd_ >= 0);
  static_assert(std::size(kRows) <= kEventsMax);
  writer_ = std::thread([this] { run(); });
}

AuditLog::~AuditLog() {
  stop();
  ::close(file_);
  ::close(wake_fd_);
}

// --- any thread ---

void AuditLog::record(const AuditRecord& record) {
  if (row_of(record.event).held_back && holds_back(record.event, now_s())) return;
  push(line_of(record, 0));
}

bool AuditLog::holds_back(AuditEvent event, int64_t at_s) {
  Window& window = windows_[static_cast<size_t>(event)];
  const int64_t number = at_s / kHoldBackS;
  int64_t last = window.number.load(std::memory_order_relaxed);
  // Two that begin a window at once may write a line more or less than the bound; none is lost.
  if (last != number && window.number.compare_exchange_strong(last, number))
    window.lines.store(0, std::memory_order_relaxed);
  if (window.lines.fetch_add(1, std::memory_order_relaxed) < kHeldBackFrom) return false;
  // The first one wakes the writer, which then looks again when the window is over.
  if (window.held_back.fetch_add(1, std::memory_order_acq_rel) == 0 &&
      asleep_.exchange(false, std::memory_order_acq_rel)) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
  }
  return true;
}

void AuditLog::push(std::string line) {
  if (stopping_.load(std::memory_order_acquire) || !ring_.push(std::move(line))) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  // The writer's own exchange comes before this one, and it is woken, or after, and it sees the
  // line.
  if (!asleep_.exchange(false, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

// --- the writer ---

void AuditLog::run() {
  ::pthread_setname_np(::pthread_self(), "audit");
  pollfd wait{wake_fd_, POLLIN, 0};
  while (true) {
    const bool last = stopping_.load(std::memory_order_acquire);
    write_all();
    write_held_back(now_s(), last);
    if (last) return;
    asleep_.exchange(true, std::memory_order_acq_rel);
    // What came before the exchange.
    write_all();
    constexpr int kForever = -1;
    constexpr int kLookMs = 1'000;
    if (::poll(&wait, 1, anything_held_back() ? kLookMs : kForever) > 0) {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t read = ::read(wake_fd_, &count, sizeof count);
    }
    asleep_.store(false, std::memory_order_release);
  }
}

void AuditLog::write_all() {
  std::string line;
  while (ring_.pop(&line)) {
    if (write_line(line)) {
      written_.fetch_add(1, std::memory_order_relaxed);
    } else {
      dropped_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  if (dropped == dropped_told_) return;
  const AuditRecord told{.event = AuditEvent::lines_dropped, .via = "server"};
  if (write_line(line_of(told, dropped - dropped_told_))) dropped_told_ = dropped;
}

bool AuditLog::anything_held_back() const {
  for (const Window& window : windows_) {
    if (window.held_back.load(std::memory_order_acquire) > 0) return true;
  }
  return false;
}

void AuditLog::write_held_back(int64_t at_s, bool all) {
  for (const AuditRow& row : kRows) {
    Window& window = windows_[static_cast<size_t>(row.event)];
    const bool over = window.number.load(std::memory_order_relaxed) < at_s / kHoldBackS;
    if (!over && !all) continue;
    const uint64_t count = window.held_back.exchange(0, std::memory_order_acq_rel);
    if (count == 0) continue;
    const AuditRecord more{
        .event = row.event, .via = "server", .reason = "as many more, which were not written"};
    if (write_line(line_of(more, count))) {
      written_.fetch_add(1, std::memory_order_relaxed);
    } else {
      dropped_.fetch_add(count, std::memory_order_relaxed);
    }
  }
}

bool AuditLog::write_line(const std::string& line) {
  const std::lock_guard lock(file_mutex_);
  // The end of a line of which only a part was written, so that this one is read by itself.
  const std::string whole = torn_ ? "\n" + line : line;
  size_t at = 0;
  while (at < whole.size()) {
    const ssize_t n = ::write(file_, whole.data() + at, whole.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      torn_ = torn_ || at > 0;
      if (!complained_)
        base::log_line(base::LogLevel::error, "audit", "{}: cannot be written: {}", path_,
                       std::strerror(errno));
      complained_ = true;
      return false;
    }
    at += static_cast<size_t>(n);
  }
  torn_ = complained_ = false;
  return true;
}

// --- one thread ---

bool AuditLog::reopen(std::string* why) {
  if (path_ == "-") return true;
  const int file = open_file(path_, why);
  if (file < 0) return false;
  const std::lock_guard lock(file_mutex_);
  ::close(std::exchange(file_, file));
  torn_ = false;
  return true;
}

void AuditLog::stop() {
  if (!writer_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
  writer_.join();
}

}  // namespace millrace::net
