// HistoryWriter: writes one client's file of a history, in the format of README.md.
//
// The one rule that makes a history trustworthy: the invocation is in the file before a byte of the
// request is sent, so that whatever a server does can be traced to a line. begin() therefore writes
// at once, together with the ends gathered since; begin_later() and flush() do the same for a batch
// of operations sent in one go. Ends are only gathered: losing the last of them turns acknowledged
// into unknown, which weakens the verdict and never falsifies it.
//
//   HistoryWriter history;
//   if (!history.open(folder + "/c3.jsonl", "c3")) ...
//   const uint64_t i = history.begin("send", {.q = "orders", .k = "c3-42", .h = body_hash(body)});
//   ... send, wait ...
//   history.end(i, "ok", "send", {.m = id, .dur = "commit", .lsn = "2:88123"});
//
// The file is opened with O_APPEND and written with plain write(2): what was written survives the
// client's own death. Put it on a file system that the test does not break. A write that fails
// makes failed() true for good; the harness must then stop, since what follows would be missing.
// Threads: one writer per thread. Memory: the ends gathered between two invocations.
// Needs the standard library only.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <time.h>
#include <unistd.h>

namespace millrace::checker {

// The fields of a line besides t, p, i, ev and op. Empty or absent ones are left out. v and dl are
// milliseconds.
struct HistoryFields {
  std::string_view q{}, k{}, h{}, g{}, d{}, m{}, r{}, dq{};
  std::optional<uint64_t> n{}, s{}, mr{};
  std::optional<uint32_t> v{}, dl{};
  std::string_view dur{}, lsn{}, err{};
};

// 16 hex digits over a body, and attributes if the caller appends them (FNV-1a, 64 bits).
inline std::string body_hash(std::string_view body) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char byte : body) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3ULL;
  }
  std::string text(16, '0');
  for (size_t at = 16; at-- > 0; hash >>= 4)
    text[at] = "0123456789abcdef"[hash & 15];
  return text;
}

class HistoryWriter {
 public:
  HistoryWriter() = default;
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;
  ~HistoryWriter() { close(); }

  // Opens or continues a file. `client` is the `p` of every line; a client that continues a file
  // must give the first number it has not used.
  bool open(const std::string& path, std::string_view client, uint64_t first_number = 1) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    client_ = client;
    next_number_ = first_number;
    failed_ = fd_ < 0;
    return !failed_;
  }

  // Writes the invocation; on return it is in the file. Returns the operation's number.
  uint64_t begin(std::string_view op, const HistoryFields& fields) {
    const uint64_t number = begin_later(op, fields);
    flush();
    return number;
  }

  // As begin(), for one of a batch: call flush() before the first byte of the batch is sent.
  uint64_t begin_later(std::string_view op, const HistoryFields& fields) {
    return begin_at(now(), op, fields);
  }

  // As begin_later(), for what the harness did at a time it noted.
  uint64_t begin_at(int64_t t, std::string_view op, const HistoryFields& fields) {
    const uint64_t number = next_number_++;
    line(t, number, "inv", op, fields);
    return number;
  }

  // Gathers an end: phase is ok, fail or info. Call it after the answer was read. A receive that
  // brought several messages has one ok each, with nothing of the same client's ends in between.
  void end(uint64_t number, std::string_view phase, std::string_view op,
           const HistoryFields& fields) {
    line(now(), number, phase, op, fields);
    if (gathered_.size() >= kGatheredBytesMax) flush();
  }

  // Writes all that was gathered. False if that failed, now or before.
  bool flush() {
    size_t done = 0;
    while (!failed_ && done < gathered_.size()) {
      const ssize_t put = ::write(fd_, gathered_.data() + done, gathered_.size() - done);
      if (put >= 0) {
        done += static_cast<size_t>(put);
      } else if (errno != EINTR) {
        failed_ = true;
      }
    }
    gathered_.clear();
    return !failed_;
  }

  bool close() {
    if (fd_ < 0) return !failed_;
    flush();
    if (::close(fd_) != 0) failed_ = true;
    fd_ = -1;
    return !failed_;
  }

  bool failed() const { return failed_; }

  // CLOCK_MONOTONIC, one clock for all processes of the machine.
  static int64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

 private:
  static constexpr size_t kGatheredBytesMax = size_t{1} << 16;

  void line(int64_t t, uint64_t number, std::string_view phase, std::string_view op,
            const HistoryFields& fields) {
    gathered_ += "{\"t\":" + std::to_string(t);
    text("p", client_);
    gathered_ += ",\"i\":" + std::to_string(number);
    text("ev", phase);
    text("op", op);
    text("q", fields.q);
    text("k", fields.k);
    text("h", fields.h);
    text("g", fields.g);
    text("d", fields.d);
    text("m", fields.m);
    text("r", fields.r);
    whole("n", fields.n);
    whole("s", fields.s);
    text("dq", fields.dq);
    whole("mr", fields.mr);
    whole("v", fields.v);
    whole("dl", fields.dl);
    text("dur", fields.dur);
    text("lsn", fields.lsn);
    text("err", fields.err);
    gathered_ += "}\n";
  }

  void field(std::string_view name) {
    gathered_ += ",\"";
    gathered_ += name;
    gathered_ += "\":";
  }
  void whole(std::string_view name, std::optional<uint64_t> value) {
    if (!value) return;
    field(name);
    gathered_ += std::to_string(*value);
  }
  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    field(name);
    gathered_ += '"';
    for (const char letter : value) {
      if (letter == '"' || letter == '\\') gathered_ += '\\';
      if (static_cast<unsigned char>(letter) >= 0x20) {
        gathered_ += letter;
      } else {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(letter));
        gathered_ += escaped;
      }
    }
    gathered_ += '"';
  }

  int fd_ = -1;
  bool failed_ = false;
  uint64_t next_number_ = 1;
  std::string client_, gathered_;
};

}  // namespace millrace::checker
