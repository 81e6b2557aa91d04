// InputBudget: who of a shard's connections may gather a large frame, so that the bytes held of
// unfinished input have a sum.
//
// A connection holds a little of a frame for nothing (Limits::input_bytes_free). For more it claims
// the frame's length here before it reads on. What does not fit waits in line, first come first
// served, unread: the kernel's window closes and the peer waits, nothing is refused. A claim larger
// than the whole budget counts as the whole.
// Invariant: granted() <= bytes_max, and if anybody waits the first in line does not fit.
// Threads: shard-local.  Memory: about 100 bytes a claim.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

namespace millrace::net {

class InputBudget {
 public:
  explicit InputBudget(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // True if the connection may read on at once; false if it waits for admit_next(). One claim a
  // connection.
  bool claim(uint32_t connection, uint64_t bytes) {
    bytes = std::min(bytes, bytes_max_);
    const bool fits = line_.empty() && granted_ + bytes <= bytes_max_;
    claims_[connection] = {bytes, fits ? 0 : ++last_ticket_};
    if (fits) {
      granted_ += bytes;
    } else {
      line_[last_ticket_] = connection;
    }
    return fits;
  }
  // The frame is whole, or the connection is gone. Nothing if it has no claim.
  void release(uint32_t connection) {
    const auto found = claims_.find(connection);
    if (found == claims_.end()) return;
    const Claim claim = found->second;
    claims_.erase(found);
    if (claim.ticket == 0) {
      granted_ -= claim.bytes;
    } else {
      line_.erase(claim.ticket);
    }
  }
  // The first in line, if it fits now: it may read on.
  std::optional<uint32_t> admit_next() {
    if (line_.empty()) return std::nullopt;
    const uint32_t connection = line_.begin()->second;
    Claim& claim = claims_[connection];
    if (granted_ + claim.bytes > bytes_max_) return std::nullopt;
    granted_ += claim.bytes;
    claim.ticket = 0;
    line_.erase(line_.begin());
    return connection;
  }

  bool contended() const { return !line_.empty(); }
  uint64_t granted() const { return granted_; }
  // Of a granted claim; 0 if it waits or there is none.
  uint64_t granted_to(uint32_t connection) const {
    const auto found = claims_.find(connection);
    return found != claims_.end() && found->second.ticket == 0 ? found->second.bytes : 0;
  }

 private:
  struct Claim {
    uint64_t bytes = 0;
    uint64_t ticket = 0;  // 0: granted
  };
  uint64_t bytes_max_;
  uint64_t granted_ = 0;
  uint64_t last_ticket_ = 0;
  std::unordered_map<uint32_t, Claim> claims_;
  std::map<uint64_t, uint32_t> line_;  // by ticket
};

}  // namespace millrace::net
