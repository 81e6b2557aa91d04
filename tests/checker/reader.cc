#include "tests/checker/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <unistd.h>

#include "tests/checker/joiner.h"
#include "tests/checker/json_line.h"

namespace millrace::checker {
namespace {

constexpr size_t kBufferBytes = size_t{4} << 20;

// Hands out the lines of one file. The buffer keeps the bytes behind a line readable, as JsonLine
// wants them.
class LineSource {
 public:
  LineSource() : buffer_(kBufferBytes + JsonLine::kPadding) {}
  ~LineSource() { close_file(); }

  bool open_file(const std::string& path) {
    close_file();
    begin_ = end_ = 0;
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return fd_ >= 0;
  }

  enum class Got : uint8_t { line, torn, end, too_long, failed };

  // `line` is without its newline and lives until the next call.
  Got next(std::string_view& line) {
    size_t searched = begin_;
    for (;;) {
      const void* newline = std::memchr(&buffer_[searched], '\n', end_ - searched);
      if (newline != nullptr) {
        const auto at = static_cast<size_t>(static_cast<const char*>(newline) - buffer_.data());
        line = {&buffer_[begin_], at - begin_};
        begin_ = at + 1;
        return line.size() > kLineBytesMax ? Got::too_long : Got::line;
      }
      if (end_ - begin_ > kLineBytesMax) return Got::too_long;
      std::memmove(buffer_.data(), &buffer_[begin_], end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      searched = end_;
      const ssize_t got = ::read(fd_, &buffer_[end_], kBufferBytes - end_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Got::failed;
      if (got == 0) return end_ == 0 ? Got::end : Got::torn;
      end_ += static_cast<size_t>(got);
    }
  }

 private:
  void close_file() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  int fd_ = -1;
};

std::string read_file(LineSource& source, JsonLine& parser, Joiner& joiner, InputFacts& facts,
                      uint64_t& line_number) {
  std::string_view line;
  for (line_number = 1;; ++line_number) {
    switch (source.next(line)) {
      case LineSource::Got::line:
        break;
      case LineSource::Got::torn:
        ++facts.torn_lines;
        return joiner.finish();
      case LineSource::Got::end:
        line_number = 0;
        return joiner.finish();
      case LineSource::Got::too_long:
        return "a line of more than 1 MiB";
      case LineSource::Got::failed:
        return std::strerror(errno);
    }
    if (line_number > UINT32_MAX) return "more than 4,294,967,295 lines";
    Event event;
    std::string problem = parser.parse(line, event);
    if (problem.empty()) problem = joiner.take(event, static_cast<uint32_t>(line_number));
    if (!problem.empty()) return problem;
    ++facts.lines;
    facts.bytes += line.size() + 1;
  }
}

}  // namespace

bool find_files(const std::vector<std::string>& paths, std::vector<std::string>& files,
                InputError& error) {
  namespace fs = std::filesystem;
  for (const std::string& path : paths) {
    std::error_code problem;
    if (!fs::is_directory(path, problem)) {
      if (!fs::exists(path, problem)) {
        error = {path, 0, "no such file or folder"};
        return false;
      }
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    for (fs::directory_iterator entry(path, problem), end; !problem && entry != end;
         entry.increment(problem)) {
      if (entry->path().extension() == ".jsonl") files.push_back(entry->path().string());
    }
    if (problem) {
      error = {path, 0, problem.message()};
      return false;
    }
    std::sort(files.begin() + static_cast<ptrdiff_t>(before), files.end());
    if (files.size() == before) {
      error = {path, 0, "no *.jsonl file in this folder"};
      return false;
    }
  }
  return true;
}

bool read_files(InputFacts& facts, History& history, InputError& error) {
  LineSource source;
  JsonLine parser;
  for (uint32_t file = 0; file < facts.files.size(); ++file) {
    if (!source.open_file(facts.files[file])) {
      error = {facts.files[file], 0, std::strerror(errno)};
      return false;
    }
    Joiner joiner(history, file);
    uint64_t line_number = 0;
    error.what = read_file(source, parser, joiner, facts, line_number);
    if (!error.what.empty()) {
      error.file = facts.files[file];
      error.line = line_number;
      return false;
    }
  }
  return true;
}

}  // namespace millrace::checker
