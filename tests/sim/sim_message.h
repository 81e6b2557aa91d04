// SimMessage: how the simulator's messages look. A body is bytes that follow from a key, so that
// any change shows; where bodies may be equal, an attribute carries the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

// What a delivery brought.
struct SimContent {
  Key key = 0;
  uint64_t hash = 0;
  std::optional<MovedFrom> moved{};
};
// Nothing if it has no key.
std::optional<SimContent> read_message(Bytes message);

}  // namespace millrace::sim
