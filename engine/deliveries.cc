#include "engine/deliveries.h"

#include <cstring>

#include "base/assert.h"
#include "base/uuid.h"

namespace millrace {

void put_stamp(const Stamp& stamp, std::byte* message) {
  if (stamp.uuid == nullptr) return;
  MessageHeader header;
  std::memcpy(&header, message, sizeof header);
  Uuid uuid;
  std::memcpy(uuid.data(), stamp.uuid, uuid.size());
  const std::string text = base::uuid_text(uuid);
  MR_ASSERT(uint64_t{stamp.at} + text.size() <= header.body_bytes);
  std::memcpy(message + sizeof header + header.properties_bytes + stamp.at, text.data(),
              text.size());
}

}  // namespace millrace

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
    put_stamp(delivery.stamp, bytes->data() + offset);
    copies->back().stamp = {};
  }
}

}  // namespace millrace::engine
