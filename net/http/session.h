// HttpSession: one connection's conversation in HTTP/1.1.
//
// One request is with its front at a time. What a client sends ahead of the answer stays unparsed,
// and past a little of it reading pauses; so answers are in order by themselves, and while a long
// poll waits a client that hangs up is noticed. A request that is whole in a piece of input is
// handled where it lies; of others the head and the body, without its framing, are gathered.
//
// States: open -> draining (the server stops: what is under way is answered, the rest dropped) ->
// closing (nothing more will be written). An answer with `Connection: close`, a refusal and the end
// of input with nothing under way lead to closing.
//
// Threads: shard-local. answer() only encodes; what follows from it is done by the request loop or
// in settle().   Memory: about 300 bytes, idle or waiting; counted by
// tests/net/http_server_test.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "net/conversation.h"
#include "net/http/chunked_decoder.h"
#include "net/http/front.h"
#include "net/http/request_parser.h"
#include "net/http/response_head.h"
#include "net/http/router.h"
#include "net/input_buffer.h"
#include "net/protocol.h"

namespace millrace::net {

// What all HTTP sessions of a shard share; lent for their lives.
struct HttpSetting {
  ShardSetting shard{};
  HttpRouter* router = nullptr;
  RequestParser* parser = nullptr;
  ResponseHead* head = nullptr;
};

class HttpSession final : public Conversation, private HttpExchange {
 public:
  // `peer`: the peer's address, for the fronts; empty for a unix socket.
  HttpSession(const HttpSetting& setting, uint32_t id, std::string peer);
  ~HttpSession() override;

  // kReceivePadding bytes behind them must be readable.
  void feed(MutableBytes bytes) override;
  void end_of_input() override;
  void shut_down() override;
  void refuse_connection(Errc code, std::string_view text) override;
  bool settle() override;
  void abandon() override;
  // A head and a body have to come in time; a connection without a request is closed some day.
  int64_t watch(const InputTimes& times) override;
  InputState input() const override;
  bool finished() const override { return state_ == State::closing; }

  // A request is with its front.
  bool waiting() const { return front_ != nullptr; }

 private:
  enum class State : uint8_t { open, draining, closing };
  // What is gathered of the request under way, once its head is known.
  enum class Gathering : uint8_t { nothing, length, chunks };

  void answer(const HttpResponse& response) override;

  // The request loop. handle() returns how many of the bytes it is done with.
  size_t handle(MutableBytes bytes);
  size_t begin_request(MutableBytes bytes);
  size_t gather(Bytes bytes);
  void handle_gathered();
  void handle_held();
  void dispatch(const RequestHead& head, MutableBytes body);
  void greet_continue(const RequestHead& head);
  bool gathering() const { return gathering_ != Gathering::nothing; }
  bool has_room() const {
    return front_ == nullptr && output_.pending() < setting_.shard.limits.output_bytes_max;
  }

  void respond(const HttpResponse& response);
  void refuse(const HttpRefusal& refusal);
  void write(const HttpResponse& response, Persistence persistence);
  void drop_input();
  void mark_dirty();

  const HttpSetting& setting_;
  InputBuffer held_;  // gathering: head and body so far; else what was not looked at yet
  std::unique_ptr<ChunkedDecoder> chunks_;
  HttpFront* front_ = nullptr;  // has the request under way
  std::string peer_;
  uint64_t requests_ = 0;
  uint64_t received_ = 0;       // bytes
  uint64_t window_bytes_ = 0;   // received_ when the window began
  int64_t window_ns_ = 0;       // of the body's rate; 0: none
  size_t head_line_ = 0;        // RequestParser::head_end() in held_
  size_t head_bytes_ = 0;       // gathering: of held_
  uint64_t missing_bytes_ = 0;  // gathering: of a body with a length
  State state_ = State::open;
  Gathering gathering_ = Gathering::nothing;
  bool dirty_ = false;
  bool input_ended_ = false;
  // Of the request under way.
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool head_only_ = false;
};

}  // namespace millrace::net
