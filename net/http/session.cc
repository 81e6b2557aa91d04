#include "net/http/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace millrace::net {
namespace {

static_assert(kReceivePadding >= kHttpBodyPadding);

constexpr int64_t kHttpMsNs = 1'000'000;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr HttpField kAllow{"Allow", "GET, HEAD, POST, OPTIONS"};

bool starts_with_empty_line(Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{'\r'} && bytes[1] == std::byte{'\n'};
}

HttpRefusal refusal_of(Errc code, std::string_view text) {
  const bool slow = code == Errc::timed_out || code == Errc::throttled;
  return {static_cast<uint16_t>(slow ? 408 : 503), text};
}

}  // namespace

HttpSession::HttpSession(const HttpSetting& setting, uint32_t id, std::string peer)
    : Conversation(*setting.shard.pool, id),
      setting_(setting),
      held_(*setting.shard.pool),
      peer_(std::move(peer)) {}

HttpSession::~HttpSession() {
  if (front_ != nullptr) front_->cancel(*this);
}

// --- input ---

void HttpSession::feed(MutableBytes bytes) {
  if (state_ != State::open) return;
  received_ += bytes.size();
  if (!gathering() && !held_.empty()) {
    held_.append(bytes);
    handle_held();
    return;
  }
  const size_t done = handle(bytes);
  if (state_ == State::open) held_.append(bytes.subspan(done));
}

// What is held and not gathered is looked at anew, with what has come since.
void HttpSession::handle_held() {
  if (held_.empty() || gathering() || !has_room()) return;
  if (!starts_with_empty_line(held_.bytes())) {
    HttpRefusal refusal;
    const size_t end = setting_.parser->head_end(held_.bytes(), head_line_, refusal);
    if (end == 0 && !refusal) return;
  }
  head_line_ = 0;
  held_.pad();
  InputBuffer piece(*setting_.shard.pool);
  piece.swap(held_);
  const size_t done = handle(piece.bytes());
  if (state_ == State::open) held_.append(piece.bytes().subspan(done));
}

size_t HttpSession::handle(MutableBytes bytes) {
  size_t at = 0;
  while (state_ == State::open && at < bytes.size() && (gathering() || has_room())) {
    const MutableBytes rest = bytes.subspan(at);
    const size_t done = gathering() ? gather(rest) : begin_request(rest);
    if (done == 0) break;
    at += done;
  }
  return at;
}

// Handles a request that is whole, or begins to gather one whose head is; 0: the head is not whole.
size_t HttpSession::begin_request(MutableBytes bytes) {
  // A client may send an empty line behind a body, and before a request it means nothing.
  if (starts_with_empty_line(bytes)) return 2;
  size_t line = 0;
  HttpRefusal refusal;
  const size_t end = setting_.parser->head_end(bytes, line, refusal);
  RequestHead head;
  if (end != 0) refusal = setting_.parser->parse(bytes.first(end), head);
  if (refusal) {
    refuse(refusal);
    return bytes.size();
  }
  if (end == 0) return 0;
  greet_continue(head);
  const size_t room = bytes.size() - end;
  if (!head.chunked && head.content_length <= room) {
    dispatch(head, bytes.subspan(end, head.content_length));
    return end + head.content_length;
  }
  held_.append(bytes.first(end));
  head_bytes_ = end;
  window_ns_ = 0;
  if (head.chunked) {
    gathering_ = Gathering::chunks;
    chunks_ = std::make_unique<ChunkedDecoder>(held_, setting_.shard.limits.http_body_bytes_max);
  } else {
    gathering_ = Gathering::length;
    missing_bytes_ = head.content_length;
  }
  return end;
}

size_t HttpSession::gather(Bytes bytes) {
  if (gathering_ == Gathering::length) {
    const size_t done = std::min<uint64_t>(missing_bytes_, bytes.size());
    held_.append(bytes.first(done));
    missing_bytes_ -= done;
    if (missing_bytes_ == 0) handle_gathered();
    return done;
  }
  const size_t done = chunks_->feed(bytes);
  switch (chunks_->state()) {
    case ChunkedDecoder::State::under_way:
      break;
    case ChunkedDecoder::State::whole:
      handle_gathered();
      break;
    case ChunkedDecoder::State::malformed:
      refuse({400, "the chunks of the body are malformed"});
      break;
    case ChunkedDecoder::State::too_long:
      refuse({413, "the body is too long"});
      break;
  }
  return done;
}

void HttpSession::handle_gathered() {
  gathering_ = Gathering::nothing;
  chunks_.reset();
  held_.pad();
  // The front sees it from here: what it does to the session must not touch it.
  InputBuffer gathered(*setting_.shard.pool);
  gathered.swap(held_);
  RequestHead head;
  const HttpRefusal refusal = setting_.parser->parse(gathered.bytes().first(head_bytes_), head);
  MR_ASSERT(!refusal);
  dispatch(head, gathered.bytes().subspan(head_bytes_));
}

// Even if the body is there already: then the answer does not depend on how the bytes came.
void HttpSession::greet_continue(const RequestHead& head) {
  if (!head.expects_continue || (head.content_length == 0 && !head.chunked)) return;
  std::memcpy(output_.extend(kContinue.size()), kContinue.data(), kContinue.size());
  mark_dirty();
}

void HttpSession::dispatch(const RequestHead& head, MutableBytes body) {
  ++requests_;
  keep_alive_ = head.keep_alive;
  http_1_0_ = head.http_1_0;
  head_only_ = head.method == "HEAD";
  const HttpRequest request{.method = head.method,
                            .target = head.target,
                            .fields = head.fields,
                            .body = body,
                            .peer = peer_,
                            .secure = setting_.shard.secure};
  front_ = setting_.router->find(request.path());
  if (front_ == nullptr) {
    respond({.status = 404, .body = "nothing is here\n"});
    return;
  }
  front_->handle(request, *this);
  if (front_ != nullptr && input_ended_) front_->stop_waiting(*this);
}

InputState HttpSession::input() const {
  const Limits& limits = setting_.shard.limits;
  InputState input{.units = requests_,
                   .bytes = 0,
                   .wanted = state_ == State::open,
                   .mid_unit = false,
                   .logged_in = requests_ > 0};
  if (state_ != State::open) return input;
  if (!gathering() && !has_room()) {
    input.wanted = held_.size() < limits.input_bytes_free;
    return input;
  }
  input.bytes = held_.size();
  input.mid_unit = !held_.empty();
  if (gathering_ == Gathering::length) input.bytes += missing_bytes_;
  // How long it will be is not known: past the free bytes it may become as long as any.
  if (gathering_ == Gathering::chunks && input.bytes > limits.input_bytes_free)
    input.bytes = limits.http_body_bytes_max;
  return input;
}

void HttpSession::end_of_input() {
  if (state_ != State::open) return;
  input_ended_ = true;
  if (front_ != nullptr) front_->stop_waiting(*this);
  mark_dirty();
}

void HttpSession::shut_down() {
  if (state_ != State::open) return;
  state_ = front_ == nullptr ? State::closing : State::draining;
  drop_input();
  if (front_ != nullptr) front_->stop_waiting(*this);
  mark_dirty();
}

void HttpSession::refuse_connection(Errc code, std::string_view text) {
  if (state_ == State::closing) return;
  if (front_ != nullptr) std::exchange(front_, nullptr)->cancel(*this);
  refuse(refusal_of(code, text));
  drop_input();
}

int64_t HttpSession::watch(const InputTimes& times) {
  const Limits& limits = setting_.shard.limits;
  if (state_ != State::open || (!gathering() && !has_room())) return kNotWatched;
  int64_t until_ns = 0;
  if (gathering()) {
    if (window_ns_ == 0 || times.waits_for_room) {
      window_ns_ = times.now_ns;
      window_bytes_ = received_;
    }
    until_ns = window_ns_ + limits.http_body_ms * kHttpMsNs;
    if (times.now_ns < until_ns) return until_ns;
    if (received_ - window_bytes_ < limits.http_body_bytes) {
      refuse_connection(Errc::timed_out, "the body comes too slowly");
      return kNotWatched;
    }
    window_ns_ = 0;
    return times.now_ns;
  }
  if (times.unit_ns != 0) {
    until_ns = times.unit_ns + limits.http_head_ms * kHttpMsNs;
    if (times.now_ns >= until_ns)
      refuse_connection(Errc::timed_out, "a request was begun and its head did not come in time");
    return until_ns;
  }
  until_ns = times.since_ns + limits.http_idle_ms * kHttpMsNs;
  if (times.now_ns >= until_ns) {
    state_ = State::closing;
    mark_dirty();
  }
  return until_ns;
}

// --- output ---

void HttpSession::answer(const HttpResponse& response) {
  MR_ASSERT(front_ != nullptr);
  front_ = nullptr;
  respond(response);
}

void HttpSession::respond(const HttpResponse& response) {
  const bool ends = response.close || !keep_alive_ || state_ != State::open;
  write(response, ends ? Persistence::ends : http_1_0_ ? Persistence::said : Persistence::implied);
}

void HttpSession::refuse(const HttpRefusal& refusal) {
  keep_alive_ = false;
  head_only_ = false;
  std::string body(refusal.text);
  body += '\n';
  HttpResponse response{.status = refusal.status, .body = body};
  if (refusal.status == 405) response.fields = {&kAllow, 1};
  write(response, Persistence::ends);
}

void HttpSession::write(const HttpResponse& response, Persistence persistence) {
  const std::string_view head =
      setting_.head->write(response, persistence, setting_.shard.port->now());
  const bool bodiless = head_only_ || is_bodiless(response.status);
  const std::string_view body = bodiless ? std::string_view() : response.body;
  std::byte* const to = output_.extend(head.size() + body.size());
  std::memcpy(to, head.data(), head.size());
  if (!body.empty()) std::memcpy(to + head.size(), body.data(), body.size());
  if (persistence == Persistence::ends) state_ = State::closing;
  mark_dirty();
}

void HttpSession::drop_input() {
  gathering_ = Gathering::nothing;
  chunks_.reset();
  held_.clear();
}

void HttpSession::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  setting_.shard.host->conversation_dirty(*this);
}

// --- steps ---

bool HttpSession::settle() {
  dirty_ = false;
  const uint64_t before = requests_;
  if (state_ == State::open) handle_held();
  if (state_ == State::open && input_ended_ && has_room()) state_ = State::closing;
  if (state_ == State::closing) drop_input();
  return requests_ != before;
}

void HttpSession::abandon() {
  state_ = State::closing;
  if (front_ != nullptr) std::exchange(front_, nullptr)->cancel(*this);
  drop_input();
}

}  // namespace millrace::net
