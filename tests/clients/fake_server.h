// FakeServer: one connection to a script. Greets as a broker does, then hands each frame to the
// script, which writes what it likes.
//
// Threads: its own, ended by the destructor.
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/assert.h"
#include "clients/cpp/frame.h"
#include "millrace/wire.h"
#include "tests/support/temporary_directory.h"

namespace millrace::client {

class FakeServer {
 public:
  // Called for each frame after the greeting; answers go to `out`. False closes the connection.
  using Script = std::function<bool(const Frame& frame, ByteQueue& out)>;

  explicit FakeServer(Script script, uint32_t inflight_max = 256)
      : script_(std::move(script)), inflight_max_(inflight_max) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_ / "socket";
    std::memcpy(address.sun_path, path.data(), path.size());
    MR_ASSERT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    MR_ASSERT(::listen(listener_, 1) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::string address() const { return "unix:" + directory_ / "socket"; }

  // An answer to `frame`, or a push with its correlation.
  static void answer(ByteQueue& out, const Frame& frame, Bytes body, Errc status = Errc::ok) {
    reply(out, frame.header.opcode | wire::kReplyBit, frame.header.correlation, body, status);
  }
  static void reply(ByteQueue& out, int opcode, uint64_t correlation, Bytes body,
                    Errc status = Errc::ok) {
    std::byte* to = begin_frame(out, static_cast<wire::Opcode>(opcode), correlation, body.size());
    put_padded(to, body);
    // Where the header lies until it is sealed.
    const auto status_raw = static_cast<uint16_t>(status);
    std::memcpy(to - 16 + offsetof(wire::FrameHeader, status), &status_raw, sizeof status_raw);
    seal_frame(to, body.size());
  }
  static void error(ByteQueue& out, uint64_t correlation, Errc code, std::string_view text,
                    uint32_t index) {
    std::vector<std::byte> body(sizeof(wire::ErrorBody) + padded8(text.size()));
    put_padded(put(body.data(), wire::ErrorBody{static_cast<uint16_t>(code),
                                                static_cast<uint16_t>(text.size()), index}),
               as_bytes(text));
    reply(out, static_cast<int>(wire::Opcode::error), correlation, body, code);
  }

 private:
  void serve() {
    const int fd = wait_readable(listener_) ? ::accept(listener_, nullptr, nullptr) : -1;
    if (fd < 0) return;
    ByteQueue in(1 << 16);
    ByteQueue out(1 << 16);
    bool open = true;
    while (open && wait_readable(fd)) {
      const MutableBytes room = in.room(1 << 16);
      const ssize_t n = ::read(fd, room.data(), room.size());
      if (n <= 0) break;
      in.added(static_cast<size_t>(n));
      while (open && !in.empty()) {
        Result<Frame> frame = read_frame({in.front(), in.size()}, wire::kFrameBytesMax);
        MR_ASSERT(frame.has_value());
        if (frame->header.length == 0) break;
        if (frame->header.opcode == static_cast<uint8_t>(wire::Opcode::hello)) {
          const wire::Welcome welcome{
              wire::kMagic,     wire::kVersion, 1, 0, 0, 0, wire::kFrameBytesMax, kBatchMessagesMax,
              kMessageBytesMax, inflight_max_};
          answer(out, *frame, std::as_bytes(std::span(&welcome, 1)));
        } else {
          open = script_(*frame, out);
        }
        in.consume(frame->header.length);
      }
      while (!out.empty()) {
        const ssize_t written = ::send(fd, out.front(), out.size(), MSG_NOSIGNAL);
        if (written <= 0) break;
        out.consume(static_cast<size_t>(written));
      }
    }
    ::close(fd);
  }
  bool wait_readable(int fd) const {
    while (!stop_) {
      pollfd ready{fd, POLLIN, 0};
      if (::poll(&ready, 1, 5) == 1) return true;
    }
    return false;
  }

  Script script_;
  uint32_t inflight_max_;
  TemporaryDirectory directory_;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace millrace::client
