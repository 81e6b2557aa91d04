// ServerProcess: a real millraced, started, killed and started again by a test.
//
// The server listens on a unix socket in the test's folder and is known by its own pid only.
// Threads: one.
#pragma once

#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace millrace::blackbox {

struct ServerCommand {
  std::string program;  // path of millraced
  std::string data_directory;
  std::string socket_path{};           // or
  std::string listen{};                // another address for the binary protocol
  std::vector<std::string> arguments;  // more flags
  std::vector<std::pair<std::string, std::string>> environment;
  std::string http = "off";  // where it listens for HTTP
  std::string log_path;      // its standard error is appended here
};

class ServerProcess {
 public:
  ServerProcess() = default;
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { kill9(); }

  // Starts it and waits for its ready line. False, with `why`, if it ends or says nothing in
  // `timeout_ms`.
  bool start(const ServerCommand& command, int timeout_ms, std::string* why);
  // Starts it without waiting for anything.
  bool launch(const ServerCommand& command, std::string* why);
  // After launch(): true if it ended before it said that it is ready.
  bool gone_before_ready(int timeout_ms);
  // SIGKILL, and waits until it is gone. Nothing happens if it is not running.
  void kill9();
  // SIGTERM; returns the exit code, -1 if it did not end in `timeout_ms` (it is killed then) or by
  // a signal.
  int terminate(int timeout_ms);
  // True if it ended by itself; then exit_code() says how (-1: by a signal).
  bool ended();
  bool gone_within(int timeout_ms) { return reap(timeout_ms); }
  int exit_code() const { return exit_code_; }
  pid_t pid() const { return pid_; }
  const std::string& ready_line() const { return ready_line_; }

 private:
  bool read_ready_line(int timeout_ms);
  bool reap(int timeout_ms);

  pid_t pid_ = -1;
  int out_ = -1;
  int exit_code_ = -1;
  std::string ready_line_;
};

}  // namespace millrace::blackbox
