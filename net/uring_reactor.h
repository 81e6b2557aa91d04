// UringReactor: the reactor on io_uring. One enter per turn submits all sends and re-arms and
// collects all completions.
//
// Accept is multishot: armed once, it completes for every connection until the kernel says that it
// has stopped (no IORING_CQE_F_MORE), and then it is armed again. Receive is not: a multishot one
// goes on through a burst for up to 32 buffers before anybody can say stop, and a cancel that comes
// meanwhile finds nothing to cancel. So a connection brings one piece per turn at most, and is
// armed again, with the next turn's enter, if its reader still wants more, or found no buffer
// (-ENOBUFS: many connections can take them all). After a long piece it stands in line for that. A
// connection counts its operations in the kernel; its socket is closed, its number freed and
// `closed` told only when there are none, so that no completion can meet another connection. When
// the kernel takes no more submissions (out of memory) what was to be submitted is postponed, and
// tried again in the next turn; a postponed operation counts as one in the kernel.
#pragma once

#include <vector>

#include "net/accept_pause.h"
#include "net/connection_table.h"
#include "net/reactor.h"
#include "net/receive_ring.h"
#include "net/uring.h"

namespace millrace::net {

class UringReactor final : public Reactor {
 public:
  static Result<std::unique_ptr<Reactor>> make(const ReactorOptions& options, std::string* reason);
  ~UringReactor() override;

  std::string_view name() const override { return "io_uring"; }
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
  enum class Operation : uint8_t {
    accept,
    receive,
    send,
    wake,
    cancel_receive,
    cancel_send,
    cancel_accept
  };
  struct Connection {
    int fd = -1;
    uint32_t operations = 0;   // in the kernel
    bool reading = false;      // the caller wants data
    bool armed = false;        // a receive is in the kernel
    bool in_line = false;      // its last piece was long: it is armed as the pacing has it
    uint32_t piece_bytes = 0;  // of the next receive at most; 0: a whole buffer
    bool ended = false;        // `end` was told
    bool broken = false;       // with an error
    bool closing = false;
    Bytes unsent{};  // of the send under way
  };

  UringReactor(std::unique_ptr<Uring> uring, std::unique_ptr<ReceiveRing> buffers,
               uint32_t buffer_bytes);
  static uint64_t tag(Operation operation, uint32_t connection);
  void submit(Operation operation, uint32_t connection);
  void prepare(io_uring_sqe* sqe, Operation operation, uint32_t connection);
  bool still_wanted(Operation operation, uint32_t connection);
  void submit_counted(Operation operation, uint32_t connection);
  void arm_accept(uint8_t number);
  void arm_receive(uint32_t connection);
  void complete(const io_uring_cqe& completion);
  void complete_accept(uint8_t number, const io_uring_cqe& completion);
  void complete_receive(uint32_t connection, const io_uring_cqe& completion);
  void complete_send(uint32_t connection, const io_uring_cqe& completion);
  void operation_done(uint32_t connection);
  void begin_turn();
  int64_t limit_wait(int64_t wait_ns) const;

  std::unique_ptr<Uring> uring_;
  std::unique_ptr<ReceiveRing> buffers_;
  uint64_t wake_count_ = 0;  // where the kernel reads the eventfd into
  struct Listening {
    int fd = -1;
    bool armed = false;  // an accept is in the kernel
  };
  std::vector<Listening> listeners_;  // by number
  AcceptPause accept_pause_;
  ConnectionTable<Connection> connections_;
  std::vector<uint32_t> starved_;  // found no buffer: first in the next turn
  std::vector<uint32_t> to_arm_;   // for the next turn's enter
  uint32_t buffer_bytes_;
  std::vector<uint64_t> postponed_, trying_;  // tags of what found no submission
};

}  // namespace millrace::net
