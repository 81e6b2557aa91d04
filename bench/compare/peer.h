// Peer: one connection to a queue of another broker. Requests go out on all connections before the
// first answer is waited for, so that the broker always has work at hand.
//
// An error ends the program with one line: figures of a run with errors are worth nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace::compare {

struct PeerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string variant;       // of the queue, where a broker has several kinds
  uint32_t connection = 0;   // which one this is
  std::string body;          // of every message
  uint32_t batch_max = 100;  // messages that begin_send() and begin_take() may be asked for
};

class Peer {
 public:
  virtual ~Peer() = default;
  // Makes the queue. Once, on the first connection, before the others are opened.
  virtual void prepare() = 0;
  // Asks for `count` messages to be sent; finish_send() returns when all are acknowledged.
  virtual void begin_send(uint32_t count) = 0;
  virtual void finish_send() = 0;
  // Asks for up to `count` messages; finish_take() returns how many came and asks for their
  // acknowledgement, for which finish_ack() waits if the broker answers it at all.
  virtual void begin_take(uint32_t count) = 0;
  virtual uint32_t finish_take() = 0;
  virtual void finish_ack() = 0;
};

struct PeerKind {
  const char* name;
  std::unique_ptr<Peer> (*open)(const PeerOptions& options);
};
// redis-lists, redis-streams, nats, beanstalkd, rabbitmq.
const std::vector<PeerKind>& peer_kinds();

std::unique_ptr<Peer> open_redis_lists(const PeerOptions& options);
std::unique_ptr<Peer> open_redis_streams(const PeerOptions& options);
std::unique_ptr<Peer> open_nats(const PeerOptions& options);
std::unique_ptr<Peer> open_beanstalkd(const PeerOptions& options);
std::unique_ptr<Peer> open_rabbitmq(const PeerOptions& options);

// Ends the program unless `ok`.
void demand(bool ok, const std::string& what);

}  // namespace millrace::compare
