#include "net/shard_loop.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/log_line.h"
#include "base/os_clock.h"

namespace millrace::net {
namespace {

constexpr int64_t kMsNs = 1'000'000;
constexpr int64_t kWatchNs = 500 * kMsNs;
// While stopping: how often the other shards' progress is looked at, and how long a peer has to
// close after us.
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
      setting_{.port = &port,
               .pool = &pool_,
               .host = this,
               .limits = options.limits,
               .shards = options.shards,
               .durability = options.durability},
      fence_probe_(port, gate) {
  port_.set_waker([waker = reactor.waker()] { waker->wake(); });
}

ShardLoop::~ShardLoop() {
  for (const auto& connection : connections_) {
    if (connection == nullptr || !connection->admitted) continue;
    admission_.leave(connection->peer, connection->logged_in);
  }
}

void ShardLoop::run() {
  if (options_.listener >= 0) reactor_.start_accepting(options_.listener);
  more_ = true;  // the shard may have work from before
  while (!stopped()) {
    const std::span<const Event> events = reactor_.run_turn(wait_ns());
    now_ns_ = base::os_monotonic_ns();
    if (!events.empty()) {
      busy_ns_ = now_ns_;
      port_.refresh_clock();
    }
    for (const Event& event : events) {
      act(event);
    }
    more_ = port_.tick();
    settle();
    if (watching_ && now_ns_ >= watch_at_ns_) watch();
    if (!stopping_ && gate_.stop_asked()) begin_stop();
  }
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
  if (watching_) sooner(watch_at_ns_ - now_ns_);
  if (stopping_) sooner(kStopTurnNs);
  return wait;
}

// --- act ---

void ShardLoop::act(const Event& event) {
  const uint32_t id = event.connection;
  switch (event.kind) {
    case EventKind::accepted:
      accept(id);
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
      receive(*connections_[id], event.data);
      return;
    case EventKind::sent: {
      Connection& connection = *connections_[id];
      connection.session.output().sent(event.count);
      connection.since_ns = now_ns_;
      dirty_.push_back(id);
      return;
    }
  }
}

void ShardLoop::accept(uint32_t id) {
  if (id >= connections_.size()) connections_.resize(id + 1);
  connections_[id] = std::make_unique<Connection>(setting_, id);
  Connection& connection = *connections_[id];
  connection.peer = Peer::of(reactor_.socket(id));
  connection.since_ns = now_ns_;
  ++open_;
  watching_ = true;
  const std::string refusal = admission_.enter(connection.peer);
  connection.admitted = refusal.empty();
  if (!refusal.empty()) connection.session.refuse_connection(Errc::over_limit, refusal);
  if (stopping_) connection.session.shut_down();
}

void ShardLoop::receive(Connection& connection, MutableBytes data) {
  if (connection.state != State::open) return;
  connection.session.feed(data);
  if (!connection.logged_in && connection.session.logged_in()) {
    connection.logged_in = true;
    admission_.logged_in(connection.peer);
  }
  follow_input(connection);
  watching_ = true;
}

void ShardLoop::peer_ended(uint32_t id, int error) {
  Connection& connection = *connections_[id];
  connection.input_ended = true;
  if (connection.state == State::closing) return;
  if (error != 0 || connection.state == State::lingering) {
    close(connection);
    return;
  }
  connection.session.end_of_input();
  dirty_.push_back(id);
}

void ShardLoop::forget(uint32_t id) {
  const std::unique_ptr<Connection> gone = std::move(connections_[id]);
  if (gone->admitted) admission_.leave(gone->peer, gone->logged_in);
  --open_;
}

// Reading follows what the session wants.
void ShardLoop::follow_input(Connection& connection) {
  const bool wanted = connection.session.wants_input();
  if (wanted == connection.reading || connection.state != State::open) return;
  connection.reading = wanted;
  if (wanted) {
    reactor_.resume_reading(connection.session.id());
  } else {
    reactor_.pause_reading(connection.session.id());
  }
}

// --- settle and send ---

void ShardLoop::settle() {
  // Settling may dirty a session again, which then joins the list's end.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    Connection* connection = find(dirty_[i]);
    if (connection == nullptr || connection->state != State::open) continue;
    if (connection->session.settle()) more_ = true;
    follow_input(*connection);
  }
  // Who stays in the list is settled again in the next turn, which is then at once.
  std::erase_if(dirty_, [this](uint32_t id) { return !send(id); });
}

// True if the session has to look again: what it held back for want of room may go on, and bytes
// that went at once are told by no event.
bool ShardLoop::send(uint32_t id) {
  Connection* connection = find(id);
  if (connection == nullptr || connection->state != State::open) return false;
  OutputBuffer& output = connection->session.output();
  bool made_room = false;
  if (output.pending() > 0) {
    if (output.sending()) return false;
    const bool was_short = output.pending() > options_.limits.output_bytes_max / 2;
    const Bytes stretch = output.start_sending();
    const uint32_t gone = reactor_.send(id, stretch);
    output.sent(gone);
    made_room = was_short && gone > 0;
    connection->since_ns = now_ns_;
    watching_ = true;
    if (output.pending() > 0) return made_room;
  }
  if (!connection->session.finished()) return made_room;
  if (connection->input_ended) {
    close(*connection);
    return false;
  }
  // Closing with unread input would reset the connection and take our last words back.
  connection->state = State::lingering;
  connection->since_ns = now_ns_;
  if (!connection->reading) reactor_.resume_reading(id);
  reactor_.finish_sending(id);
  return false;
}

void ShardLoop::close(Connection& connection) {
  connection.state = State::closing;
  connection.session.abandon();
  reactor_.close(connection.session.id());
}

// --- watch ---

void ShardLoop::watch() {
  watch_at_ns_ = now_ns_ + kWatchNs;
  bool needed = false;
  for (const auto& connection : connections_) {
    if (connection != nullptr && watch(*connection)) needed = true;
  }
  // One more after the last traffic, for what a sync found out later.
  if (!stopping_) fence_probe_.ask();
  more_ = true;
  watching_ = needed;
}

// Closes the connection if its time is up. True if it has to be looked at again.
bool ShardLoop::watch(Connection& connection) {
  const Limits& limits = options_.limits;
  Session& session = connection.session;
  const int64_t age_ns = now_ns_ - connection.since_ns;
  if (connection.state == State::closing) return false;
  if (connection.state == State::lingering) {
    const int64_t linger_ns = stopping_ ? kStopLingerNs : limits.linger_ms * kMsNs;
    if (age_ns >= linger_ns) close(connection);
    return true;
  }
  if (session.output().pending() > 0) {
    if (age_ns >= limits.stalled_output_ms * kMsNs) close(connection);
    return true;
  }
  if (!connection.logged_in) {
    if (age_ns >= limits.login_ms * kMsNs) {
      session.refuse_connection(Errc::timed_out, "no HELLO came in time");
    }
    return true;
  }
  session.trim();
  return false;
}

// --- stop ---

void ShardLoop::begin_stop() {
  stopping_ = true;
  stop_by_ns_ = now_ns_ + options_.limits.stop_ms * kMsNs;
  watching_ = true;
  watch_at_ns_ = now_ns_;
  reactor_.stop_accepting();
  fence_probe_.cancel();
  for (const auto& connection : connections_) {
    if (connection != nullptr) connection->session.shut_down();
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
