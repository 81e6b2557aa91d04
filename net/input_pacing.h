// InputPacing: how much of a turn goes to connections that have much to say.
//
// Who sends long pieces could fill every turn: twenty connections that pipeline without end bring
// 64 KiB each, and one with a single small request waits until all of that is handled. So
// connections whose last piece was long stand in line, and a turn takes in only as many of their
// bytes as can be handled in kLongNs, or in the time that the short pieces of the last turn took,
// if that is longer: then both have half. Short pieces are never held back. What is not taken in
// waits in the kernel. The time a byte takes is measured as it is handled, for it differs by a
// hundred between protocols. Threads: the reactor's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace millrace::net {

class InputPacing {
 public:
  // Longer than any request that is alone; of many small ones, or of large ones.
  static constexpr uint32_t kLongBytes = 4096;
  static constexpr int64_t kLongNs = 100'000;

  static bool is_long(size_t piece_bytes) { return piece_bytes >= kLongBytes; }

  // A long piece was handled in this time.
  void handled(size_t bytes, int64_t ns) {
    long_ns_ += ns;
    const auto rate = static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(ns, 1));
    bytes_a_ns_ += (rate - bytes_a_ns_) / kSmoothing;
  }
  // Of all events of the turn that ended.
  void begin_turn(int64_t handled_ns) {
    const int64_t allowed_ns = std::max(kLongNs, handled_ns - long_ns_);
    long_ns_ = 0;
    budget_ = static_cast<int64_t>(bytes_a_ns_ * static_cast<double>(allowed_ns));
    first_ = true;
  }
  // What the next in line may bring in this turn, at most `bytes_max`; 0: it waits for the next.
  uint32_t next_piece(uint32_t bytes_max) {
    // Always one, or none would ever be handled.
    if (!first_ && budget_ < int64_t{kLongBytes}) return 0;
    first_ = false;
    const auto piece = static_cast<uint32_t>(
        std::clamp<int64_t>(budget_, std::min(kLongBytes, bytes_max), bytes_max));
    budget_ -= piece;
    return piece;
  }

 private:
  static constexpr double kSmoothing = 8;  // of so many pieces
  double bytes_a_ns_ = 0.3;                // 128 B messages in the binary protocol, about
  int64_t long_ns_ = 0;                    // of the turn under way
  int64_t budget_ = 0;                     // bytes that are left of this turn's
  bool first_ = true;
};

}  // namespace millrace::net
