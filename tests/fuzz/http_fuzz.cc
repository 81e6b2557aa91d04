// Fuzzes heads and bodies of HTTP and the session around them: however the stream is cut into
// pieces, the answers are the same, byte by byte.
//
// The first byte of an input chooses the pieces, the rest is the stream. It is given to one session
// whole and to another in pieces, with what waits below /later/ answered at the end. Checked
// besides: no crash, every answer is whole, nothing follows the end of a conversation, a front is
// given no more than the bounds allow, and 64 readable bytes behind it; and that the requests it is
// given are those that a second reader finds in the stream (tests/fuzz/plain_http.h), no others,
// nowhere else, and all of the usual kind.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "tests/fuzz/plain_http.h"
#include "tests/net/http_peer.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using namespace millrace::net::test;

Limits small_limits() {
  Limits limits;
  limits.http_head_bytes_max = 1024;
  limits.http_fields_max = 10;
  limits.http_body_bytes_max = 2048;
  return limits;
}

struct Heard {
  std::string text;
  std::vector<std::string> seen;
  bool finished = false;
};

Heard converse(std::string_view stream, size_t piece_bytes) {
  const Limits limits = small_limits();
  HttpPeer peer(limits);
  Heard heard;
  const auto listen = [&] {
    const bool finished = peer.session->finished();
    const std::string text = peer.hear_text();
    MR_ASSERT(!finished || peer.session->finished());
    heard.text += text;
  };
  for (size_t at = 0; at < stream.size(); at += piece_bytes) {
    peer.say(stream.substr(at, piece_bytes));
    listen();
    MR_ASSERT(peer.front->waiting.size() <= 1);
  }
  while (!peer.front->waiting.empty()) {
    peer.front->answer_next();
    listen();
  }
  heard.finished = peer.session->finished();
  heard.seen = peer.front->seen;
  for (const std::string& request : heard.seen)
    MR_ASSERT(request.size() <= limits.http_head_bytes_max + limits.http_body_bytes_max + 2);
  // Nothing is said to who says nothing any more.
  peer.session->end_of_input();
  MR_ASSERT(peer.hear_text().empty());
  MR_ASSERT(peer.session->finished());
  return heard;
}

void compare_readers(std::string_view stream, const std::vector<std::string>& seen) {
  fuzz::PlainHttp reader(stream);
  for (const std::string& request : seen) {
    const auto plain = reader.next();
    MR_ASSERT(plain.has_value());
    MR_ASSERT(request == plain->method + " " + plain->target + " " + plain->body);
  }
  // The first one that was not given to the front.
  const auto next = reader.next();
  MR_ASSERT(!next || !next->usual);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  const Heard whole = converse(stream, std::max<size_t>(1, stream.size()));
  const Heard pieces = converse(stream, 1 + data[0]);
  MR_ASSERT(whole.text == pieces.text);
  MR_ASSERT(whole.seen == pieces.seen);
  MR_ASSERT(whole.finished == pieces.finished);
  compare_readers(stream, whole.seen);
  // Answers to HEAD have no body, and there is no telling them from the others here.
  const bool heads = std::any_of(whole.seen.begin(), whole.seen.end(),
                                 [](const std::string& seen) { return seen.starts_with("HEAD "); });
  if (!heads) parse_answers(whole.text);
  return 0;
}
