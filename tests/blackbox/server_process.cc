#include "tests/blackbox/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/os_clock.h"

namespace millrace::blackbox {
namespace {

int64_t now_ms() {
  return base::os_monotonic_ns() / 1'000'000;
}

}  // namespace

bool ServerProcess::launch(const ServerCommand& command, std::string* why) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    *why = "no pipe";
    return false;
  }
  std::vector<std::string> words = {
      command.program,
      "--data",
      command.data_directory,
      "--listen",
      command.listen.empty() ? "unix:" + command.socket_path : command.listen,
      "--http",
      command.http};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  ready_line_.clear();
  exit_code_ = -1;
  pid_ = fork();
  if (pid_ == 0) {
    // The server must not outlive a test that dies.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const auto& [name, value] : command.environment)
      setenv(name.c_str(), value.c_str(), 1);
    const int log = open(command.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out[1], STDOUT_FILENO);
    if (log >= 0) dup2(log, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(out[1]);
  if (out_ >= 0) close(out_);
  out_ = out[0];
  if (pid_ < 0) *why = "cannot fork";
  return pid_ > 0;
}

bool ServerProcess::start(const ServerCommand& command, int timeout_ms, std::string* why) {
  if (!launch(command, why)) return false;
  if (read_ready_line(timeout_ms)) return true;
  if (ended()) {
    *why = fmt::format("{} ended with code {} before it was ready (see {})", command.program,
                       exit_code_, command.log_path);
  } else {
    *why = fmt::format("{} was not ready in {} ms (see {})", command.program, timeout_ms,
                       command.log_path);
    kill9();
  }
  return false;
}

bool ServerProcess::gone_before_ready(int timeout_ms) {
  return !read_ready_line(timeout_ms) && reap(1000);
}

bool ServerProcess::read_ready_line(int timeout_ms) {
  const int64_t deadline = now_ms() + timeout_ms;
  std::string said;
  while (now_ms() < deadline) {
    pollfd p{out_, POLLIN, 0};
    poll(&p, 1, 50);
    if ((p.revents & (POLLIN | POLLHUP)) != 0) {
      char buffer[512];
      const ssize_t n = read(out_, buffer, sizeof buffer);
      if (n > 0) said.append(buffer, static_cast<size_t>(n));
      if (const size_t end = said.find('\n'); end != std::string::npos) {
        ready_line_ = said.substr(0, end);
        return true;
      }
      if (n == 0) break;
    }
  }
  return false;
}

bool ServerProcess::reap(int timeout_ms) {
  const int64_t deadline = now_ms() + timeout_ms;
  while (pid_ > 0) {
    int status = 0;
    const pid_t gone = waitpid(pid_, &status, WNOHANG);
    if (gone == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      pid_ = -1;
      close(out_);
      out_ = -1;
      return true;
    }
    if (now_ms() >= deadline) return false;
    usleep(500);
  }
  return true;
}

bool ServerProcess::ended() {
  return reap(0);
}

void ServerProcess::kill9() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  reap(10'000);
}

int ServerProcess::terminate(int timeout_ms) {
  if (pid_ <= 0) return exit_code_;
  ::kill(pid_, SIGTERM);
  if (!reap(timeout_ms)) {
    kill9();
    return -1;
  }
  return exit_code_;
}

}  // namespace millrace::blackbox
