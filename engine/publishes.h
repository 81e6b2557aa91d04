// Publishes: messages of a topic come into the queues that want them, on the shard that was asked.
//
// Standard queues have a part on every shard, so no other shard is needed. A publish is answered
// when it has reached what the most careful of its queues asks for.
//
// Threads: shard-local.  Memory: reused, some 24 bytes for each queue of the largest publish.
#pragma once

#include <vector>

#include "engine/send_gate.h"
#include "engine/shard_parts.h"
#include "millrace/publish.h"

namespace millrace::engine {

class Publishes {
 public:
  // As Sends.
  Publishes(const ShardParts& parts, const Position& safe_at, SendGate& gate)
      : parts_(parts), safe_at_(safe_at), gate_(gate) {}

  void publish(const PublishRequest& request, ReplyTo to);

 private:
  Errc check(const PublishRequest& request);

  ShardParts parts_;
  const Position& safe_at_;
  SendGate& gate_;
  std::vector<ShardState::Target> targets_;
  Durability level_{};
};

}  // namespace millrace::engine
