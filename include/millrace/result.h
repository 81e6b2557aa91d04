// Result<T>: a value or an Errc. The one error channel of Millrace.
//
// Expected outcomes (queue_not_found) and the world failing (disk_full) are values; our own bugs
// are MR_ASSERT. There is no text inside: the code that knows the offset or the name logs it.
// Member names are std::expected's, so that C++23 can replace this by an alias. Errc numbers are
// stable: they travel in the `status` field of the binary protocol (docs/wire-protocol.md).
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace millrace {

enum class Errc : uint16_t {
  ok = 0,

  // The bytes of a request are wrong. The connection may be closed after these (see
  // wire-protocol.md).
  malformed = 1,           // a length or count does not fit the frame
  unsupported = 2,         // unknown opcode or flag
  version_mismatch = 3,    // no protocol version in common
  corrupt = 4,             // checksum mismatch: a frame, a record
  protocol_violation = 5,  // correlation id reused, request before the greeting, ...
  frame_too_large = 6,     // longer than the limit in force
  login_required = 7,      // a request before the log-in
  login_refused = 8,       // no such access key, a wrong proof, or the key is no longer valid

  // The request is well formed and refused.
  invalid_argument = 16,
  queue_not_found = 17,
  queue_exists = 18,  // same name, other attributes
  invalid_queue_name = 19,
  message_too_large = 20,
  batch_empty = 21,
  batch_too_large = 22,
  receipt_invalid = 23,     // not one of ours, cut, or of another queue
  receipt_expired = 24,     // ours, but of a past lease: a newer one exists
  message_not_leased = 25,  // extend by a lease that a power loss took back
  message_gone = 26,        // already acknowledged or purged
  over_limit = 27,          // a documented bound (limits.h) is reached
  throttled = 28,           // the connection or shard has too much under way; retry later
  subscription_not_found = 29,
  lease_too_long = 30,           // extend past what a lease may last in all
  not_a_dead_letter_queue = 31,  // a move task's source: no queue names it
  queue_types_differ = 32,       // one is FIFO, one is standard
  same_queue = 33,               // source and destination
  move_task_running = 34,        // its source has one already
  move_task_not_found = 35,      // or it is not running any more
  access_denied = 36,            // no policy allows it to who asks, or one forbids it
  topic_not_found = 37,
  topic_exists = 38,         // same name, other attributes or tags
  subscription_exists = 39,  // same endpoint, other attributes

  // The world fails.
  disk_full = 48,
  io_error = 49,
  shard_fenced = 50,  // a write or sync failed: nothing is acknowledged any more
  shutting_down = 51,
  timed_out = 52,
  canceled = 53,
  connection_closed = 54,
  memory_full = 55,  // the memory budget is used up: sends are refused, nothing else is

  // Opening a data directory.
  not_found = 64,
  already_exists = 65,
  permission_denied = 66,
  locked = 67,  // another process has the data directory
  format_too_new = 68,
  damaged = 69,  // a sealed segment is missing or unreadable
  not_a_directory = 70,
  address_in_use = 71,
};

// Stable snake_case name ("queue_not_found") and one plain sentence for people. Both live for ever.
std::string_view errc_name(Errc e);
std::string_view errc_text(Errc e);

struct Failure {
  Errc error;
};
[[nodiscard]] constexpr Failure fail(Errc e) {
  return Failure{e};
}

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  constexpr Result(T value) : value_(std::move(value)) {}     // NOLINT(google-explicit-constructor)
  constexpr Result(Failure f) : value_(), error_(f.error) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] constexpr bool has_value() const { return error_ == Errc::ok; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr T& value() & { return value_; }
  constexpr const T& value() const& { return value_; }
  constexpr T&& value() && { return std::move(value_); }
  constexpr T& operator*() & { return value_; }
  constexpr const T& operator*() const& { return value_; }
  constexpr T&& operator*() && { return std::move(value_); }
  constexpr T* operator->() { return &value_; }
  constexpr const T* operator->() const { return &value_; }
  [[nodiscard]] constexpr Errc error() const { return error_; }
  constexpr T value_or(T other) const& { return has_value() ? value_ : std::move(other); }

 private:
  T value_;
  Errc error_ = Errc::ok;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  constexpr Result() = default;
  constexpr Result(Failure f) : error_(f.error) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] constexpr bool has_value() const { return error_ == Errc::ok; }
  constexpr explicit operator bool() const { return has_value(); }
  [[nodiscard]] constexpr Errc error() const { return error_; }

 private:
  Errc error_ = Errc::ok;
};

using Status = Result<void>;

}  // namespace millrace
