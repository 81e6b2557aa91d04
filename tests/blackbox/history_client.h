// HistoryClient: one connection's worth of random work, with every request and answer in a history
// (tests/checker/README.md).
//
// What is asked and what is written down are here; a subclass says it in its protocol and gives the
// answers back. Also keeps what the answers so far oblige the server to (crash_queues.h), for
// power-loss images that are examined while the run goes on. Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "tests/blackbox/crash_queues.h"
#include "tests/checker/history_writer.h"

namespace millrace::blackbox {

// How a request ended: done, not done, or nobody knows.
enum class End : uint8_t { ok, fail, info };

class HistoryClient {
 public:
  HistoryClient(std::string name, const std::string& folder, uint64_t seed, World* world);
  virtual ~HistoryClient() = default;
  HistoryClient(const HistoryClient&) = delete;
  HistoryClient& operator=(const HistoryClient&) = delete;

  // Connects after each start of the server. False if it cannot.
  virtual bool connect(const std::string& address) = 0;
  // To wait for answers; -1 if not connected.
  virtual int fd() const = 0;

  // Takes what has arrived, makes requests until enough are under way, and sends them. False once
  // the connection is gone; what was under way is in the history as unknown.
  bool turn();
  // From now on only receives and deletes from this queue, until three receives in a row, each
  // longer than any lease or delay of the run, brought nothing: then drained() is true.
  void drain(size_t queue);
  bool drained() const {
    return draining_ && empties_ != kNotYet && empties_ >= kEmptiesAtEnd && under_way() == 0;
  }

  bool failed() const { return history_.failed(); }
  const std::string& complaint() const { return complaint_; }
  uint64_t sends() const { return sends_; }
  uint64_t receives() const { return receives_; }
  uint64_t deletes() const { return deletes_; }

 protected:
  struct Outgoing {
    uint64_t number = 0;  // of the operation
    std::string key, body, group, id;
    uint32_t delay_ms = 0;
    bool first_of_id = true;
  };
  struct Incoming {
    std::string_view body;
    std::string message;  // its MessageId
    Receipt receipt{};
    uint32_t count = 0;
    uint64_t place = 0;  // in its FIFO queue, over all shards; 0: not told
  };
  struct Manner {
    uint32_t batch_max, receive_max, under_way_max;
    bool administers;    // purges, deletes and creates queues, starts move tasks; publishes
    bool whole_seconds;  // of visibility timeouts; receives use the queue's
  };
  static constexpr uint32_t kQueuesOwn = UINT32_MAX;  // visibility timeout of a receive

  // --- of the protocol ---
  virtual const Manner& manner() const = 0;
  virtual size_t under_way() const = 0;
  // Reads, calls back, writes; nothing waits. False: the connection is gone, and everything under
  // way was answered so.
  virtual bool exchange() = 0;
  virtual void ask_send(size_t queue, std::vector<Outgoing> messages) = 0;
  virtual void ask_receive(size_t queue, uint64_t number, uint32_t visibility_ms, uint32_t wait_ms,
                           uint32_t messages_max) = 0;
  virtual void ask_remove(std::vector<Held> held, std::vector<uint64_t> numbers) = 0;
  virtual void ask_visibility(const Held& held, uint64_t number, uint32_t visibility_ms) = 0;
  virtual void ask_change() {}  // something of what `administers` says
  // `copies`: of each message, by queue.
  using Copies = std::vector<std::pair<size_t, Outgoing>>;
  virtual void ask_publish(std::vector<Copies> /*messages*/) {}

  // --- its answers ---
  void sent(const Outgoing& message, size_t queue, End end, std::string_view id, uint64_t place,
            std::string_view log_place, std::string_view error);
  void received(size_t queue, uint64_t number, const std::vector<Incoming>& messages);
  // `surely`: the lease had not been replaced, so that the message is gone.
  void removed(const Held& held, uint64_t number, End end, bool surely, std::string_view error);
  void ended(uint64_t number, std::string_view op, End end, std::string_view error,
             std::string_view durability = {});

  World& world() { return *world_; }
  base::Prng& prng() { return prng_; }
  checker::HistoryWriter& history() { return history_; }
  void complain(std::string text) { complaint_ = std::move(text); }

 private:
  static constexpr uint32_t kEmptiesAtEnd = 3, kNotYet = UINT32_MAX;

  void request();
  void send();
  void publish();
  std::string random_body(std::string_view key);
  void receive(size_t queue, uint32_t visibility_ms, uint32_t wait_ms, uint32_t messages_max);
  void remove(size_t count);
  void change_visibility(const Held& held, uint32_t visibility_ms);
  void go_on_draining();
  Held take_held(size_t at);

  std::string name_;
  base::Prng prng_;
  World* world_;
  checker::HistoryWriter history_;
  std::vector<Held> held_;
  std::vector<Held> let_go_;  // to be given back at once, on their way to the dead letters
  std::string complaint_;
  uint64_t next_key_ = 1;
  uint64_t sends_ = 0, receives_ = 0, deletes_ = 0;
  bool draining_ = false, asked_ = false, brought_ = false;
  size_t drained_queue_ = 0;
  uint32_t empties_ = 0;
};

}  // namespace millrace::blackbox
