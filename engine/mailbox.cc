#include "engine/mailbox.h"

#include "base/assert.h"
#include "engine/limits.h"

namespace millrace::engine {

static_assert(kShardsMax <= 64);  // sets of shards are bits of a word

Mailroom::Mailroom(uint16_t shards) : shards_(shards), wakers_(std::make_unique<Waker[]>(shards)) {
  MR_ASSERT(shards > 0 && shards <= kShardsMax);
  rings_.resize(size_t{shards} * shards);
  for (uint16_t from = 0; from < shards; ++from)
    for (uint16_t to = 0; to < shards; ++to)
      if (from != to)
        rings_[size_t{from} * shards + to] =
            std::make_unique<base::SpscRing<MailPtr>>(kMailboxMails);
}

Mailbox::Mailbox(Mailroom& room, ShardId own) : room_(room), own_(own), waiting_(room.shards()) {}

void Mailbox::post(ShardId to, MailPtr mail) {
  mail->from = own_;
  auto& waiting = waiting_[raw(to)];
  if (to == own_) {
    waiting.push(std::move(mail));
    return;
  }
  to_wake_ |= uint64_t{1} << raw(to);
  if (!waiting.empty() || !room_.ring(own_, to).push(mail)) {
    waiting.push(std::move(mail));
    ++waiting_count_;
  }
}

MailPtr Mailbox::take() {
  if (auto& own = waiting_[raw(own_)]; !own.empty()) return own.pop();
  MailPtr mail;
  for (uint16_t tried = 0; tried < room_.shards(); ++tried) {
    const ShardId sender{next_sender_};
    next_sender_ = static_cast<uint16_t>((next_sender_ + 1) % room_.shards());
    if (sender != own_ && room_.ring(sender, own_).pop(mail)) break;
  }
  return mail;
}

void Mailbox::flush() {
  for (uint16_t to = 0; waiting_count_ > 0 && to < room_.shards(); ++to) {
    auto& waiting = waiting_[to];
    if (ShardId{to} == own_) continue;
    while (!waiting.empty() && room_.ring(own_, ShardId{to}).push(waiting.front())) {
      waiting.pop();
      --waiting_count_;
      to_wake_ |= uint64_t{1} << to;
    }
  }
  for (uint16_t to = 0; to_wake_ != 0; ++to, to_wake_ >>= 1)
    if ((to_wake_ & 1) != 0) room_.waker(ShardId{to}).wake();
}

bool Mailbox::empty() const {
  if (waiting_count_ > 0 || !waiting_[raw(own_)].empty()) return false;
  for (uint16_t from = 0; from < room_.shards(); ++from)
    if (ShardId{from} != own_ && !room_.ring(ShardId{from}, own_).empty()) return false;
  return true;
}

}  // namespace millrace::engine
