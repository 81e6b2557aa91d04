// Protocol: what is spoken on one of a shard's listeners: it begins the conversations there.
//
// Threads: shard-local, made on the shard's own thread. It outlives its conversations.
#pragma once

#include <functional>
#include <memory>

#include "millrace/engine.h"
#include "net/admission.h"
#include "net/audit/audit_log.h"
#include "net/conversation.h"
#include "net/holders.h"
#include "net/limits.h"

namespace millrace::net {

// What a shard lends to its protocols, for their lives.
struct ShardSetting {
  ShardPort* port = nullptr;
  BufferPool* pool = nullptr;
  ConversationHost* host = nullptr;
  Holders* holders = nullptr;  // null: nobody asks who holds what
  AuditLog* audit = nullptr;   // null: there is none
  Limits limits{};
  bool secure = false;  // what the protocol sees came over TLS
  // For helpers' threads: this shard's loop turns soon. Null: there is no loop.
  std::function<void()> wake{};
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) = 0;
  // Whether this peer counts as logged in from the start, for Admission.
  virtual bool trusts(const Peer& peer) const = 0;
  // About what a conversation takes while it is idle or waits, without the pool's buffers.
  virtual uint32_t bytes_each() const = 0;
  // Once in each turn of the loop: takes what helpers' threads have finished.
  virtual void turn() {}
};

using ProtocolMaker = std::function<std::unique_ptr<Protocol>(const ShardSetting& setting)>;

}  // namespace millrace::net
