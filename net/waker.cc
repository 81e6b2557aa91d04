#include "net/waker.h"

#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::net {

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC)) {
  MR_ASSERT(fd_ >= 0);
}

Waker::~Waker() {
  ::close(fd_);
}

void Waker::wake() {
  if (woken_.exchange(true)) return;
  if (!sleeping_.load()) return;
  const uint64_t one = 1;
  // Cannot block: the counter would have to be full.
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
}

bool Waker::may_sleep() {
  sleeping_.store(true);
  if (!woken_.load()) return true;
  awake();
  return false;
}

void Waker::awake() {
  sleeping_.store(false);
  // Takes the flag rather than overwriting it: what the last waker did before it is seen from here.
  woken_.exchange(false);
}

void Waker::drain() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof count);
}

}  // namespace millrace::net
