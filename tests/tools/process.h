// Process: runs one of our programs and tells how it ended. Broker: a millraced on a directory of
// its own, from its ready line to SIGTERM.
//
// Every wait has an end: a program that hangs is killed and its exit code is 128 + SIGKILL.
#pragma once

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/os_clock.h"
#include "tests/support/temporary_directory.h"

namespace millrace::tools {

class Process {
 public:
  using Arguments = std::vector<std::string>;

  // Starts `arguments` (the first is the program) with `input` on its standard input.
  explicit Process(const Arguments& arguments, const std::string& input = "",
                   const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    int input_pipe[2];
    int output[2];
    int errors[2];
    MR_ASSERT(::pipe2(input_pipe, O_CLOEXEC) == 0 && ::pipe2(output, O_CLOEXEC) == 0 &&
              ::pipe2(errors, O_CLOEXEC) == 0);
    std::signal(SIGPIPE, SIG_IGN);  // a program may end before it has read its input
    pid_ = ::fork();
    MR_ASSERT(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(input_pipe[0], 0);
      ::dup2(output[1], 1);
      ::dup2(errors[1], 2);
      std::signal(SIGPIPE, SIG_DFL);
      for (const auto& [name, value] : environment)
        ::setenv(name.c_str(), value.c_str(), 1);
      std::vector<char*> argv;
      for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(input_pipe[0]);
    ::close(output[1]);
    ::close(errors[1]);
    in_ = input_pipe[1];
    out_ = output[0];
    err_ = errors[0];
    input_ = input;
    ::fcntl(in_, F_SETFL, O_NONBLOCK);
    feed();
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {in_, out_, err_})
      if (fd >= 0) ::close(fd);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Reads until both outputs end, then takes the exit code.
  int finish(int timeout_ms = 30'000) {
    const int64_t end_ns = base::os_monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
    while ((out_ >= 0 || err_ >= 0) && base::os_monotonic_ns() < end_ns)
      read_some(50);
    if (out_ >= 0 || err_ >= 0) ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  // Reads until standard output holds `text`, or the program ends.
  bool wait_for(const std::string& text, int timeout_ms = 30'000) {
    const int64_t end_ns = base::os_monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
    while (out.find(text) == std::string::npos && out_ >= 0 && base::os_monotonic_ns() < end_ns)
      read_some(50);
    return out.find(text) != std::string::npos;
  }
  void signal(int number) const { ::kill(pid_, number); }
  pid_t pid() const { return pid_; }

  std::string out;
  std::string err;

 private:
  void feed() {
    while (in_ >= 0 && !input_.empty()) {
      const ssize_t n = ::write(in_, input_.data(), input_.size());
      if (n <= 0) break;
      input_.erase(0, static_cast<size_t>(n));
    }
    if (input_.empty() && in_ >= 0) {
      ::close(in_);
      in_ = -1;
    }
  }
  void read_some(int wait_ms) {
    pollfd waits[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}, {in_, POLLOUT, 0}};
    if (::poll(waits, 3, wait_ms) <= 0) return;
    if ((waits[2].revents & POLLERR) != 0) input_.clear();
    if (waits[2].revents != 0) feed();
    if (waits[0].revents != 0) take(out_, out);
    if (waits[1].revents != 0) take(err_, err);
  }
  static void take(int& fd, std::string& to) {
    char piece[65536];
    const ssize_t n = ::read(fd, piece, sizeof piece);
    if (n > 0) {
      to.append(piece, static_cast<size_t>(n));
      return;
    }
    ::close(fd);
    fd = -1;
  }

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::string input_;
};

// A broker for as long as the object lives. Small segments, no syncs: what is tested is elsewhere.
class BrokerProcess {
 public:
  explicit BrokerProcess(const std::string& data, std::vector<std::string> more = {},
                         const std::string& listen = "127.0.0.1:0", const std::string& http = "off")
      : process_(arguments(data, std::move(more), listen, http)) {
    ready_ = process_.wait_for("millraced ready: ") && process_.wait_for("\n");
    address_ = told("binary");
  }
  bool ready() const { return ready_; }
  const std::string& address() const { return address_; }
  std::string http_address() const { return told("http"); }
  Process& process() { return process_; }
  int stop() {
    process_.signal(SIGTERM);
    return process_.finish(10'000);
  }

 private:
  static Process::Arguments arguments(const std::string& data, std::vector<std::string> more,
                                      const std::string& listen, const std::string& http) {
    Process::Arguments all{MILLRACED_PATH,   "--data", data,       "--listen", listen,
                           "--segment-size", "4MiB",   "--shards", "2",        "--log-level",
                           "error",          "--http", http};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  // What the ready line says of `key`.
  std::string told(const std::string& key) const {
    const std::string mark = " " + key + "=";
    const size_t at = process_.out.find(mark);
    if (!ready_ || at == std::string::npos) return {};
    const size_t begin = at + mark.size();
    return process_.out.substr(begin, process_.out.find(' ', begin) - begin);
  }

  Process process_;
  bool ready_ = false;
  std::string address_;
};

}  // namespace millrace::tools
