// Listener: one address, a listening socket for each shard.
//
// TCP: a socket each with SO_REUSEPORT, between which the kernel spreads connections. A unix socket
// has one queue: all shards accept from the same. Sockets that are accepted inherit TCP_NODELAY and
// keep-alive. The file of a unix socket is for its owner only, and is removed at the end; one that
// a killed server left behind is replaced: only when connecting to it is refused, which no live
// server does. An address that is taken is tried for about a second. Immutable after open().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "millrace/result.h"
#include "net/address.h"

namespace millrace::net {

class Listener {
 public:
  // Errors: address_in_use, permission_denied, io_error; `message` gets one line.
  static Result<std::unique_ptr<Listener>> open(const Address& address, uint16_t shards,
                                                std::string* message);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // -1 if the address is off.
  int socket(uint16_t shard) const {
    return sockets_.empty() ? -1 : sockets_[shard % sockets_.size()];
  }
  // With the port that was bound.
  const Address& address() const { return address_; }

 private:
  explicit Listener(const Address& address) : address_(address) {}
  Status bind_tcp(uint16_t shards);
  Status bind_local();
  // Binds one socket and listens; the errno on failure. bind_one() tries for about a second.
  int bind_one(bool share_port);
  int try_bind(bool share_port);
  // try_bind() for a unix socket, in the place of one that nobody listens on any more.
  int replace_abandoned();

  Address address_;
  std::vector<int> sockets_;
  bool made_file_ = false;
  int error_ = 0;
};

}  // namespace millrace::net
