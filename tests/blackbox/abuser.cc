#include "tests/blackbox/abuser.h"

#include <array>
#include <deque>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "tests/blackbox/abuse_peer.h"

namespace millrace::blackbox {
namespace {

constexpr int64_t kAbuserMsNs = 1'000'000;
constexpr std::string_view kEcho = "/_millrace/echo";
// Below the 256 of an address that have not said HELLO, however slowly they come.
constexpr uint32_t kAddresses = 100;

uint8_t address_of(size_t number) {
  return static_cast<uint8_t>(2 + number % kAddresses);
}

class SlowAbuser final : public Abuser {
 public:
  SlowAbuser(const AbuseTarget& target, uint32_t connections, int64_t byte_ms)
      : target_(target),
        peers_(connections),
        byte_ns_(byte_ms * kAbuserMsNs),
        frame_(echo_frame(2, 256 << 10)),
        request_(http_request("POST", kEcho, 256 << 10)) {}

  bool begin(std::string* why) override {
    for (size_t i = 0; i < peers_.size(); ++i) {
      if (open(i)) continue;
      *why = fmt::format("slow connection {} could not be opened", i);
      return false;
    }
    next_ns_ = base::os_monotonic_ns();
    return true;
  }
  void step() override {
    const int64_t each_ns = std::max<int64_t>(1, byte_ns_ / static_cast<int64_t>(peers_.size()));
    const int64_t now_ns = base::os_monotonic_ns();
    for (; next_ns_ <= now_ns; next_ns_ += each_ns) {
      const size_t i = turn_++ % peers_.size();
      Slow& slow = peers_[i];
      const std::string& all = is_binary(i) ? frame_ : request_;
      const bool gone = slow.peer.drop_input() < 0 ||
                        slow.peer.send_some(std::string_view(all).substr(slow.sent, 1)) < 0;
      slow.sent = (slow.sent + 1) % all.size();
      if (gone && !open(i)) failure_ = "a slow connection that was closed could not come again";
    }
    ::usleep(500);
  }
  void end() override {
    for (Slow& slow : peers_)
      slow.peer.reset();
  }
  uint64_t connections() const override { return peers_.size(); }

 private:
  struct Slow {
    AbusePeer peer;
    size_t sent = 0;
  };
  static bool is_binary(size_t i) { return i % 2 == 0; }
  bool open(size_t i) {
    Slow& slow = peers_[i];
    slow.sent = 0;
    return is_binary(i) ? slow.peer.greet(target_.binary, address_of(i))
                        : slow.peer.connect(target_.http, address_of(i));
  }

  const AbuseTarget target_;
  std::vector<Slow> peers_;
  const int64_t byte_ns_;
  const std::string frame_, request_;
  size_t turn_ = 0;
  int64_t next_ns_ = 0;
};

class DeafAbuser final : public Abuser {
 public:
  DeafAbuser(const AbuseTarget& target, uint32_t connections)
      : target_(target), peers_(connections), request_(http_request("POST", kEcho, 1 << 20)) {
    for (size_t i = 0; i < kFrames; ++i)
      frames_.push_back(echo_frame(2 + i, 1 << 20));
  }
  bool begin(std::string* why) override {
    for (size_t i = 0; i < peers_.size(); ++i) {
      if (open(i)) continue;
      *why = fmt::format("deaf connection {} could not be opened", i);
      return false;
    }
    // Until the server reads no more of any.
    filling_ = true;
    uint64_t sent = 0;
    int64_t moved_ns = base::os_monotonic_ns();
    while (base::os_monotonic_ns() - moved_ns < kFullNs) {
      step();
      if (sent_ != sent) moved_ns = base::os_monotonic_ns();
      sent = sent_;
    }
    filling_ = false;
    return true;
  }
  void step() override {
    const size_t i = turn_++ % peers_.size();
    Deaf& deaf = peers_[i];
    if (deaf.requests < kFrames) {
      const std::string_view all = i % 2 == 0 ? frames_[deaf.requests] : request_;
      const int64_t sent = deaf.peer.send_some(all.substr(deaf.sent));
      if (sent < 0) {
        // Not all at once: then it would be their asking that costs, not their silence.
        const int64_t now_ns = base::os_monotonic_ns();
        if (filling_ || now_ns - opened_ns_ < kAgainNs) return;
        opened_ns_ = now_ns;
        (void)open(i);
        return;
      }
      sent_ += static_cast<uint64_t>(sent);
      deaf.sent += static_cast<size_t>(sent);
      if (deaf.sent == all.size()) {
        deaf.sent = 0;
        ++deaf.requests;
      }
    }
    if (i == 0) ::usleep(1'000);
  }
  void end() override {
    for (Deaf& deaf : peers_)
      deaf.peer.reset();
  }
  uint64_t connections() const override { return peers_.size(); }

 private:
  static constexpr size_t kFrames = 10;
  static constexpr int kReceiveBytes = 4096;
  static constexpr int64_t kAgainNs = 100 * kAbuserMsNs;
  static constexpr int64_t kFullNs = 700 * kAbuserMsNs;
  struct Deaf {
    AbusePeer peer;
    size_t requests = 0, sent = 0;
  };
  bool open(size_t i) {
    Deaf& deaf = peers_[i];
    deaf.requests = deaf.sent = 0;
    return i % 2 == 0 ? deaf.peer.connect(target_.binary, address_of(i), kReceiveBytes) &&
                            deaf.peer.send_all(hello_frame())
                      : deaf.peer.connect(target_.http, address_of(i), kReceiveBytes);
  }

  const AbuseTarget target_;
  std::vector<Deaf> peers_;
  const std::string request_;
  std::vector<std::string> frames_;
  uint64_t sent_ = 0;  // bytes
  int64_t opened_ns_ = 0;
  bool filling_ = false;
  size_t turn_ = 0;
};

class RudeAbuser final : public Abuser {
 public:
  explicit RudeAbuser(const AbuseTarget& target) : target_(target) {}
  bool begin(std::string*) override { return true; }
  void step() override {
    static constexpr std::array kActs = {
        &RudeAbuser::bytes_of_frames,   &RudeAbuser::bytes_of_a_request,
        &RudeAbuser::end_behind_frames, &RudeAbuser::end_behind_a_request,
        &RudeAbuser::reset_in_a_frame,  &RudeAbuser::reset_in_a_request,
        &RudeAbuser::reset_in_an_answer};
    (this->*kActs[turn_++ % kActs.size()])();
    ::usleep(20'000);
  }
  void end() override {}
  uint64_t connections() const override { return turn_; }

 private:
  static constexpr size_t kWelcomeBytes = 56;

  void expect(bool right, std::string_view what) {
    if (!right && failure_.empty()) failure_ = fmt::format("{}, at connection {}", what, turn_);
  }
  static bool say_slowly(AbusePeer& peer, const std::string& bytes) {
    for (const char& byte : bytes)
      if (!peer.send_all({&byte, 1})) return false;
    return true;
  }
  void bytes_of_frames() {
    AbusePeer peer;
    const std::string echo = echo_frame(2, 64);
    expect(peer.connect(target_.binary) && say_slowly(peer, hello_frame() + echo) &&
               peer.hear(kWelcomeBytes + echo.size()).size() == kWelcomeBytes + echo.size(),
           "frames a byte at a time were not answered");
  }
  void bytes_of_a_request() {
    AbusePeer peer;
    expect(peer.connect(target_.http) && say_slowly(peer, http_request("POST", kEcho, 64)) &&
               peer.hear(12) == "HTTP/1.1 200",
           "a request a byte at a time was not answered");
  }
  void end_behind_frames() {
    AbusePeer peer;
    const std::string echo = echo_frame(2, 64 << 10);
    expect(peer.connect(target_.binary) && peer.send_all(hello_frame() + echo),
           "frames could not be sent");
    peer.finish_sending();
    expect(peer.hear_to_end(1 << 20).size() == kWelcomeBytes + echo.size(),
           "frames before an end of input were not answered");
  }
  void end_behind_a_request() {
    AbusePeer peer;
    expect(peer.connect(target_.http) && peer.send_all(http_request("POST", kEcho, 64 << 10)),
           "a request could not be sent");
    peer.finish_sending();
    const std::string heard = peer.hear_to_end(1 << 20);
    expect(heard.starts_with("HTTP/1.1 200") && heard.ends_with(std::string(64 << 10, 'x')),
           "a request before an end of input was not answered");
  }
  void reset_in_a_frame() {
    AbusePeer peer;
    expect(peer.greet(target_.binary), "no WELCOME came");
    (void)peer.send_some(echo_frame(2, 64 << 10).substr(0, 9'999));
    peer.reset();
  }
  void reset_in_a_request() {
    AbusePeer peer;
    expect(peer.connect(target_.http), "a connection was refused");
    (void)peer.send_some(http_request("POST", kEcho, 64 << 10).substr(0, 9'999));
    peer.reset();
  }
  void reset_in_an_answer() {
    AbusePeer peer;
    expect(peer.connect(target_.http) && peer.send_all(http_request("POST", kEcho, 1 << 20)),
           "a request could not be sent");
    expect(peer.hear(12) == "HTTP/1.1 200", "a request was not answered");
    peer.reset();
  }

  const AbuseTarget target_;
  uint64_t turn_ = 0;
};

class FloodAbuser final : public Abuser {
 public:
  FloodAbuser(const AbuseTarget& target, uint32_t per_second)
      : target_(target), each_ns_(1'000'000'000 / per_second) {}
  bool begin(std::string*) override {
    next_ns_ = base::os_monotonic_ns();
    made_ = 0;
    return true;
  }
  void step() override {
    // What could not be made in time is not made up for.
    const int64_t now_ns = base::os_monotonic_ns();
    next_ns_ = std::max(next_ns_, now_ns - 100 * kAbuserMsNs);
    for (; next_ns_ <= now_ns; next_ns_ += each_ns_) {
      AbusePeer peer;
      if (!peer.connect(made_ % 2 == 0 ? target_.binary : target_.http, address_of(made_)))
        continue;
      if (++made_ % 3 != 0) {
        peer.reset();
        continue;
      }
      held_.push_back(std::move(peer));
      if (held_.size() <= kHeldMax) continue;
      held_.front().reset();
      held_.pop_front();
    }
    ::usleep(500);
  }
  void end() override {
    for (AbusePeer& peer : held_)
      peer.reset();
    held_.clear();
  }
  uint64_t connections() const override { return made_; }

 private:
  static constexpr size_t kHeldMax = 500;

  const AbuseTarget target_;
  const int64_t each_ns_;
  std::deque<AbusePeer> held_;
  uint64_t made_ = 0;
  int64_t next_ns_ = 0;
};

class PipelineAbuser final : public Abuser {
 public:
  PipelineAbuser(const AbuseTarget& target, uint32_t connections)
      : target_(target), peers_(connections) {
    for (int i = 0; i < kRequests; ++i)
      requests_ += http_request("GET", "/healthz", 0);
  }
  bool begin(std::string* why) override {
    for (size_t i = 0; i < peers_.size(); ++i) {
      Pipeline& pipeline = peers_[i];
      pipeline.sent = 0;
      pipeline.correlation = 2;
      pipeline.left = i % 2 == 0 ? frames(pipeline) : requests_;
      if (i % 2 == 0 ? pipeline.peer.greet(target_.binary) : pipeline.peer.connect(target_.http))
        continue;
      *why = "a pipelining connection could not be opened";
      return false;
    }
    return true;
  }
  void step() override {
    const size_t i = turn_++ % peers_.size();
    Pipeline& pipeline = peers_[i];
    if (pipeline.peer.drop_input() < 0) {
      failure_ = "a pipelining connection was closed";
      return;
    }
    const int64_t sent =
        pipeline.peer.send_some(std::string_view(pipeline.left).substr(pipeline.sent));
    if (sent < 0) {
      failure_ = "a pipelining connection was broken";
      return;
    }
    pipeline.sent += static_cast<size_t>(sent);
    if (pipeline.sent < pipeline.left.size()) return;
    pipeline.sent = 0;
    if (i % 2 == 0) pipeline.left = frames(pipeline);
  }
  void end() override {
    for (Pipeline& pipeline : peers_)
      pipeline.peer.reset();
  }
  uint64_t connections() const override { return peers_.size(); }

 private:
  static constexpr int kRequests = 1'000;
  struct Pipeline {
    AbusePeer peer;
    std::string left;
    size_t sent = 0;
    uint64_t correlation = 2;
  };
  static std::string frames(Pipeline& pipeline) {
    std::string all;
    for (int i = 0; i < kRequests; ++i)
      all += echo_frame(pipeline.correlation++, 64);
    return all;
  }

  const AbuseTarget target_;
  std::vector<Pipeline> peers_;
  std::string requests_;
  size_t turn_ = 0;
};

}  // namespace

std::unique_ptr<Abuser> slow_abuser(const AbuseTarget& target, uint32_t connections,
                                    int64_t byte_ms) {
  return std::make_unique<SlowAbuser>(target, connections, byte_ms);
}
std::unique_ptr<Abuser> deaf_abuser(const AbuseTarget& target, uint32_t connections) {
  return std::make_unique<DeafAbuser>(target, connections);
}
std::unique_ptr<Abuser> rude_abuser(const AbuseTarget& target) {
  return std::make_unique<RudeAbuser>(target);
}
std::unique_ptr<Abuser> flood_abuser(const AbuseTarget& target, uint32_t per_second) {
  return std::make_unique<FloodAbuser>(target, per_second);
}
std::unique_ptr<Abuser> pipeline_abuser(const AbuseTarget& target, uint32_t connections) {
  return std::make_unique<PipelineAbuser>(target, connections);
}

}  // namespace millrace::blackbox
