#include "net/sqs/settings.h"

namespace millrace::net::sqs {

bool SqsShared::try_purge(QueueId queue, TimeMs now, int64_t wait_ms) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(purged_, [&](const auto& one) { return now - one.second >= wait_ms; });
  return purged_.emplace(raw(queue), now).second;
}

void SqsShared::note_deleted(std::string_view name, TimeMs now, int64_t wait_ms) {
  if (wait_ms == 0) return;
  const std::scoped_lock lock(mutex_);
  std::erase_if(deleted_, [&](const auto& one) { return now - one.second >= wait_ms; });
  deleted_[std::string(name)] = now;
}

bool SqsShared::deleted_lately(std::string_view name, TimeMs now, int64_t wait_ms) {
  if (wait_ms == 0) return false;
  const std::scoped_lock lock(mutex_);
  const auto found = deleted_.find(std::string(name));
  return found != deleted_.end() && now - found->second < wait_ms;
}

void SqsShared::forget() {
  const std::scoped_lock lock(mutex_);
  purged_.clear();
  deleted_.clear();
}

}  // namespace millrace::net::sqs
