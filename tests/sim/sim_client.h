// SimClient: one client of the simulated broker. Makes random requests on one shard, tells the
// reference what it asked and what it was answered, and collects violations.
//
// Threads: the simulator's only one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "millrace/engine.h"
#include "tests/sim/reference_queue.h"
#include "tests/sim/sim_attempts.h"
#include "tests/sim/sim_message.h"
#include "tests/sim/sim_shape.h"
#include "tests/sim/uncertain_setting.h"

namespace millrace::sim {

// How often each operation was answered how, and in which condition of the node; the suite asserts
// that nothing stays untried.
using Coverage = std::map<std::string, uint64_t>;

// A queue of the run. `number` is the reference's; a queue that is created anew gets a new one.
struct SimQueue {
  enum class State : uint8_t { there, going, gone, coming };
  SimQueueShape shape;
  QueueId id{};
  uint32_t number = 0;
  State state = State::there;
  // Of the newest sends, those that may be repeated.
  struct Repeatable {
    Key root = 0;
    uint64_t group = 0;
    bool with_id = false;
  };
  std::vector<Repeatable> recent{};
  // What requests take from the queue unless they say it themselves.
  UncertainSetting visibility_ms{};
  UncertainSetting delay_ms{};
  bool being_set = false;
  uint32_t defaults_open = 0;  // requests under way that do

  bool fifo() const { return shape.attributes.fifo; }
};

// How the life of the node began in which a request was answered, and whether a sync is about to
// fail in it: the columns of the table that crosses answers with faults.
enum class Start : uint8_t { first, clean_stop, kill, power_failure, crash_in_recovery };
inline constexpr size_t kConditions = 10;
inline constexpr const char* kConditionNames[kConditions] = {
    "new",       "new+sync", "stop",       "stop+sync", "kill",
    "kill+sync", "power",    "power+sync", "again",     "again+sync"};
using Crossing = std::map<std::string, std::array<uint64_t, kConditions>>;

// What all clients of a run share.
struct World {
  ReferenceQueue* reference = nullptr;
  std::vector<SimQueue> queues;
  // Of FIFO queues, by the reference's number: what an earlier queue of the same name gave may be
  // answered when the next one is there.
  std::map<uint32_t, SimAttempts> attempts;
  ShapeKind kind = ShapeKind::standard;
  bool moves = false;  // clients start move tasks
  uint16_t shards = 1;
  std::vector<std::string> violations;  // of the first kind found; the run stops on it
  Coverage coverage;
  Crossing crossing;
  Start start = Start::first;
  bool sync_fails = false;
  Key next_key = 1;
  uint64_t event = 0;  // counts requests and answers: an order finer than milliseconds
  TimeMs now{};
  bool fenced = false;  // an answer said that a shard is fenced

  // The broker has it under this id, empty.
  void born(SimQueue& queue, QueueId id);
  void violation(std::string text) {
    if (!text.empty()) violations.push_back(std::move(text));
  }
};

class SimClient final : public ReplySink {
 public:
  SimClient(World& world, uint64_t seed)
      : world_(world),
        prng_(seed),
        moves_prng_(seed ^ 0x3B5E),
        publish_prng_(seed ^ 0x70B1),
        settings_prng_(seed ^ 0x5E77),
        attempts_prng_(seed ^ 0xA77E) {}

  // Makes one random request on `port`.
  void step(ShardPort& port);
  // Asks for everything ready in queue number `queue` of the run and acknowledges what comes; for
  // the drain at the end of a run.
  void drain_step(ShardPort& port, size_t index);
  // Starts a move task of each queue that may have one.
  void start_moves(ShardPort& port);
  // The broker is gone: nothing outstanding will be answered, receipts stay usable.
  void broker_gone();
  bool waiting() const { return !open_.empty(); }
  uint64_t received() const { return received_; }

  void on_send(uint64_t token, const SendReply& reply) override;
  void on_receive(uint64_t token, const ReceiveReply& reply) override;
  void on_results(uint64_t token, const ResultsReply& reply) override;
  void on_peek(uint64_t token, const PeekReply& reply) override;
  void on_queues(uint64_t token, const QueueReply& reply) override;
  void on_stats(uint64_t token, const BrokerStatsReply& reply) override;
  void on_moves(uint64_t token, const MoveReply& reply) override;

 private:
  enum class Kind : uint8_t {
    send,
    publish,
    receive,
    subscribe,
    ack,
    extend,
    peek,
    purge,
    stats,
    remove,
    create,
    set,
    start_move,
    cancel_move,
    list_moves
  };
  struct Held {
    Key key = 0;
    uint32_t queue = 0;  // the reference's number
    Receipt receipt{};
    const char* state = "";  // when something was asked about it
  };
  struct Open {
    Kind kind{};
    size_t index = 0;    // of the queue in the run
    uint32_t queue = 0;  // the reference's number
    TimeMs asked_at{};
    uint64_t asked_event = 0;
    uint64_t lost_when_asked = 0;  // receives of the queue
    uint32_t visibility_ms = 0;
    std::vector<Held> entries = {};  // send: keys; ack, extend: what was asked about
    bool drain = false;
    uint64_t purge = 0;                     // the reference's number
    bool defaults = false;                  // it takes a setting from the queue
    std::vector<size_t> published_to = {};  // in the run; each gives its delay
    std::string attempt = {};               // its id; none: empty
    TimeMs must_repeat_until{};  // answered before then, it repeats what the attempt was given
  };

  uint64_t open(Open request);
  Open about_some_queue(Kind kind);
  SimMessage make_message(SimQueue& queue, Key key);
  void send(ShardPort& port);
  void receive(ShardPort& port);
  void subscribe(ShardPort& port);
  void ack(ShardPort& port, std::vector<Held> held, bool drain);
  void ack_some(ShardPort& port);
  void extend_some(ShardPort& port);
  void forge(ShardPort& port);
  void cancel_one(ShardPort& port);
  void purge(ShardPort& port);
  void remove_queue(ShardPort& port);
  void create_queue(ShardPort& port, size_t index);
  void end_subscription(ShardPort& port);
  // sim_client_moves.cc
  void ask_about_moves(ShardPort& port);
  void start_move(ShardPort& port, size_t source);
  // sim_client_publish.cc
  void publish(ShardPort& port);
  void publish_answered(std::map<uint64_t, Open>::iterator request, const SendReply& reply);
  // sim_client_attempts.cc
  void use_attempt(Open& request);
  bool take_repeated(const Open& request, const Delivery& d, Key key, uint64_t body_hash);
  void attempt_answered(const Open& request, const ReceiveReply& reply);
  void attempt_lost(const Open& request);
  uint32_t shortest_visibility(const Open& request);
  // sim_client_settings.cc
  void set_queue(ShardPort& port);
  void queue_set(const Open& request, Errc error);
  void forget_receive(const Open& request);
  std::map<uint64_t, Open>::iterator close(std::map<uint64_t, Open>::iterator request);
  const char* state_of(const Held& held) const;
  // A queue that goes may be gone for what is asked of it meanwhile.
  bool may_be_missing(uint32_t queue) const;
  bool is_fifo(uint32_t queue) const { return world_.reference->rules(queue).fifo; }
  void count(bool fifo, const char* op, const char* state, const char* outcome);

  World& world_;
  base::Prng prng_;
  base::Prng moves_prng_;  // of its own, so that runs without move tasks are what they were
  base::Prng publish_prng_;
  base::Prng settings_prng_;
  base::Prng attempts_prng_;
  std::map<uint64_t, Open> open_;
  std::vector<Held> held_;
  std::vector<Held> drained_;  // delivered to the drain, to be acknowledged in the next step
  uint64_t next_token_ = 1;
  uint64_t received_ = 0;
};

}  // namespace millrace::sim
