// EpollReactor: the reactor on epoll, level-triggered. For kernels and containers without io_uring,
// and for ThreadSanitizer, which does not see io_uring's ordering.
//
// A turn is epoll_wait, then one recv per readable connection into one shared arena, packed one
// piece after the other; when the arena is full the others stay readable for the next turn. A send
// is tried at once; only what the socket does not take waits for EPOLLOUT. A socket that epoll does
// not take (out of memory, or of the user's watches) is a connection that breaks, and a listener
// that it does not take is tried again like an accept that failed.
#pragma once

#include <vector>

#include "net/accept_pause.h"
#include "net/buffer_pool.h"
#include "net/connection_table.h"
#include "net/reactor.h"

namespace millrace::net {

class EpollReactor final : public Reactor {
 public:
  static Result<std::unique_ptr<Reactor>> make(const ReactorOptions& options, std::string* reason);
  ~EpollReactor() override;

  std::string_view name() const override { return "epoll"; }
  void start_accepting(int listener, uint8_t number) override;
  void stop_accepting() override;
  uint32_t adopt(int socket) override;
  std::span<const Event> run_turn(int64_t wait_ns) override;
  uint32_t send(uint32_t connection, Bytes bytes) override;
  void pause_reading(uint32_t connection) override;
  void resume_reading(uint32_t connection) override;
  void finish_sending(uint32_t connection) override;
  void close(uint32_t connection) override;
  int socket(uint32_t connection) const override { return connections_[connection].fd; }

 private:
  struct Connection {
    int fd = -1;
    uint32_t interest = 0;  // what epoll watches
    bool watched = false;   // epoll knows the socket
    bool reading = false;   // the caller wants data
    bool ended = false;     // `end` was told
    bool broken = false;    // with an error
    bool in_line = false;   // its last piece was long: it is read as the pacing has it
    Bytes unsent{};
  };

  EpollReactor(int epoll, const ReactorOptions& options);
  int control(int operation, int fd, uint32_t interest, uint64_t tag) const;
  void watch(uint32_t connection);
  void watch_listener(uint8_t number);
  void accept_all(uint8_t number);
  void receive(uint32_t connection) { receive(connection, piece_bytes_max_); }
  void receive(uint32_t connection, uint32_t bytes_max);
  void send_more(uint32_t connection);
  void end(uint32_t connection, int error);
  int wait_ms(int64_t wait_ns) const;

  int epoll_;
  struct Listening {
    int fd = -1;
    bool watched = false;
  };
  std::vector<Listening> listeners_;  // by number
  AcceptPause accept_pause_;
  ConnectionTable<Connection> connections_;
  std::vector<uint32_t> starved_, trying_;  // found no room in the arena: first in the next turn
  Buffer arena_;
  size_t arena_bytes_;
  size_t arena_used_ = 0;
  uint32_t piece_bytes_max_;
};

}  // namespace millrace::net
