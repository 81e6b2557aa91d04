// Server: a broker behind its listeners, binary and HTTP. One thread per shard, each with its own
// reactor.
//
//   std::string message;
//   auto server = Server::start(**broker, {.listen = "127.0.0.1:7411"}, &message);
//   if (!server) { print(message); return 1; }                     // one line: what, and why
//   print("millraced ready: binary={}", (*server)->address());     // the port as bound
//   ... poll() the program's signalfd together with (*server)->fence_fd() ...
//   (*server)->stop();                                             // bounded: Limits::stop_ms
//   (*broker)->stop();
//   return (*server)->fenced() ? kExitShardFenced : 0;
//
// The broker is opened by the caller, must not have been given start_threads(), outlives the
// server, and is driven by the server's threads alone from start() to the end of stop(). It is
// driven also when both listeners are off.
//
// A fenced shard (a write or sync failed: nothing is acknowledged any more) is logged as an error
// and makes fence_fd() readable; the server goes on answering shard_fenced until the program stops
// it.
//
// Threads: start, stop and the destructor from one thread; the others from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "millrace/options.h"
#include "millrace/result.h"
#include "net/address.h"
#include "net/audit/audit_log.h"
#include "net/binary/gatekeeper.h"
#include "net/binary/topic_desk.h"
#include "net/holders.h"
#include "net/http/router.h"
#include "net/limits.h"
#include "net/metrics/metrics_front.h"
#include "net/protocol.h"
#include "net/reactor.h"
#include "net/tls/tls_certificate.h"

namespace millrace::net {

// EX_SOFTWARE: what a program exits with when a shard was fenced.
inline constexpr int kExitShardFenced = 70;

// Makes the fronts of one shard and gives them paths; called on the shard's thread, so once for
// each. /healthz, /readyz and /metrics are there already.
using HttpFronts = std::function<void(ShardPort& port, HttpRouter& router)>;

struct ServerOptions {
  // "HOST:PORT", "[::1]:PORT", "unix:PATH", "off"; port 0: any
  std::string listen = "127.0.0.1:7411";
  std::string http = "off";  // the same for HTTP
  HttpFronts http_fronts{};  // may be empty
  // TLS on both; not on unix sockets, which only this machine reaches. Null: none.
  std::shared_ptr<const TlsCertificate> tls{};
  // HTTP wants signatures and the binary protocol log-ins, and both are checked in full.
  bool authenticated = false;
  // Makes the gatekeeper of one shard's binary listener; called on the shard's thread. Empty: there
  // are no credentials.
  std::function<std::unique_ptr<Gatekeeper>()> gatekeepers{};
  // Makes what one shard's binary listener publishes with; called on the shard's thread. `http`: as
  // http_address() says it. Empty: what is about topics is refused.
  std::function<std::unique_ptr<TopicDesk>(const ShardSetting& shard, const std::string& http)>
      topic_desks{};
  AuditLog* audit = nullptr;  // outlives the server; null: there is none
  ReactorKind reactor = ReactorKind::automatic;
  bool insecure_listen = false;                // allows any address, see why_not_listen()
  Durability durability = Durability::commit;  // the broker's, as WELCOME tells it to clients
  bool pin_threads = true;  // one core each, if there are as many cores as shards and more than one
  uint32_t spin_us = 0;     // how long an idle turn polls before it sleeps
  uint32_t trace_turns_us = 0;  // turns of a shard that take longer are told of in the log; 0: none
  MetricsSettings metrics{};
  Limits limits{};
  // Who asks for messages, as PEEK tells it; for fronts that tell it of their callers too. Null:
  // the server keeps its own.
  std::shared_ptr<Holders> holders{};
};

// Empty, or one line: why this address is not listened on. Those that other machines reach are for
// TLS and authentication; insecure_listen allows any.
std::string why_not_listen(const Address& address, const ServerOptions& options);

class Server {
 public:
  // Binds, starts the threads and returns when every one serves. On failure nothing is left running
  // and `message` has one line for people: invalid_argument (an address, or why_not_listen()),
  // address_in_use, permission_denied, io_error.
  static Result<std::unique_ptr<Server>> start(Broker& broker, const ServerOptions& options,
                                               std::string* message);
  virtual ~Server() = default;  // stops

  // As bound, in the form it can be given to a client: "127.0.0.1:40123", "unix:/run/m.sock",
  // "off".
  virtual const std::string& address() const = 0;
  virtual const std::string& http_address() const = 0;
  // "io_uring" or "epoll".
  virtual std::string_view reactor() const = 0;
  // Open connections, over all shards.
  virtual uint32_t connections() const = 0;

  // An eventfd that becomes readable, and stays so, once a shard is fenced.
  virtual int fence_fd() const = 0;
  virtual bool fenced() const = 0;

  // Stops accepting and reading, answers what is committed, closes, joins the threads. May be
  // called twice. Blocks for at most about Limits::stop_ms.
  virtual void stop() = 0;
};

}  // namespace millrace::net
