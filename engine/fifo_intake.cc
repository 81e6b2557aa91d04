#include "engine/fifo_intake.h"

#include <cstring>
#include <string>

#include "engine/message_names.h"

namespace millrace::engine {

// Appends a message to the copy, with these properties in place of its own.
void FifoIntake::copy_message(const std::byte* message, Bytes properties) {
  MessageHeader header;
  std::memcpy(&header, message, sizeof header);
  const Bytes body{message + sizeof header + header.properties_bytes, header.body_bytes};
  header.properties_bytes = static_cast<uint32_t>(properties.size());
  const auto add = [this](Bytes bytes) { copy_.insert(copy_.end(), bytes.begin(), bytes.end()); };
  add(std::as_bytes(std::span(&header, 1)));
  add(properties);
  add(body);
  copy_.resize(padded8(copy_.size()));
}

void FifoIntake::read(const Partition& partition, const base::KeyedHash& names, bool by_content,
                      Bytes run, uint32_t count, TimeMs now) {
  run_ = run;
  copied_ = false;
  copy_.clear();
  stored_count_ = 0;
  outcomes_.clear();
  batch_.clear();
  const bool by_group = partition.kind().dedup_by_group;
  size_t offset = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const std::byte* message = run.data() + offset;
    MessageHeader header;
    std::memcpy(&header, message, sizeof header);
    Bytes properties{message + sizeof header, header.properties_bytes};
    auto id = dedup_key(names, properties, by_group);
    std::string with_hash;
    if (!id && by_content) {
      const ContentHash hash =
          content_hash({properties.data() + properties.size(), header.body_bytes});
      with_hash = as_text(properties);
      append_property(with_hash, PropertyTag::content_hash, std::as_bytes(std::span(hash)));
      properties = as_bytes(with_hash);
      id = dedup_key(names, properties, by_group);
    }
    const DedupWindow::Entry* known = id ? partition.dedup().find(*id, now) : nullptr;
    Outcome outcome{known != nullptr, known != nullptr ? raw(known->slot) : stored_count_};
    if (id && known == nullptr) {
      const auto [at, fresh] = batch_.try_emplace(*id, stored_count_);
      if (!fresh) outcome = {false, at->second};
    }
    const bool stored = !outcome.known && outcome.slot == stored_count_;
    outcomes_.push_back(outcome);
    // From the first message that is left out or changed, the rest is copied.
    if (!copied_ && (!stored || !with_hash.empty())) {
      copied_ = true;
      copy_.assign(run.begin(), run.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    if (stored) {
      ++stored_count_;
      if (copied_) copy_message(message, properties);
    }
    offset += message_stride(header);
  }
}

std::span<const Slot> FifoIntake::slots(Slot first) {
  slots_.clear();
  for (const Outcome& outcome : outcomes_)
    slots_.push_back(outcome.known ? Slot{outcome.slot} : first + outcome.slot);
  return slots_;
}

}  // namespace millrace::engine
