// Conversation: what is said on one connection, in whatever protocol, without a socket and without
// a clock. Session (net/binary) and HttpSession (net/http) are the two.
//
// Bytes go in by feed(), answers come out in output(), and settle() is called when the conversation
// has told its host that it is dirty. The host moves the bytes, measures the time and closes:
//
//   conversation.feed(bytes);
//   port.tick();              // answers arrive
//   conversation.settle();    // if it is dirty
//   ... send output(), and settle() again when some of it has left ...
//   if (conversation.finished() && output().pending() == 0) close
//
// Virtual calls are made for a piece of input and for a turn, never for a frame.
// Threads: shard-local.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include "millrace/result.h"
#include "millrace/types.h"
#include "net/buffer_pool.h"
#include "net/output_buffer.h"

namespace millrace::net {

class Conversation;

// Who drives conversations: the server's shard loop, the simulator.
class ConversationHost {
 public:
  // It has output, or something else that settle() acts on. Once until settle().
  virtual void conversation_dirty(Conversation& conversation) = 0;
  // The shard answered shard_fenced: nothing is acknowledged any more.
  virtual void shard_fenced() = 0;

 protected:
  ~ConversationHost() = default;
};

// What the host has to know of the input. A unit is a frame or a request.
struct InputState {
  uint64_t units = 0;      // handled: tells one under way from the next
  size_t bytes = 0;        // held, or what will be held by the time the unit under way is whole
  bool wanted = true;      // false: there is no room for more
  bool mid_unit = false;   // one has begun and its rest has to come
  bool logged_in = false;  // the peer has shown who it is, or that it speaks the protocol
};

// How long what a peer does has taken, for watch(). Monotonic nanoseconds.
struct InputTimes {
  int64_t now_ns = 0;
  int64_t since_ns = 0;         // when the connection came, or its output last moved
  int64_t unit_ns = 0;          // when the unit under way began, or could go on; 0: none is
  bool waits_for_room = false;  // it is the host that does not read on
};
inline constexpr int64_t kNotWatched = std::numeric_limits<int64_t>::max();

class Conversation {
 public:
  // `id` is the host's, for finding its connection.
  Conversation(BufferPool& pool, uint32_t id) : output_(pool), id_(id) {}
  virtual ~Conversation() = default;  // ends what is under way
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // The next bytes of the stream; their contents may be changed. After closing they are ignored.
  virtual void feed(MutableBytes bytes) = 0;
  // The peer sends no more (it may still read): nothing waits for messages any more; what came
  // whole is answered, then the conversation is finished.
  virtual void end_of_input() = 0;
  // The server stops: what is under way is answered, nothing waits any more.
  virtual void shut_down() = 0;
  // Refuses the connection, before it has begun or because of how it goes on.
  virtual void refuse_connection(Errc code, std::string_view text) = 0;
  // Acts on what callbacks left and handles held input if there is room again. True if the shard
  // was given something to do: tick() again.
  virtual bool settle() = 0;
  // The connection broke: nothing is to be written any more, all that is under way ends.
  virtual void abandon() = 0;
  // Refuses who is too slow and gives up memory that is only kept for the next burst. Called now
  // and then while a unit is under way or all output has left. Returns when to be called at the
  // latest; kNotWatched: after more input.
  virtual int64_t watch(const InputTimes& times) = 0;

  // The connection is inside TLS from here on, and these bytes name its session (RFC 9266,
  // tls-exporter); none: it has no such name. Before the first feed().
  virtual void bind_to(Bytes /*session*/) {}

  virtual InputState input() const = 0;
  // Nothing more will be written to output().
  virtual bool finished() const = 0;

  uint32_t id() const { return id_; }
  OutputBuffer& output() { return output_; }
  const OutputBuffer& output() const { return output_; }

 protected:
  OutputBuffer output_;
  const uint32_t id_;
};

}  // namespace millrace::net
