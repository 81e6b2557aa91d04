// Waker: how any thread gets a reactor's thread out of its sleep, at one system call at most.
//
// The sleeper says that it is about to sleep and then looks for a wake-up; the waker leaves the
// wake-up and then looks for a sleeper. Both are sequentially consistent, so at least one sees the
// other (Dekker), and a wake-up of a thread that is awake costs two atomic accesses and no call.
// Threads: wake() any; the others the reactor's.
#pragma once

#include <atomic>

namespace millrace::net {

class Waker {
 public:
  Waker();  // asserts that the eventfd can be made: out of descriptors before the first connection
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  int fd() const { return fd_; }
  void wake();

  // False: do not sleep, a wake-up is waiting. Otherwise awake() must follow the sleep.
  bool may_sleep();
  // Ends the sleep and takes the wake-ups that came.
  void awake();
  // Empties the eventfd, after it was reported readable.
  void drain();

 private:
  int fd_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> sleeping_{false};
};

}  // namespace millrace::net
