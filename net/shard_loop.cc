#include "net/shard_loop.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log_line.h"
#include "base/os_clock.h"

namespace millrace::net {
namespace {

constexpr int64_t kMsNs = 1'000'000;
constexpr int64_t kWatchNs = 500 * kMsNs;
constexpr int64_t kTrimNs = 5'000 * kMsNs;
// While stopping: how often connections and the other shards' progress are looked at, and how long
// a peer has to close after us.
constexpr int64_t kStopWatchNs = 50 * kMsNs;
constexpr int64_t kStopTurnNs = 10 * kMsNs;
constexpr int64_t kStopLingerNs = 300 * kMsNs;

}  // namespace

ShardLoop::ShardLoop(ShardPort& port, Reactor& reactor, Admission& admission, StopGate& gate,
                     const ShardLoopOptions& options)
    : port_(port),
      reactor_(reactor),
      admission_(admission),
      gate_(gate),
      options_(options),
      input_budget_(options.limits.input_bytes_max) {
  const ShardSetting setting{.port = &port,
                             .pool = &pool_,
                             .host = this,
                             .holders = options.holders,
                             .audit = options.audit,
                             .limits = options.limits,
                             .wake = [waker = reactor.waker()] { waker->wake(); }};
  for (const Door& door : options_.doors) {
    protocols_.push_back(door.make_protocol(setting));
  }
  port_.set_waker(setting.wake);
  if (options_.trace_turns_us > 0)
    trace_.emplace(fmt::format("shard {}", raw(port.id())), options_.trace_turns_us);
}

ShardLoop::~ShardLoop() {
  for (const auto& connection : connections_) {
    if (connection == nullptr || !connection->admitted) continue;
    admission_.leave(connection->peer, connection->logged_in);
  }
}

void ShardLoop::run() {
  for (size_t door = 0; door < options_.doors.size(); ++door) {
    reactor_.start_accepting(options_.doors[door].listener, static_cast<uint8_t>(door));
  }
  more_ = true;  // the shard may have work from before
  now_ns_ = base::os_monotonic_ns();
  if (!options_.insecure_address.empty()) warn_insecure();
  while (!stopped()) {
    const std::span<const Event> events = next_events();
    now_ns_ = base::os_monotonic_ns();
    if (!events.empty()) {
      busy_ns_ = now_ns_;
      port_.refresh_clock();
    }
    for (const Event& event : events) {
      act(event);
    }
    base::turn_step("requests");
    for (const auto& protocol : protocols_)
      protocol->turn();
    base::turn_step("what protocols do by themselves");
    more_ = port_.tick();
    port_.note_memory(pool_.bytes() + connection_bytes_);
    if (port_.fenced()) [[unlikely]]
      gate_.report_fence(port_.id());
    settle();
    base::turn_step("output");
    if (now_ns_ >= watch_at_ns_) watch();
    if (now_ns_ >= warn_at_ns_) warn_insecure();
    trim_buffers();
    if (!stopping_ && gate_.stop_asked()) begin_stop();
  }
}

// Sleeping is no part of a turn; what the kernel does in a call that does not sleep, is.
std::span<const Event> ShardLoop::next_events() {
  const int64_t wait = wait_ns();
  if (!trace_) return reactor_.run_turn(wait);
  trace_->end();
  if (wait == 0) trace_->begin();
  const std::span<const Event> events = reactor_.run_turn(wait);
  base::turn_step("the kernel's sends and receives");
  if (wait != 0) trace_->begin();
  return events;
}

int64_t ShardLoop::wait_ns() const {
  if (more_ || !dirty_.empty()) return 0;
  if (options_.spin_us > 0 && now_ns_ - busy_ns_ < int64_t{options_.spin_us} * 1000) return 0;
  int64_t wait = Reactor::kForever;
  const auto sooner = [&wait](int64_t ns) {
    ns = std::max<int64_t>(ns, 0);
    wait = wait < 0 ? ns : std::min(wait, ns);
  };
  const TimeMs deadline = port_.next_deadline();
  if (deadline != kNever) {
    // At least 1 ms: the clock has to reach the deadline, and a tick before it is a tick for
    // nothing.
    const int64_t ms = std::clamp<int64_t>(deadline - port_.now(), 1, 3'600'000);
    sooner(ms * kMsNs);
  }
  if (watch_at_ns_ != kNotWatched) sooner(watch_at_ns_ - now_ns_);
  if (warn_at_ns_ != INT64_MAX) sooner(warn_at_ns_ - now_ns_);
  if (trim_at_ns_ != INT64_MAX) sooner(trim_at_ns_ - now_ns_);
  if (stopping_) sooner(kStopTurnNs);
  return wait;
}

// --- act ---

void ShardLoop::act(const Event& event) {
  const uint32_t id = event.connection;
  switch (event.kind) {
    case EventKind::accepted:
      accept(id, event.listener);
      return;
    case EventKind::accept_failed:
      base::log_line(base::LogLevel::warn, "net", "cannot accept connections: {}",
                     std::strerror(event.error));
      return;
    case EventKind::closed:
      forget(id);
      return;
    case EventKind::end:
      peer_ended(id, event.error);
      return;
    case EventKind::data:
      port_.expect_more();  // where there was a request there often is another
      receive(*connections_[id], event.data);
      return;
    case EventKind::sent: {
      Connection& connection = *connections_[id];
      connection.conversation->output().sent(event.count);
      count_output(connection);
      connection.since_ns = now_ns_;
      watch_soon();
      dirty_.push_back(id);
      return;
    }
  }
}

void ShardLoop::accept(uint32_t id, uint8_t door) {
  if (id >= connections_.size()) connections_.resize(id + 1);
  connections_[id] = std::make_unique<Connection>();
  Connection& connection = *connections_[id];
  Protocol& protocol = *protocols_[door];
  connection.peer = Peer::of(reactor_.socket(id));
  connection.door = door;
  connection.conversation = protocol.begin(id, connection.peer);
  connection.logged_in = protocol.trusts(connection.peer);
  connection.since_ns = now_ns_;
  ++open_;
  connection_bytes_ += protocol.bytes_each();
  watch_soon();
  const std::string refusal = admission_.enter(connection.peer, connection.logged_in);
  connection.admitted = refusal.empty();
  ConnectionCounts& counts = *options_.doors[door].counts;
  counts.accepted.fetch_add(1, std::memory_order_relaxed);
  if (!refusal.empty()) {
    counts.refused.fetch_add(1, std::memory_order_relaxed);
    connection.conversation->refuse_connection(Errc::over_limit, refusal);
  }
  if (stopping_) connection.conversation->shut_down();
}

void ShardLoop::receive(Connection& connection, MutableBytes data) {
  if (connection.state != State::open) return;
  if (InputPacing::is_long(data.size())) {
    const int64_t begun_ns = base::os_monotonic_ns();
    connection.conversation->feed(data);
    reactor_.handled_long(data.size(), base::os_monotonic_ns() - begun_ns);
  } else {
    connection.conversation->feed(data);
  }
  connection.input_bytes += data.size();
  if (connection.input_bytes >= options_.limits.input_bytes_free) {
    connection.input_bytes = 0;
    connection.input_ns = now_ns_;
  }
  follow_input(connection);
  watch_soon();
}

void ShardLoop::peer_ended(uint32_t id, int error) {
  Connection& connection = *connections_[id];
  connection.input_ended = true;
  if (connection.state == State::closing) return;
  if (error != 0 || connection.state == State::lingering) {
    close(connection);
    return;
  }
  connection.conversation->end_of_input();
  dirty_.push_back(id);
}

void ShardLoop::forget(uint32_t id) {
  const std::unique_ptr<Connection> gone = std::move(connections_[id]);
  if (gone->admitted) admission_.leave(gone->peer, gone->logged_in);
  options_.doors[gone->door].counts->closed.fetch_add(1, std::memory_order_relaxed);
  --open_;
  output_bytes_ -= gone->output_bytes;
  connection_bytes_ -= protocols_[gone->door]->bytes_each();
}

// Reading follows what the conversation wants and the shard has room for.
void ShardLoop::follow_input(Connection& connection) {
  const InputState input = connection.conversation->input();
  if (!connection.logged_in && input.logged_in) {
    connection.logged_in = true;
    if (connection.admitted) admission_.logged_in(connection.peer);
  }
  follow_unit(connection, input);
  const bool wanted = input.wanted && !connection.input_waits;
  if (wanted == connection.reading || connection.state != State::open) return;
  connection.reading = wanted;
  if (wanted) {
    reactor_.resume_reading(connection.conversation->id());
  } else {
    reactor_.pause_reading(connection.conversation->id());
  }
}

// Notes when a frame or request begins that is not there whole, and claims room for a large one.
void ShardLoop::follow_unit(Connection& connection, const InputState& input) {
  const uint32_t id = connection.conversation->id();
  const bool other_unit = connection.unit != input.units;
  if (connection.claims_input && (other_unit || input.bytes <= options_.limits.input_bytes_free)) {
    input_budget_.release(id);
    connection.claims_input = connection.input_waits = false;
  }
  connection.unit = input.units;
  if (!input.mid_unit) {
    connection.unit_ns = 0;
  } else if (other_unit || connection.unit_ns == 0) {
    connection.unit_ns = now_ns_;
  }
  if (connection.claims_input || input.bytes <= options_.limits.input_bytes_free) return;
  connection.claims_input = true;
  connection.input_waits = !input_budget_.claim(id, input.bytes);
  connection.input_ns = now_ns_;
  connection.input_bytes = 0;
}

void ShardLoop::admit_input() {
  for (auto next = input_budget_.admit_next(); next; next = input_budget_.admit_next()) {
    Connection& connection = *connections_[*next];
    connection.input_waits = false;
    connection.input_ns = now_ns_;
    if (connection.unit_ns != 0) connection.unit_ns = now_ns_;
    follow_input(connection);
  }
}

// Others wait for room: who has a claim and does not use it loses it, the largest first, until the
// first in line fits.
void ShardLoop::close_stalled_input() {
  while (input_budget_.contended()) {
    Connection* largest = nullptr;
    for (const auto& connection : connections_) {
      if (connection == nullptr || connection->state != State::open) continue;
      const uint64_t bytes = input_budget_.granted_to(connection->conversation->id());
      if (bytes == 0 || now_ns_ - connection->input_ns < options_.limits.stalled_input_ms * kMsNs) {
        continue;
      }
      if (largest == nullptr || bytes > input_budget_.granted_to(largest->conversation->id())) {
        largest = connection.get();
      }
    }
    if (largest == nullptr) return;
    note_dropped(*largest);
    largest->conversation->refuse_connection(
        Errc::throttled, "large input was begun and did not go on while others waited for room");
    // Whatever it says of its input now: this loop ends because each turn of it frees something.
    input_budget_.release(largest->conversation->id());
    largest->claims_input = largest->input_waits = false;
    admit_input();
  }
}

// --- settle and send ---

void ShardLoop::settle() {
  // Settling may dirty a conversation again, which then joins the list's end.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    Connection* connection = find(dirty_[i]);
    if (connection == nullptr || connection->state != State::open) continue;
    if (connection->conversation->settle()) more_ = true;
    follow_input(*connection);
  }
  // Who stays in the list is settled again in the next turn, which is then at once.
  std::erase_if(dirty_, [this](uint32_t id) { return !send(id); });
  if (input_budget_.contended()) admit_input();
}

// True if the conversation has to look again: what it held back for want of room may go on, and
// bytes that went at once are told by no event.
bool ShardLoop::send(uint32_t id) {
  Connection* connection = find(id);
  if (connection == nullptr || connection->state != State::open) return false;
  Conversation& conversation = *connection->conversation;
  OutputBuffer& output = conversation.output();
  bool made_room = false;
  if (output.pending() > 0) {
    count_output(*connection);
    if (output.sending()) return false;
    const bool was_short = output.pending() > options_.limits.output_bytes_max / 2;
    const Bytes stretch = output.start_sending();
    const uint32_t gone = reactor_.send(id, stretch);
    output.sent(gone);
    count_output(*connection);
    made_room = was_short && gone > 0;
    connection->since_ns = now_ns_;
    watch_soon();
    if (output.pending() > 0) return made_room;
  }
  if (!conversation.finished()) return made_room;
  if (connection->input_ended) {
    close(*connection);
    return false;
  }
  // Closing with unread input would reset the connection and take our last words back.
  connection->state = State::lingering;
  connection->since_ns = now_ns_;
  watch_soon();
  if (!connection->reading) reactor_.resume_reading(id);
  reactor_.finish_sending(id);
  return false;
}

void ShardLoop::close(Connection& connection) {
  connection.state = State::closing;
  Conversation& conversation = *connection.conversation;
  conversation.abandon();
  input_budget_.release(conversation.id());
  reactor_.close(conversation.id());
}

// --- watch ---

void ShardLoop::count_output(Connection& connection) {
  const uint64_t bytes = connection.conversation->output().held_bytes();
  output_bytes_ += bytes - connection.output_bytes;
  connection.output_bytes = bytes;
}

// Together they hold too much that nobody reads: those that read nothing lately are closed, the
// largest first, until it is little enough.
void ShardLoop::close_stalled_output() {
  const Limits& limits = options_.limits;
  if (output_bytes_ <= limits.output_bytes_all) return;
  std::vector<Connection*> stalled;
  for (const auto& connection : connections_) {
    if (connection != nullptr && connection->state != State::closing &&
        connection->output_bytes > 0 &&
        now_ns_ - connection->since_ns >= limits.crowded_output_ms * kMsNs)
      stalled.push_back(connection.get());
  }
  std::sort(stalled.begin(), stalled.end(), [](const Connection* a, const Connection* b) {
    return a->output_bytes > b->output_bytes;
  });
  uint64_t left = output_bytes_;
  for (Connection* connection : stalled) {
    if (left <= limits.output_bytes_all) return;
    left -= connection->output_bytes;
    note_dropped(*connection);
    close(*connection);
  }
}

int64_t ShardLoop::watch_step_ns() const {
  return stopping_ ? kStopWatchNs : kWatchNs;
}

void ShardLoop::watch_soon() {
  watch_at_ns_ = std::min(watch_at_ns_, now_ns_ + watch_step_ns());
}

void ShardLoop::watch() {
  int64_t next_ns = kNotWatched;
  for (const auto& connection : connections_) {
    if (connection != nullptr) next_ns = std::min(next_ns, watch(*connection));
  }
  close_stalled_input();
  close_stalled_output();
  if (output_bytes_ > options_.limits.output_bytes_all) next_ns = now_ns_;
  more_ = true;
  watch_at_ns_ =
      next_ns == kNotWatched ? kNotWatched : std::max(next_ns, now_ns_ + watch_step_ns());
}

// Closes the connection if its time is up. When it has to be looked at again.
int64_t ShardLoop::watch(Connection& connection) {
  const Limits& limits = options_.limits;
  Conversation& conversation = *connection.conversation;
  if (connection.state == State::closing) return kNotWatched;
  if (connection.state == State::lingering) {
    const int64_t linger_ns = stopping_ ? kStopLingerNs : limits.linger_ms * kMsNs;
    if (now_ns_ - connection.since_ns >= linger_ns) close(connection);
    return connection.since_ns + linger_ns;
  }
  int64_t next_ns = kNotWatched;
  if (conversation.output().pending() > 0) {
    const uint32_t stalled_ms = stopping_
                                    ? std::min(limits.stop_output_ms, limits.stalled_output_ms)
                                    : limits.stalled_output_ms;
    next_ns = connection.since_ns + stalled_ms * kMsNs;
    if (now_ns_ >= next_ns) {
      note_dropped(connection);
      close(connection);
      return kNotWatched;
    }
    if (connection.unit_ns == 0) return next_ns;
  }
  const bool goes_on = !conversation.finished();
  next_ns = std::min(next_ns, conversation.watch({.now_ns = now_ns_,
                                                  .since_ns = connection.since_ns,
                                                  .unit_ns = connection.unit_ns,
                                                  .waits_for_room = connection.input_waits}));
  if (goes_on && conversation.finished()) note_dropped(connection);
  follow_input(connection);
  return connection.claims_input ? std::min(next_ns, now_ns_ + kWatchNs) : next_ns;
}

void ShardLoop::warn_insecure() {
  warn_at_ns_ = now_ns_ + options_.limits.insecure_warning_ms * kMsNs;
  base::log_line(base::LogLevel::warn, "net",
                 "listening on {} without encryption or credentials, as asked for",
                 options_.insecure_address);
}

void ShardLoop::trim_buffers() {
  if (now_ns_ >= trim_at_ns_) {
    trim_at_ns_ = INT64_MAX;
    pool_.trim();
  }
  if (trim_at_ns_ == INT64_MAX && pool_.kept_bytes() > 0) trim_at_ns_ = now_ns_ + kTrimNs;
}

// --- stop ---

void ShardLoop::begin_stop() {
  stopping_ = true;
  stop_by_ns_ = now_ns_ + options_.limits.stop_ms * kMsNs;
  watch_at_ns_ = now_ns_;
  reactor_.stop_accepting();
  for (const auto& connection : connections_) {
    if (connection != nullptr) connection->conversation->shut_down();
  }
}

bool ShardLoop::stopped() {
  if (!stopping_) return false;
  if (!drained_ && ((open_ == 0 && port_.idle()) || now_ns_ >= stop_by_ns_)) {
    drained_ = true;
    gate_.report_drained();
  }
  return drained_ && (gate_.all_drained() || now_ns_ >= stop_by_ns_);
}

}  // namespace millrace::net
