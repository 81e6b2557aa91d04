// Admission: who may connect: the process's number of connections, and how many an address has that
// have not logged in.
//
// Cross-shard: a lock, taken when a connection comes, logs in and goes, never for a message.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "net/limits.h"

namespace millrace::net {

// The address of a peer; `local` for a unix socket.
struct Peer {
  bool local = true;
  bool six = false;
  uint32_t port = 0;  // of a unix socket: the peer's process
  std::array<uint8_t, 16> address{};
  static Peer of(int socket);
  bool loopback() const;
  std::string text() const;  // "127.0.0.1", "::1"; empty for a unix socket
  std::string name() const;  // "127.0.0.1:40112", "[::1]:40112", "process 4242"
  Peer without_port() const;
  friend auto operator<=>(const Peer&, const Peer&) = default;
};

class Admission {
 public:
  explicit Admission(const Limits& limits) : limits_(limits) {}

  // Returns nothing and counts the connection in, leave() must follow; or why it has to be refused,
  // for people. `logged_in`: it is from the start, whatever its address.
  std::string enter(const Peer& peer, bool logged_in);
  void logged_in(const Peer& peer);
  void leave(const Peer& peer, bool was_logged_in);
  uint32_t connections() const;

 private:
  void forget_greeting(const Peer& peer);

  const Limits limits_;
  mutable std::mutex mutex_;
  uint32_t connections_ = 0;
  std::map<Peer, uint32_t> greeting_;  // not logged in, by address without port
};

}  // namespace millrace::net
