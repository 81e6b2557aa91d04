// What is done with deliveries wherever they are held for longer than they are lent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/engine.h"

namespace millrace::engine {

// Of their messages.
uint64_t delivered_bytes(std::span<const Delivery> deliveries);

// Fills `copies`, whose messages lie in `bytes`; both are empty before.
void copy_deliveries(std::span<const Delivery> deliveries, std::vector<std::byte>* bytes,
                     std::vector<Delivery>* copies);

}  // namespace millrace::engine
