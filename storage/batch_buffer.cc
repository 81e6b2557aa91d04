#include "storage/batch_buffer.h"

#include <bit>
#include <cstring>
#include <span>

#include "base/aligned_memory.h"
#include "base/assert.h"
#include "base/hash.h"
#include "storage/log_reader.h"

namespace millrace::storage {

void BatchBuffer::begin_batch(uint64_t generation, uint64_t segment_start, uint64_t position) {
  MR_ASSERT(used_ == 0);
  generation_ = generation;
  segment_start_ = segment_start;
  position_ = position;
}

void BatchBuffer::reserve(uint64_t bytes) {
  if (bytes <= capacity_) return;
  const uint64_t capacity = std::bit_ceil(bytes < 16 * kPageBytes ? 16 * kPageBytes : bytes);
  std::unique_ptr<std::byte[], Free> grown(base::take_aligned(kPageBytes, capacity));
  if (used_ > 0) std::memcpy(grown.get(), data_.get(), used_);
  data_ = std::move(grown);
  capacity_ = capacity;
}

std::byte* BatchBuffer::begin_record(uint16_t kind, uint64_t body_bytes) {
  MR_ASSERT(!record_open());
  const uint64_t length = sizeof(RecordHeader) + body_bytes;
  reserve(used_ + padded(length));
  const RecordHeader header{0, static_cast<uint32_t>(length), kind, 0};
  std::memcpy(data_.get() + used_, &header, sizeof header);
  open_bytes_ = length;
  return data_.get() + used_ + sizeof header;
}

void BatchBuffer::seal() {
  MR_ASSERT(record_open());
  std::byte* record = data_.get() + used_;
  constexpr uint64_t kSkip = sizeof(RecordHeader::checksum);
  const uint64_t checksum =
      base::hash64(record + kSkip, open_bytes_ - kSkip,
                   record_seed(generation_, position_ + used_, segment_start_));
  std::memcpy(record, &checksum, sizeof checksum);
  const uint64_t whole = padded(open_bytes_);
  std::memset(record + open_bytes_, 0, whole - open_bytes_);
  used_ += whole;
  open_bytes_ = 0;
  checksums_.push_back(checksum);
}

uint64_t BatchBuffer::close(CommitMark mark, uint64_t chain) {
  mark.count = static_cast<uint32_t>(checksums_.size());
  mark.bytes = used_;
  mark.chain = base::hash64(std::as_bytes(std::span(checksums_)), chain);
  std::memcpy(begin_record(kKindCommitMark, sizeof mark), &mark, sizeof mark);
  seal();
  return mark.chain;
}

void BatchBuffer::clear() {
  used_ = 0;
  open_bytes_ = 0;
  checksums_.clear();
}

}  // namespace millrace::storage
