#include "net/holders.h"

#include <utility>

#include "millrace/engine.h"

namespace millrace::net {

uint32_t Holders::enter(std::string name) {
  const std::lock_guard lock(mutex_);
  return add({.name = std::move(name), .connected = true});
}

void Holders::leave(uint32_t holder) {
  const std::lock_guard lock(mutex_);
  holders_.at(holder).connected = false;
  forget_later(holder);
}

uint32_t Holders::named(std::string_view name) {
  const std::lock_guard lock(mutex_);
  std::string key(name);
  if (const auto known = by_name_.find(key); known != by_name_.end()) return known->second;
  const uint32_t holder = add({.name = key, .by_name = true});
  by_name_.emplace(std::move(key), holder);
  forget_later(holder);
  return holder;
}

std::string Holders::text(uint32_t holder) const {
  if (holder == 0) return "somebody before the restart";
  if (holder == kMoveTaskHolder) return "a move task";
  const std::lock_guard lock(mutex_);
  const auto known = holders_.find(holder);
  if (known == holders_.end()) return "somebody forgotten";
  return known->second.connected || known->second.by_name ? known->second.name
                                                          : known->second.name + ", gone";
}

uint32_t Holders::add(Holder holder) {
  // After 2^32 of them numbers come again.
  do
    ++last_;
  while (last_ == 0 || last_ == kMoveTaskHolder || holders_.contains(last_));
  holders_.emplace(last_, std::move(holder));
  return last_;
}

void Holders::forget_later(uint32_t holder) {
  gone_.push_back(holder);
  if (gone_.size() <= kGoneMax) return;
  const auto oldest = holders_.find(gone_.front());
  if (oldest->second.by_name) by_name_.erase(oldest->second.name);
  holders_.erase(oldest);
  gone_.pop_front();
}

}  // namespace millrace::net
