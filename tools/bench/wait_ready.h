// What the transports over sockets have in common: one wait for all of their connections.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <span>
#include <sys/epoll.h>

namespace millrace::tools {

// Waits until something can be read, or `wait_ns` are over; returns how many of `ready` are filled,
// negative as epoll_pwait2. `blocked`: a socket is full, which it will not be for long. So it is
// looked at again shortly rather than watched.
inline int wait_ready(int epoll, std::span<epoll_event> ready, int64_t wait_ns, bool blocked) {
  constexpr int64_t kBlockedNs = 50'000;
  if (blocked) wait_ns = std::min(wait_ns, kBlockedNs);
  const timespec wait{wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
  return ::epoll_pwait2(epoll, ready.data(), static_cast<int>(ready.size()), &wait, nullptr);
}

}  // namespace millrace::tools
