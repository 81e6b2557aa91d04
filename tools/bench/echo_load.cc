#include "tools/bench/echo_load.h"

#include <algorithm>
#include <deque>
#include <poll.h>
#include <vector>

#include "base/hash.h"
#include "base/os_clock.h"
#include "clients/cpp/frame.h"
#include "clients/cpp/socket.h"

namespace millrace::tools {
namespace {

using client::Frame;
using wire::FrameHeader;

constexpr int kPatienceMs = 10'000;
constexpr uint8_t kEchoAnswer = static_cast<uint8_t>(wire::Opcode::echo) | wire::kReplyBit;

// One connection: `writes` bundles of frames under way at most.
class EchoLane {
 public:
  bool open(const BenchOptions& options, std::string* message) {
    auto connected = client::Socket::connect(options.server, 5000, message);
    if (!connected) return false;
    socket_ = std::move(*connected);
    frame_bytes_ = sizeof(FrameHeader) + padded8(options.size);
    batch_ = options.batch;
    bundle_.assign(frame_bytes_ * batch_, std::byte{'e'});
    return greet(options, message);
  }
  int fd() const { return socket_.fd(); }
  bool wants_write() const { return !out_.empty(); }
  uint64_t came() const { return came_ - greeting_; }

  // Adds one bundle if there is room for it; false if not.
  bool add_bundle(int64_t now_ns) {
    if (bundles_.size() >= bundles_max_) return false;
    std::byte* at = out_.extend(bundle_.size());
    std::memcpy(at, bundle_.data(), bundle_.size());
    for (uint32_t i = 0; i < batch_; ++i, at += frame_bytes_) {
      const FrameHeader header{static_cast<uint32_t>(frame_bytes_),
                               static_cast<uint8_t>(wire::Opcode::echo),
                               0,
                               0,
                               ++sent_,
                               0};
      // Where seal_frame() looks for it: see frame.h.
      std::memcpy(at + sizeof header.checksum, &header, 16);
      client::seal_frame(at + sizeof header, frame_bytes_ - sizeof header);
    }
    bundles_.push_back(now_ns);
    return true;
  }
  Status flush() {
    if (out_.empty()) return {};
    const Result<size_t> written = socket_.write({out_.front(), out_.size()});
    if (!written) return fail(written.error());
    out_.consume(*written);
    return {};
  }
  // Takes what has come; records the time of each bundle that is back whole.
  Status receive(Histogram& latency) {
    const Result<size_t> read = socket_.read(in_.room(kReadBytes));
    if (!read) return fail(read.error());
    in_.added(*read);
    const int64_t now_ns = base::os_monotonic_ns();
    const size_t whole = in_.size() / frame_bytes_;
    const std::byte* at = in_.front();
    for (size_t i = 0; i < whole; ++i, at += frame_bytes_) {
      const auto header = client::take<FrameHeader>(at);
      if (header.length != frame_bytes_ || header.opcode != kEchoAnswer || header.status != 0 ||
          header.correlation != ++came_)
        return fail(Errc::malformed);
      if ((came_ - greeting_) % batch_ != 0) continue;
      latency.record(static_cast<uint64_t>(now_ns - bundles_.front()));
      bundles_.pop_front();
    }
    in_.consume(whole * frame_bytes_);
    return {};
  }
  bool settled() const { return bundles_.empty() && out_.empty(); }

 private:
  static constexpr size_t kReadBytes = 256 * 1024;

  bool greet(const BenchOptions& options, std::string* message) {
    std::byte* body = client::begin_frame(out_, wire::Opcode::hello, ++sent_, sizeof(wire::Hello));
    client::put(body, wire::Hello{wire::kMagic, wire::kVersion, wire::kVersion, 0, 0});
    client::seal_frame(body, sizeof(wire::Hello));
    *message = "no broker answers at " + options.server;
    if (!flush() || !socket_.wait(false, kPatienceMs)) return false;
    const Result<size_t> read = socket_.read(in_.room(kReadBytes));
    if (!read) return false;
    in_.added(*read);
    const Result<Frame> frame = client::read_frame({in_.front(), in_.size()}, wire::kFrameBytesMax);
    if (!frame || frame->header.length == 0 || frame->header.status != 0 ||
        frame->body.size() != sizeof(wire::Welcome))
      return false;
    const auto welcome = client::take<wire::Welcome>(frame->body.data());
    in_.consume(frame->header.length);
    // The server stops reading past its limit; a bundle is always allowed.
    bundles_max_ = std::max<uint32_t>(1, std::min(options.inflight, welcome.inflight_max / batch_));
    came_ = greeting_ = sent_;
    return true;
  }

  client::Socket socket_;
  client::ByteQueue out_{64 * 1024};
  client::ByteQueue in_{2 * kReadBytes};
  std::vector<std::byte> bundle_;  // of frames with everything in place but their headers
  size_t frame_bytes_ = 0;
  uint32_t batch_ = 1;
  uint32_t bundles_max_ = 1;
  uint64_t sent_ = 0;
  uint64_t came_ = 0;
  uint64_t greeting_ = 0;  // its correlation id; the echoes follow
  std::deque<int64_t> bundles_;
};

}  // namespace

Status run_echo(const BenchOptions& options, LoadResult& result, std::string* message) {
  std::vector<EchoLane> lanes(options.connections);
  std::vector<pollfd> waits;
  for (EchoLane& lane : lanes) {
    if (!lane.open(options, message)) return fail(Errc::connection_closed);
    waits.push_back({lane.fd(), POLLIN, 0});
  }
  *message = "the broker closed a connection, or answered what was not asked";
  const auto came = [&lanes] {
    uint64_t total = 0;
    for (const EchoLane& lane : lanes)
      total += lane.came();
    return total;
  };
  const int64_t begin_ns = base::os_monotonic_ns();
  const int64_t end_ns = options.duration_ms == 0
                             ? INT64_MAX
                             : begin_ns + static_cast<int64_t>(options.duration_ms) * 1'000'000;
  int64_t now_ns = begin_ns;
  int64_t step_ns = begin_ns;
  uint64_t step_came = 0;
  uint64_t bundles_left =
      options.messages == 0 ? UINT64_MAX : (options.messages + options.batch - 1) / options.batch;
  bool settled = false;
  while (!settled) {
    const bool more = now_ns < end_ns && bundles_left > 0;
    settled = !more;
    for (size_t i = 0; i < lanes.size(); ++i) {
      while (more && bundles_left > 0 && lanes[i].add_bundle(now_ns))
        --bundles_left;
      if (!lanes[i].flush()) return fail(Errc::connection_closed);
      waits[i].events = static_cast<short>(lanes[i].wants_write() ? POLLIN | POLLOUT : POLLIN);
      settled = settled && lanes[i].settled();
    }
    if (settled) break;
    if (::poll(waits.data(), waits.size(), options.spin ? 0 : kPatienceMs) == 0 && !options.spin) {
      *message = "the broker stopped answering";
      return fail(Errc::timed_out);
    }
    for (size_t i = 0; i < lanes.size(); ++i)
      if ((waits[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        if (Status received = lanes[i].receive(result.latency_ns); !received) return received;
    now_ns = base::os_monotonic_ns();
    if (now_ns - step_ns >= kRateStepNs) {
      result.rates.push_back(static_cast<double>(came() - step_came) * 1e9 /
                             static_cast<double>(now_ns - step_ns));
      step_came = came();
      step_ns = now_ns;
    }
  }
  result.messages = came();
  result.seconds = static_cast<double>(now_ns - begin_ns) / 1e9;
  // Every id came back once and in order, or the run would have failed.
  result.lost = result.duplicates = result.out_of_order = 0;
  return {};
}

}  // namespace millrace::tools
