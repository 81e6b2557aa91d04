#include "engine/fifo_intake.h"

#include <cstring>
#include <string>

#include "engine/message_names.h"

namespace millrace::engine {
namespace {

// Up to so many ids are compared one by one.
constexpr size_t kShortRun = 16;

}  // namespace

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

// Of the message in this run that brought the id first: number within what is stored, which is
// where the next one goes if none did.
uint64_t FifoIntake::number_of(const base::Hash128& id) {
  const uint64_t next = stored_names_.size();
  if (next < kShortRun) {
    for (uint64_t i = 0; i < next; ++i)
      if (stored_names_[i].id == id) return i;
    return next;
  }
  if (batch_.empty())
    for (uint64_t i = 0; i < next; ++i)
      if (stored_names_[i].id) batch_.emplace(*stored_names_[i].id, i);
  return batch_.try_emplace(id, next).first->second;
}

void FifoIntake::read(const Partition& partition, const base::KeyedHash& names, bool by_content,
                      Bytes run, uint32_t count, TimeMs now) {
  run_ = run;
  copied_ = false;
  copy_.clear();
  names_.clear();
  known_.clear();
  stored_names_.clear();
  outcomes_.clear();
  batch_.clear();
  const bool by_group = partition.kind().dedup_by_group;
  const bool both_scopes = now < partition.rules().both_scopes_until;
  for (size_t offset = 0; names_.size() < count;) {
    const std::byte* message = run.data() + offset;
    names_.push_back(names_of(names, properties_of(message), by_group));
    offset += message_stride(*reinterpret_cast<const MessageHeader*>(message));
  }
  // By content.
  std::string with_hash;
  const auto add_hash = [&](const std::byte* message, const MessageHeader& header) {
    const Bytes properties = properties_of(message);
    const ContentHash hash =
        content_hash({properties.data() + properties.size(), header.body_bytes});
    with_hash = as_text(properties);
    append_property(with_hash, PropertyTag::content_hash, std::as_bytes(std::span(hash)));
    return dedup_key(names, as_bytes(with_hash), by_group);
  };
  // Looked up one right after the other: the table lies in no cache, and so they wait together.
  for (const MessageNames& named : names_)
    known_.push_back(named.id ? partition.dedup().find(*named.id, now) : nullptr);
  size_t offset = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const std::byte* message = run.data() + offset;
    MessageHeader header;
    std::memcpy(&header, message, sizeof header);
    MessageNames& named = names_[i];
    with_hash.clear();
    if (!named.id && by_content) {
      named.id = add_hash(message, header);
      known_[i] = named.id ? partition.dedup().find(*named.id, now) : nullptr;
    }
    if (both_scopes && named.id && known_[i] == nullptr) {
      const Bytes properties = with_hash.empty() ? properties_of(message) : as_bytes(with_hash);
      known_[i] = partition.dedup().find(*dedup_key(names, properties, !by_group), now);
    }
    const bool known = known_[i] != nullptr;
    Outcome outcome{known, known ? raw(known_[i]->slot) : stored_names_.size()};
    if (named.id && !known) outcome.slot = number_of(*named.id);
    const bool stored = !outcome.known && outcome.slot == stored_names_.size();
    outcomes_.push_back(outcome);
    // From the first message that is left out or changed, the rest is copied.
    if (!copied_ && (!stored || !with_hash.empty())) {
      copied_ = true;
      copy_.assign(run.begin(), run.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    if (stored) {
      stored_names_.push_back(named);
      if (copied_)
        copy_message(message, with_hash.empty() ? properties_of(message) : as_bytes(with_hash));
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
