// TlsConversation: another conversation, spoken through TLS. No socket and no clock, as that one.
//
// What the peer sends goes into OpenSSL where it lies, and what OpenSSL sends into output(); the
// plain bytes pass through a buffer that all of a shard's connections share, a record (16 KiB) at a
// time. Its answers are encrypted while output() is at most half full, and wait in its own output
// until then, so that its back-pressure works as without TLS. While it wants no input, records wait
// here as they came, and reading pauses.
//
// The handshake has Limits::login_ms. What breaks TLS (a failed handshake, a damaged record, an
// attempt to renegotiate, plain HTTP) gets OpenSSL's alert and ends the connection; the inner
// conversation then hears that it broke.
//
// Threads: shard-local.   Memory: some 15 KiB for OpenSSL's state, no buffers while it is idle.
#pragma once

#include <memory>

#include "net/conversation.h"
#include "net/input_buffer.h"
#include "net/protocol.h"

struct bio_st;
struct ssl_st;

namespace millrace::net {

// What the TLS conversations of a shard share; lent for their lives.
struct TlsSetting {
  ShardSetting shard{};
  MutableBytes plain;  // for one record, with kReceivePadding bytes behind it
};

class TlsConversation final : public Conversation {
 public:
  // `ssl` is fresh, of a server. `inner` has this one's id and tells the same host.
  TlsConversation(const TlsSetting& setting, ssl_st* ssl, std::unique_ptr<Conversation> inner);
  ~TlsConversation() override;

  void feed(MutableBytes bytes) override;
  void end_of_input() override;
  void shut_down() override;
  void refuse_connection(Errc code, std::string_view text) override;
  bool settle() override;
  void abandon() override;
  int64_t watch(const InputTimes& times) override;
  InputState input() const override;
  bool finished() const override { return closed_; }

 private:
  friend struct TlsBio;
  struct Free {
    void operator()(ssl_st* ssl) const;
  };

  void pump_held();
  void pump();
  bool shake_hands();
  void bind_inner();
  bool wants_plain() const;
  bool encrypt();
  void handle_failure(int result);
  void close();
  void mark_dirty();

  const TlsSetting& setting_;
  std::unique_ptr<ssl_st, Free> ssl_;
  std::unique_ptr<Conversation> inner_;
  InputBuffer held_;  // records that the inner conversation had no room for
  Bytes incoming_{};  // in pump(): what OpenSSL has not taken yet
  Bytes stretch_{};   // of the inner output: what is not encrypted yet
  int64_t begun_ns_ = 0;
  bool shaken_ = false;  // hands
  bool renegotiates_ = false;
  bool closed_ = false;
  bool dirty_ = false;
};

}  // namespace millrace::net
