// CallTable: the requests that a front has given to its shard and not answered yet.
//
// A token, which the shard gives back with its reply, is a place here and the number of its use, so
// that a reply to a call that was given up is told from one to the next in its place.
//
// Threads: shard-local.   Memory: some 100 bytes a call, and what it keeps; places are reused.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include <boost/unordered/unordered_flat_map.hpp>

#include "net/aws/audited.h"
#include "net/aws/operation.h"
#include "net/http/front.h"

namespace millrace::net {

// What a call has in any service; a service's own adds to it, and clear() makes that anew.
struct CallBase {
  HttpExchange* exchange = nullptr;      // null: the client is gone
  const Operation* operation = nullptr;  // null: the place is free
  uint32_t use = 0;
  uint32_t next_free = 0;
  bool xml = false;
  std::unique_ptr<Audited> audited{};
  std::string kept{};

  void clear() {}
};

template <class Call>
class CallTable {
 public:
  // A call for the exchange, which has none; everything but its place is as it was left.
  Call& open(HttpExchange& exchange, uint64_t* token) {
    uint32_t place = free_;
    if (place == kNone) {
      place = static_cast<uint32_t>(places_.size());
      places_.emplace_back();
    } else {
      free_ = places_[place].next_free;
    }
    Call& call = places_[place];
    call.exchange = &exchange;
    ++call.use;
    *token = uint64_t{call.use} << 32 | place;
    of_exchange_[&exchange] = place;
    return call;
  }
  // Null: it was given up.
  Call* find(uint64_t token) {
    const auto place = static_cast<uint32_t>(token);
    if (place >= places_.size()) return nullptr;
    Call& call = places_[place];
    return call.operation != nullptr && call.use == token >> 32 ? &call : nullptr;
  }
  Call* find(HttpExchange& exchange, uint64_t* token) {
    const auto found = of_exchange_.find(&exchange);
    if (found == of_exchange_.end()) return nullptr;
    Call& call = places_[found->second];
    *token = uint64_t{call.use} << 32 | found->second;
    return &call;
  }
  // The client is gone; the shard's reply is still to come.
  void forget_exchange(Call& call) {
    of_exchange_.erase(call.exchange);
    call.exchange = nullptr;
  }
  void close(uint64_t token) {
    const auto place = static_cast<uint32_t>(token);
    Call& call = places_[place];
    if (call.exchange != nullptr) forget_exchange(call);
    call.operation = nullptr;
    call.clear();
    if (call.kept.capacity() > kKeptBytes) call.kept = {};
    call.next_free = free_;
    free_ = place;
  }
  size_t size() const { return of_exchange_.size(); }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  static constexpr size_t kKeptBytes = 4'096;

  std::deque<Call> places_;
  uint32_t free_ = kNone;
  boost::unordered_flat_map<HttpExchange*, uint32_t> of_exchange_;
};

}  // namespace millrace::net
