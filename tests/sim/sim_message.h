// SimMessage: how the simulator's messages look. A body is bytes that follow from a key, so that
// any change shows; where bodies may be equal, an attribute carries the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/engine.h"
#include "millrace/message.h"
#include "millrace/properties.h"
#include "tests/sim/reference_message.h"

namespace millrace::sim {

struct SimMessage {
  Key key = 0;
  Key root = 0;        // whose body it has, and whose deduplication id
  uint64_t group = 0;  // 0: none
  bool plain = false;  // without properties: the body tells the key
  bool with_id = false;
  uint32_t delay_ms = 0;
};

// Hash of what must come back as it was.
uint64_t content_hash(const SimMessage& message);
void append_message(std::vector<std::byte>& run, const SimMessage& message);

// A message that several queues get, each with a key of its own, which is its copy's stamp.
inline constexpr uint32_t kPublishedStampAt = sizeof(Key);
Uuid stamp_of(Key key);
void append_published(std::vector<std::byte>& run, Key root);
uint64_t published_hash(Key root, Key key);

// What a delivery brought.
struct SimContent {
  Key key = 0;
  uint64_t hash = 0;
  std::optional<MovedFrom> moved{};
};
// Nothing if it has no key.
std::optional<SimContent> read_message(Bytes message);
std::optional<SimContent> read_delivered(const Delivery& delivery);

}  // namespace millrace::sim
