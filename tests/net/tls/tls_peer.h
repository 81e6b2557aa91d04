// TlsPeer: OpenSSL's own client on one side, a TLS conversation with an HTTP session in it on the
// other, and between them bytes in memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls/tls_protocol.h"
#include "tests/net/http_peer.h"
#include "tests/net/tls/test_certificate.h"

namespace millrace::net::test {

// An SSL client on two memory BIOs.
class TlsClient {
 public:
  explicit TlsClient(int version = 0, const char* suites = nullptr) {
    context_ = SSL_CTX_new(TLS_client_method());
    // Also what is too old, which the server has to refuse.
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, version == 0 ? TLS1_2_VERSION : version);
    SSL_CTX_set_max_proto_version(context_, version);
    SSL_CTX_set_cipher_list(context_, suites == nullptr ? "ALL" : suites);
    begin();
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_SESSION_free(session_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Another connection, which offers the last one's session.
  void begin_again() {
    SSL_SESSION_free(session_);
    session_ = SSL_get1_session(ssl_);
    // A session that ended without a word may not be resumed.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
    begin();
    SSL_set_session(ssl_, session_);
  }

  SSL* ssl() { return ssl_; }
  bool shake() { return SSL_do_handshake(ssl_) == 1; }
  void say(std::string_view text) { SSL_write(ssl_, text.data(), static_cast<int>(text.size())); }
  // What the client's side has to send.
  std::string outgoing() {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void incoming(Bytes bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
  // What has come in plain.
  std::string hear() {
    std::string text;
    char piece[4096];
    for (int n = 0; (n = SSL_read(ssl_, piece, sizeof piece)) > 0;)
      text.append(piece, static_cast<size_t>(n));
    return text;
  }
  std::string server_name() {
    X509* x509 = SSL_get1_peer_certificate(ssl_);
    char name[100] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof name);
    X509_free(x509);
    return name;
  }

 private:
  void begin() {
    ssl_ = SSL_new(context_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
  }

  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  SSL_SESSION* session_ = nullptr;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

class TlsPeer final : public ConversationHost {
 public:
  explicit TlsPeer(const TestCertificate& files, const Limits& limits = {})
      : certificate(std::make_shared<TlsCertificate>(files.certificate, files.key)),
        limits_(limits) {
    std::string why;
    MR_ASSERT(certificate->reload(&why));
    const ShardSetting setting{.port = &port, .pool = &pool, .host = this, .limits = limits};
    protocol_ = std::make_unique<TlsProtocol>(
        setting, certificate,
        [this](const ShardSetting& inner) { return std::make_unique<Inner>(inner, &front); });
    begin();
  }

  void begin() {
    conversation = protocol_->begin(7, Peer{.local = false});
    MR_ASSERT(conversation->id() == 7);
  }

  // To the server, in pieces of so many bytes.
  void deliver(std::string_view bytes, size_t piece_bytes = 64u << 10) {
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, piece_bytes);
      bytes.remove_prefix(piece.size());
      const std::unique_ptr<std::byte[]> copy(new std::byte[piece.size() + kReceivePadding]());
      std::memcpy(copy.get(), piece.data(), piece.size());
      conversation->feed({copy.get(), piece.size()});
    }
  }
  // Turns of the server's loop, what it sends handed to the client, until nothing more comes.
  void turn(TlsClient& client) {
    for (int turns = 0;; ++turns) {
      MR_ASSERT(turns < 10'000);
      port.tick();
      dirty = false;
      const bool more = conversation->settle();
      OutputBuffer& output = conversation->output();
      output_max = std::max(output_max, output.pending());
      if (output.pending() == 0 && !more && !dirty) return;
      if (output.pending() == 0) continue;
      const Bytes stretch = output.start_sending();
      client.incoming(stretch);
      output.sent(stretch.size());
    }
  }
  // To and fro until both sides are silent. False if the handshake failed.
  bool shake(TlsClient& client, size_t piece_bytes = 64u << 10) {
    bool shaken = false;
    for (int i = 0; i < 10 && !shaken; ++i) {
      shaken = client.shake();
      deliver(client.outgoing(), piece_bytes);
      turn(client);
    }
    client.hear();  // the tickets
    return shaken && !conversation->finished();
  }
  std::string ask(TlsClient& client, std::string_view request, size_t piece_bytes = 64u << 10) {
    client.say(request);
    deliver(client.outgoing(), piece_bytes);
    turn(client);
    return client.hear();
  }

  void conversation_dirty(Conversation& which) override {
    MR_ASSERT(which.id() == 7);
    dirty = true;
  }
  void shard_fenced() override {}

  FakePort port;
  BufferPool pool;
  TestFront front;
  bool dirty = false;
  size_t output_max = 0;
  std::shared_ptr<TlsCertificate> certificate;

 private:
  // The protocol of the inner conversations: HTTP with the test's front alone.
  class Inner final : public Protocol {
   public:
    Inner(const ShardSetting& shard, TestFront* front)
        : parser_(shard.limits),
          setting_{.shard = shard, .router = &router_, .parser = &parser_, .head = &head_} {
      router_.add_for_others(*front);
    }
    std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) override {
      return std::make_unique<HttpSession>(setting_, id, peer.text());
    }
    bool trusts(const Peer&) const override { return false; }
    uint32_t bytes_each() const override { return 0; }

   private:
    HttpRouter router_;
    RequestParser parser_;
    ResponseHead head_;
    HttpSetting setting_;
  };

  const Limits limits_;
  std::unique_ptr<TlsProtocol> protocol_;

 public:
  std::unique_ptr<Conversation> conversation;
};

}  // namespace millrace::net::test
