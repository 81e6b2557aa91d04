// Holders: who asks for messages, by number, so that a PEEK can say who holds a leased one.
//
// A connection of the binary protocol enters when it first asks and leaves when it closes; its name
// is kept for a while, since its leases outlast it. Callers of HTTP have no connection that means
// anything: they come under a name, and have the same number as long as it is known. What is
// forgotten first is who left, or came under a name, longest ago; nobody who is connected.
//
// Threads: any. Asked once for a connection, and for each receive over HTTP; never for a message.
// Memory: some 150 bytes for each who is connected, and for kGoneMax others.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace millrace::net {

class Holders {
 public:
  static constexpr size_t kGoneMax = 16'384;

  // The number of a connection, never 0; leave() must follow.
  uint32_t enter(std::string name);
  void leave(uint32_t holder);
  uint32_t named(std::string_view name);
  // For people: "127.0.0.1:40112 orders-worker", of who left "127.0.0.1:40112 orders-worker, gone".
  // What the engine knows nobody for was leased before the server started.
  std::string text(uint32_t holder) const;

 private:
  struct Holder {
    std::string name;
    bool connected = false;
    bool by_name = false;
  };
  uint32_t add(Holder holder);
  void forget_later(uint32_t holder);

  mutable std::mutex mutex_;
  uint32_t last_ = 0;
  std::unordered_map<uint32_t, Holder> holders_;
  std::unordered_map<std::string, uint32_t> by_name_;
  std::deque<uint32_t> gone_;  // or not connected at all: oldest first
};

}  // namespace millrace::net
