#include "net/binary/frame.h"

#include "base/assert.h"
#include "base/hash.h"

namespace millrace::net {
namespace {

constexpr size_t kHashedHeader = offsetof(wire::FrameHeader, checksum);
constexpr size_t kSlide = kFrameHeaderBytes - kHashedHeader;
static_assert(kHashedHeader == 16 && kSlide == 8);

}  // namespace

Errc check_frame_length(uint32_t length, uint32_t length_max) {
  if (length > length_max) return Errc::frame_too_large;
  return length >= kFrameHeaderBytes && length % 8 == 0 ? Errc::ok : Errc::malformed;
}

bool checksum_matches(MutableBytes frame, uint64_t checksum) {
  std::memmove(frame.data() + kSlide, frame.data(), kHashedHeader);
  return base::hash64(frame.data() + kSlide, frame.size() - kSlide, wire::kMagic) == checksum;
}

std::byte* begin_frame(OutputBuffer& out, uint8_t opcode, Errc status, uint64_t correlation,
                       size_t body_bytes) {
  MR_ASSERT(body_bytes % 8 == 0);
  MR_ASSERT(body_bytes + kFrameHeaderBytes <= wire::kFrameBytesMax);
  std::byte* frame = out.extend(kFrameHeaderBytes + body_bytes);
  // Already where the checksum wants it; seal_frame() moves it to the front.
  const wire::FrameHeader header{static_cast<uint32_t>(kFrameHeaderBytes + body_bytes),
                                 opcode,
                                 0,
                                 static_cast<uint16_t>(status),
                                 correlation,
                                 0};
  std::memcpy(frame + kSlide, &header, kHashedHeader);
  return frame + kFrameHeaderBytes;
}

void seal_frame(std::byte* body, size_t body_bytes) {
  std::byte* frame = body - kFrameHeaderBytes;
  const uint64_t checksum = base::hash64(frame + kSlide, kHashedHeader + body_bytes, wire::kMagic);
  std::memmove(frame, frame + kSlide, kHashedHeader);
  std::memcpy(frame + kHashedHeader, &checksum, sizeof checksum);
}

std::byte* put_padded(std::byte* to, Bytes bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  const size_t padded = padded8(bytes.size());
  std::memset(to + bytes.size(), 0, padded - bytes.size());
  return to + padded;
}

std::string_view without_padding(Bytes body) {
  std::string_view text = as_text(body);
  for (int i = 0; i < 7 && !text.empty() && text.back() == '\0'; ++i)
    text.remove_suffix(1);
  return text;
}

}  // namespace millrace::net
