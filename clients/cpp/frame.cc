#include "clients/cpp/frame.h"

#include "base/assert.h"
#include "base/hash.h"

namespace millrace::client {
namespace {

constexpr size_t kHeader = sizeof(wire::FrameHeader);
constexpr size_t kHashed = offsetof(wire::FrameHeader, checksum);
constexpr size_t kSlide = kHeader - kHashed;
static_assert(kHashed == 16 && kSlide == 8);

}  // namespace

std::byte* begin_frame(ByteQueue& out, wire::Opcode opcode, uint64_t correlation,
                       size_t body_bytes) {
  MR_ASSERT(body_bytes % 8 == 0);
  MR_ASSERT(body_bytes + kHeader <= wire::kFrameBytesMax);
  std::byte* frame = out.extend(kHeader + body_bytes);
  // Already where the checksum wants it; seal_frame() moves it to the front.
  const wire::FrameHeader header{static_cast<uint32_t>(kHeader + body_bytes),
                                 static_cast<uint8_t>(opcode),
                                 0,
                                 0,
                                 correlation,
                                 0};
  std::memcpy(frame + kSlide, &header, kHashed);
  return frame + kHeader;
}

void seal_frame(std::byte* body, size_t body_bytes) {
  std::byte* frame = body - kHeader;
  const uint64_t checksum = base::hash64(frame + kSlide, kHashed + body_bytes, wire::kMagic);
  std::memmove(frame, frame + kSlide, kHashed);
  std::memcpy(frame + kHashed, &checksum, sizeof checksum);
}

Result<Frame> read_frame(MutableBytes bytes, uint32_t length_max) {
  const uint32_t length = frame_bytes_at(bytes);
  if (bytes.size() < sizeof length) return Frame{};
  if (length < kHeader || length % 8 != 0) return fail(Errc::malformed);
  if (length > length_max) return fail(Errc::frame_too_large);
  if (bytes.size() < length) return Frame{};
  Frame frame{take<wire::FrameHeader>(bytes.data()), bytes.subspan(kHeader, length - kHeader)};
  std::memmove(bytes.data() + kSlide, bytes.data(), kHashed);
  if (base::hash64(bytes.data() + kSlide, length - kSlide, wire::kMagic) != frame.header.checksum)
    return fail(Errc::corrupt);
  return frame;
}

std::byte* put_padded(std::byte* to, Bytes bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  const size_t padded = padded8(bytes.size());
  std::memset(to + bytes.size(), 0, padded - bytes.size());
  return to + padded;
}

}  // namespace millrace::client
