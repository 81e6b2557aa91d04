#include "engine/deliveries.h"

namespace millrace::engine {

uint64_t delivered_bytes(std::span<const Delivery> deliveries) {
  uint64_t bytes = 0;
  for (const Delivery& delivery : deliveries)
    bytes += delivery.message.size();
  return bytes;
}

void copy_deliveries(std::span<const Delivery> deliveries, std::vector<std::byte>* bytes,
                     std::vector<Delivery>* copies) {
  bytes->reserve(delivered_bytes(deliveries));  // what is copied stays where it is
  copies->reserve(deliveries.size());
  for (const Delivery& delivery : deliveries) {
    const size_t offset = bytes->size();
    bytes->insert(bytes->end(), delivery.message.begin(), delivery.message.end());
    copies->push_back(delivery);
    copies->back().message = Bytes{bytes->data() + offset, delivery.message.size()};
  }
}

}  // namespace millrace::engine
