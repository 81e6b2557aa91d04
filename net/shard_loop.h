// ShardLoop: one shard's thread: its reactor, its connections, its port, turn after turn.
//
// A turn is a list of named steps: collect (the reactor's events), act (feed conversations, open
// and close connections; take what helpers have finished), tick (the shard decides, writes,
// answers), settle (conversations act on the answers), send (all output of a connection in one
// send), watch (timeouts, twice a second at most), trim (memory that a burst left). Nothing acts
// inside a callback. An idle loop sleeps until a deadline of the shard's or of a connection's. What
// is spoken on a connection is its listener's Protocol's business.
//
// Threads: constructed and run on the shard's own thread; request_stop() from any.
// Memory: a Connection is a few hundred bytes; buffers are the pool's and the reactor's.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/turn_trace.h"
#include "millrace/engine.h"
#include "net/admission.h"
#include "net/buffer_pool.h"
#include "net/conversation.h"
#include "net/input_budget.h"
#include "net/limits.h"
#include "net/protocol.h"
#include "net/reactor.h"
#include "net/server_figures.h"
#include "net/stop_gate.h"

namespace millrace::net {

// A listening socket and what is spoken there.
struct Door {
  int listener = -1;
  ProtocolMaker make_protocol;
  ConnectionCounts* counts = nullptr;
};

struct ShardLoopOptions {
  Limits limits{};
  Holders* holders = nullptr;
  AuditLog* audit = nullptr;
  std::vector<Door> doors;  // at most 255
  uint32_t spin_us = 0;
  uint32_t trace_turns_us = 0;   // turns that take longer are told of in the log; 0: none
  std::string insecure_address;  // not empty: this shard says now and then that it is open to all
};

class ShardLoop final : private ConversationHost {
 public:
  // All are lent for the loop's life.
  ShardLoop(ShardPort& port, Reactor& reactor, Admission& admission, StopGate& gate,
            const ShardLoopOptions& options);
  ~ShardLoop();
  ShardLoop(const ShardLoop&) = delete;
  ShardLoop& operator=(const ShardLoop&) = delete;

  // Returns after the gate's stop has been asked for and everything is answered or its time is up.
  void run();

 private:
  // open -> lingering (all is sent, waiting for the peer to close) -> closing (`closed` will come)
  enum class State : uint8_t { open, lingering, closing };
  struct Connection {
    std::unique_ptr<Conversation> conversation;
    Peer peer;
    uint8_t door = 0;
    State state = State::open;
    bool reading = true;
    bool admitted = false;   // counted by Admission
    bool logged_in = false;  // as Admission knows it
    bool input_ended = false;
    bool claims_input = false;  // has a claim on the input budget
    bool input_waits = false;   // for the claim to be granted
    uint64_t unit = 0;          // the conversation's count when the unit under way began
    int64_t unit_ns = 0;        // when it began, or could go on; 0: none is under way
    int64_t input_ns = 0;       // when the last 64 KiB of it were there
    uint64_t input_bytes = 0;   // since then
    uint64_t output_bytes = 0;  // of the output's buffers, as counted in the loop's sum
    int64_t since_ns = 0;       // open: connected, or the output last moved; lingering: since when
  };

  void conversation_dirty(Conversation& conversation) override {
    dirty_.push_back(conversation.id());
  }
  void shard_fenced() override { gate_.report_fence(port_.id()); }

  void act(const Event& event);
  void accept(uint32_t id, uint8_t door);
  void receive(Connection& connection, MutableBytes data);
  void peer_ended(uint32_t id, int error);
  void forget(uint32_t id);
  void settle();
  bool send(uint32_t id);
  void follow_input(Connection& connection);
  void follow_unit(Connection& connection, const InputState& input);
  void admit_input();
  void close_stalled_input();
  void count_output(Connection& connection);
  void close_stalled_output();
  void note_dropped(const Connection& connection) {
    options_.doors[connection.door].counts->dropped.fetch_add(1, std::memory_order_relaxed);
  }
  void close(Connection& connection);
  int64_t watch_step_ns() const;
  void watch_soon();
  void watch();
  int64_t watch(Connection& connection);
  void warn_insecure();
  void trim_buffers();
  void begin_stop();
  bool stopped();
  std::span<const Event> next_events();
  int64_t wait_ns() const;
  Connection* find(uint32_t id) {
    return id < connections_.size() ? connections_[id].get() : nullptr;
  }

  ShardPort& port_;
  Reactor& reactor_;
  Admission& admission_;
  StopGate& gate_;
  const ShardLoopOptions options_;
  BufferPool pool_;
  std::vector<std::unique_ptr<Protocol>> protocols_;  // by door
  InputBudget input_budget_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by the reactor's number
  std::vector<uint32_t> dirty_;                           // to settle and send, in this turn
  uint32_t open_ = 0;
  uint64_t output_bytes_ = 0;      // of all buffers of what waits to be sent
  uint64_t connection_bytes_ = 0;  // what the open ones take, about
  bool more_ = false;              // the shard has more to do at once
  bool stopping_ = false;
  bool drained_ = false;
  int64_t now_ns_ = 0;  // monotonic, read once a turn
  int64_t watch_at_ns_ = kNotWatched;
  int64_t busy_ns_ = 0;  // the last turn in which something happened
  int64_t warn_at_ns_ = INT64_MAX;
  int64_t trim_at_ns_ = INT64_MAX;  // while the pool keeps something
  int64_t stop_by_ns_ = 0;
  std::optional<base::TurnTrace> trace_;
};

}  // namespace millrace::net
