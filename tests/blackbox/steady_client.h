// SteadyClient: a client that does everything right, as fast as it is answered, on a thread of its
// own: the one that others' abuse must not hurt.
//
// It sends a message, receives it and acknowledges it, one request after the other. Any answer but
// the one it deserves is its failure. It may also only send; then it remembers what was
// acknowledged, and a refusal or a closed connection ends it without being a failure.
//
// Threads: the owner's; turns() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace::blackbox {

// One protocol's way to do it; blocking. All but `connect` return false at any other answer than
// success, and say why.
class SteadyPort {
 public:
  virtual ~SteadyPort() = default;
  virtual bool send(const std::string& body) = 0;
  // The body of the one message there is, acknowledged.
  virtual bool take(std::string* body) = 0;
  const std::string& why() const { return why_; }

 protected:
  bool failed(std::string why) {
    why_ = std::move(why);
    return false;
  }
  std::string why_;
};

// Connects and makes the queue; null, with `why`, if that fails. `address` is "127.0.0.1:PORT".
std::unique_ptr<SteadyPort> steady_binary(const std::string& address, const std::string& queue,
                                          std::string* why);
std::unique_ptr<SteadyPort> steady_http(const std::string& address, const std::string& queue,
                                        std::string* why);

class SteadyClient {
 public:
  SteadyClient(std::string name, std::unique_ptr<SteadyPort> port, bool only_sends)
      : name_(std::move(name)), port_(std::move(port)), only_sends_(only_sends) {
    thread_ = std::thread([this] { run(); });
  }
  ~SteadyClient() { stop(); }
  SteadyClient(const SteadyClient&) = delete;
  SteadyClient& operator=(const SteadyClient&) = delete;

  // It finishes its turn first, or begins with the next.
  void pause(bool paused) { paused_.store(paused, std::memory_order_relaxed); }
  // Idempotent. After it: failure(), empty if there was none, and what was acknowledged.
  void stop();
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  const std::string& name() const { return name_; }
  const std::string& failure() const { return failure_; }
  const std::vector<std::string>& acknowledged() const { return acknowledged_; }

 private:
  void run();

  const std::string name_;
  const std::unique_ptr<SteadyPort> port_;
  const bool only_sends_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> paused_{false};
  std::atomic<bool> ended_{false};
  std::atomic<uint64_t> turns_{0};
  std::string failure_;
  std::vector<std::string> acknowledged_;
  std::thread thread_;
};

}  // namespace millrace::blackbox
