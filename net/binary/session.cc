#include "net/binary/session.h"

#include <algorithm>
#include <cinttypes>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/printable.h"
#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

constexpr size_t kAlignment = 8;

size_t misalignment(const std::byte* p) {
  return reinterpret_cast<uintptr_t>(p) % kAlignment;
}

}  // namespace

Session::Session(const SessionSetting& setting, uint32_t id, const Peer& peer)
    : Conversation(*setting.pool, id), setting_(setting), peer_(peer), held_(*setting.pool) {}

Session::~Session() {
  forget_requests();
  if (holder_ != 0) setting_.holders->leave(holder_);
}

// --- input ---

void Session::feed(MutableBytes bytes) {
  if (!taking_frames()) return;
  const std::byte* const begin = bytes.data();
  while (!held_.empty() && !bytes.empty() && !blocked_) {
    bytes = complete_held_frame(bytes);
    if (!taking_frames()) return;
  }
  if (bytes.empty()) return;
  // Frames are multiples of 8 long, so if the first is misaligned here all are: one move of the
  // piece over what was already used of it.
  const size_t shift = misalignment(bytes.data());
  if (blocked_ || shift > static_cast<size_t>(bytes.data() - begin)) {
    held_.append(bytes);
    handle_held();
    return;
  }
  if (shift != 0) {
    std::memmove(bytes.data() - shift, bytes.data(), bytes.size());
    bytes = {bytes.data() - shift, bytes.size()};
  }
  const size_t handled = handle_frames(bytes);
  if (taking_frames()) held_.append(bytes.subspan(handled));
}

// Moves as much of `bytes` behind the held beginning of a frame as that frame needs, and handles
// it. Returns the others.
MutableBytes Session::complete_held_frame(MutableBytes bytes) {
  const MutableBytes held = held_.bytes();
  size_t wanted = kFrameHeaderBytes;
  if (held.size() >= kFrameHeaderBytes) wanted = take<uint32_t>(held.data());
  MR_ASSERT(wanted > held.size());
  const size_t missing = std::min(wanted - held.size(), bytes.size());
  held_.append(bytes.first(missing));
  handle_held();
  return bytes.subspan(missing);
}

void Session::handle_held() {
  if (blocked_) return;
  const size_t handled = handle_frames(held_.bytes());
  if (taking_frames()) {
    held_.consume(handled);
  } else {
    held_.clear();
  }
}

size_t Session::handle_frames(MutableBytes bytes) {
  size_t at = 0;
  while (taking_frames()) {
    const MutableBytes rest = bytes.subspan(at);
    if (rest.size() < sizeof(uint32_t)) break;
    const auto length = take<uint32_t>(rest.data());
    if (!length_is_acceptable(length) || rest.size() < length) break;
    if (!has_room_for(std::to_integer<uint8_t>(rest[offsetof(wire::FrameHeader, opcode)]))) {
      blocked_ = true;
      break;
    }
    handle_frame(rest.first(length));
    at += length;
    if (failed_ != Errc::ok) fail_connection(failed_, errc_text(failed_));
  }
  return at;
}

bool Session::length_is_acceptable(uint32_t length) {
  const uint32_t length_max =
      logged_in_ ? setting_.limits.frame_bytes_max : wire::kPreLoginFrameBytesMax;
  const Errc error = check_frame_length(length, length_max);
  if (error == Errc::ok) return true;
  fail_connection(
      error, error == Errc::frame_too_large
                 ? fmt::format("a frame of {} bytes is announced; at most {} are taken{}", length,
                               length_max, logged_in_ ? "" : " before WELCOME and the log-in")
                 : fmt::format("a frame's length is {}; it must be a multiple of 8 and at "
                               "least {}",
                               length, kFrameHeaderBytes));
  return false;
}

bool Session::has_room_for(uint8_t opcode) {
  if (output_.pending() >= setting_.limits.output_bytes_max) return false;
  return requests_.size() < setting_.limits.inflight_max || !Handlers::row(opcode).waits;
}

void Session::handle_frame(MutableBytes bytes) {
  ++frames_;
  const Frame frame{take<wire::FrameHeader>(bytes.data()), bytes.subspan(kFrameHeaderBytes)};
  const wire::FrameHeader& header = frame.header;
  if (!checksum_matches(bytes, header.checksum)) {
    fail_connection(Errc::corrupt, "a frame's checksum does not match its bytes");
    return;
  }
  if (!comes_in_order(frame)) return;
  if (is_stale() && !look_again()) return;
  if (header.correlation <= last_correlation_) {
    fail_connection(Errc::protocol_violation,
                    fmt::format("correlation id {} does not rise: the last one was {}",
                                header.correlation, last_correlation_));
    return;
  }
  last_correlation_ = header.correlation;
  if (header.status != 0) {
    fail_connection(Errc::malformed,
                    fmt::format("a request's status is {}; it must be 0", header.status));
    return;
  }
  if (header.flags != 0) {
    refuse(header.correlation, Errc::unsupported,
           fmt::format("flags are {:#x}; version {} knows none", header.flags, wire::kVersion));
    return;
  }
  const Handlers::Row& row = Handlers::row(header.opcode);
  if (row.handle == nullptr) {
    refuse(header.correlation, Errc::unsupported,
           fmt::format("opcode {} is not a request of version {}", header.opcode, wire::kVersion));
    return;
  }
  if (frame.body.size() < row.body_bytes_min || frame.body.size() > row.body_bytes_max) {
    fail_connection(
        Errc::malformed,
        fmt::format("the body of opcode {} is {} bytes; it must be {} to {}", header.opcode,
                    frame.body.size(), row.body_bytes_min, row.body_bytes_max));
    return;
  }
  if (row.who == Handlers::Who::account_itself && !allows_owner(header.correlation)) return;
  row.handle(*this, frame);
}

bool Session::comes_in_order(const Frame& frame) {
  const auto opcode = static_cast<wire::Opcode>(frame.header.opcode);
  if (state_ == State::greeting && opcode != wire::Opcode::hello) {
    fail_connection(Errc::protocol_violation, "the first frame must be HELLO");
  } else if (state_ == State::login && opcode != wire::Opcode::login &&
             opcode != wire::Opcode::login_proof) {
    fail_connection(Errc::login_required, errc_text(Errc::login_required));
  } else {
    return true;
  }
  return false;
}

size_t Session::input_bytes() const {
  if (!mid_frame() || held_.size() < sizeof(uint32_t)) return held_.size();
  return std::max<size_t>(held_.size(), take<uint32_t>(held_.bytes().data()));
}

void Session::end_of_input() {
  if (!taking_frames()) return;
  input_ended_ = true;
  if (!blocked_) {
    drain(Errc::canceled);
    return;
  }
  // settle() handles what is held, as there is room.
  end_subscriptions();
  end_waiting_receives(Errc::canceled);
  mark_dirty();
}

void Session::shut_down() {
  if (taking_frames()) drain(Errc::shutting_down);
}

void Session::drain(Errc reason) {
  state_ = State::draining;
  held_.clear();
  blocked_ = false;
  end_subscriptions();
  end_waiting_receives(reason);
  mark_dirty();
}

void Session::refuse_connection(Errc code, std::string_view text) {
  fail_connection(code, text);
  held_.clear();
}

// --- steps ---

bool Session::settle() {
  dirty_ = false;
  if (failed_ != Errc::ok) fail_connection(failed_, errc_text(failed_));
  bool gave_work = give_back_leases();
  if (!taking_frames()) return gave_work;
  if (is_stale() && !look_again()) return gave_work;
  const size_t output_max = setting_.limits.output_bytes_max;
  if (output_.pending() >= output_max) {
    end_waiting_receives(Errc::ok);
    return gave_work;
  }
  if (blocked_ && output_.pending() <= output_max / 2 &&
      requests_.size() < setting_.limits.inflight_max) {
    blocked_ = false;
    handle_held();
    gave_work = true;
    if (input_ended_ && taking_frames()) {
      // Nobody is to wait any more; that may be the room that the others need.
      if (blocked_) {
        end_subscriptions();
        end_waiting_receives(Errc::canceled);
      } else {
        drain(Errc::canceled);
        return true;
      }
    }
  }
  return hand_out_credit() || gave_work;
}

bool Session::hand_out_credit() {
  bool gave_any = false;
  subscriptions_.for_each([&](uint32_t place, Subscription& subscription) {
    const uint64_t grant = subscription.take_grant();
    if (grant == 0) return;
    // A failure means that the queue is being deleted: its end is pushed.
    (void)port().add_credit({this, subscription_token(place)}, grant);
    gave_any = true;
  });
  return gave_any;
}

void Session::give_back(std::span<const Delivery> deliveries) {
  for (const Delivery& delivery : deliveries)
    to_give_back_.push_back({delivery.receipt, 0});
  mark_dirty();
}

bool Session::give_back_leases() {
  if (to_give_back_.empty()) return false;
  const std::vector<ExtendEntry> entries = std::exchange(to_give_back_, {});
  for (size_t at = 0; at < entries.size(); at += kBatchMessagesMax) {
    const size_t count = std::min<size_t>(kBatchMessagesMax, entries.size() - at);
    port().extend({{entries.data() + at, count}}, {this, kGiveBackToken});
  }
  return true;
}

void Session::abandon() {
  state_ = State::closing;
  failed_ = Errc::ok;
  blocked_ = false;
  forget_requests();
  requests_.clear();
  subscriptions_ = {};
  held_.clear();
}

int64_t Session::watch(const InputTimes& times) {
  constexpr int64_t kMsNs = 1'000'000;
  const Limits& limits = setting_.limits;
  if (!taking_frames()) return kNotWatched;
  if (!logged_in_) {
    // since_ns moves with each answer; a log-in has its time in all.
    if (begun_ns_ == 0) begun_ns_ = times.since_ns;
    const int64_t until_ns = begun_ns_ + limits.login_ms * kMsNs;
    if (times.now_ns >= until_ns)
      refuse_connection(Errc::timed_out, state_ == State::greeting ? "no HELLO came in time"
                                                                   : "no log-in came in time");
    return until_ns;
  }
  requests_.trim();
  if (times.unit_ns == 0 || times.waits_for_room) return kNotWatched;
  const int64_t until_ns = times.unit_ns + limits.frame_ms * kMsNs;
  if (times.now_ns >= until_ns) {
    refuse_connection(Errc::timed_out,
                      fmt::format("a frame was begun and not whole {} ms later", limits.frame_ms));
  }
  return until_ns;
}

// With ok they end as if nothing had come in time.
void Session::end_waiting_receives(Errc code) {
  requests_.for_each([&](uint32_t place, const PendingRequest& request) {
    if (request.opcode != wire::Opcode::receive) return;
    // One that did not ask to wait is only on its way to the other shards and back.
    if (code == Errc::canceled && !request.waits) return;
    port().cancel({this, request_token(place)});
    const PendingRequest ended = close_request(request_token(place));
    if (code != Errc::ok) {
      refuse_pending(ended, code);
      return;
    }
    answer_deliveries(output_, static_cast<uint8_t>(wire::Opcode::receive) | wire::kReplyBit,
                      ended.correlation, {});
    mark_dirty();
  });
}

void Session::end_subscriptions() {
  subscriptions_.for_each([this](uint32_t place, const Subscription&) {
    (void)port().unsubscribe({this, subscription_token(place)});
    subscriptions_.remove(place);
  });
}

void Session::forget_requests() {
  tell_unanswered();
  port().cancel_all(this);
  if (setting_.topics != nullptr) setting_.topics->forget(*this);
}

void Session::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  setting_.host->conversation_dirty(*this);
}

// --- for the handlers ---

uint32_t Session::holder() {
  if (holder_ == 0 && setting_.holders != nullptr) {
    std::string name = peer_.name();
    if (!client_name_.empty()) name += " " + base::printable(client_name_);
    holder_ = setting_.holders->enter(std::move(name));
  }
  return holder_;
}

ReplyTo Session::open_request(const Frame& frame, uint32_t queue, uint32_t count) {
  const uint32_t place = requests_.add({.correlation = frame.header.correlation,
                                        .queue = queue,
                                        .count = count,
                                        .opcode = static_cast<wire::Opcode>(frame.header.opcode)});
  return {this, request_token(place)};
}

PendingRequest Session::close_request(uint64_t token) {
  return requests_.remove(place_of(token));
}

void Session::refuse(uint64_t correlation, Errc code, std::string_view text, uint32_t entry_index) {
  answer_error(output_, {correlation, code, text, entry_index});
  mark_dirty();
}

void Session::refuse_pending(const PendingRequest& request, Errc code, uint32_t entry_index,
                             std::string_view detail) {
  if (code == Errc::shard_fenced) setting_.host->shard_fenced();
  std::string text(detail.empty() ? errc_text(code) : detail);
  const QueueInfo* queue = request.queue != 0 ? port().find_queue(QueueId{request.queue}) : nullptr;
  if (entry_index != kWholeRequest) text += fmt::format("; entry {}", entry_index);
  if (queue != nullptr) {
    text += fmt::format("; queue '{}'", queue->name);
    if (code == Errc::message_too_large) {
      text += fmt::format(" takes at most {} bytes a message", queue->attributes.message_bytes_max);
    }
  } else if (request.queue != 0) {
    text += fmt::format("; queue id {}", request.queue);
  }
  refuse(request.correlation, code, text, entry_index);
}

void Session::fail_connection(Errc code, std::string_view text) {
  if (state_ == State::closing) return;
  state_ = State::closing;
  failed_ = Errc::ok;
  blocked_ = false;
  forget_requests();
  requests_.clear();
  subscriptions_ = {};
  answer_error(output_, {0, code, text});
  mark_dirty();
}

void Session::fail_later(Errc code) {
  failed_ = code;
  mark_dirty();
}

}  // namespace millrace::net
