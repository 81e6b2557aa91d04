#include "net/tls/tls_conversation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/assert.h"

namespace millrace::net {
namespace {

constexpr int64_t kTlsMsNs = 1'000'000;
constexpr size_t kStretchMax = 64u << 10;

}  // namespace

// OpenSSL's view of the connection: it reads from incoming_ and writes to output_.
struct TlsBio {
  static TlsConversation& of(BIO* bio) { return *static_cast<TlsConversation*>(BIO_get_data(bio)); }
  static int read(BIO* bio, char* to, int size) {
    Bytes& from = of(bio).incoming_;
    BIO_clear_retry_flags(bio);
    if (from.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t n = std::min(static_cast<size_t>(size), from.size());
    std::memcpy(to, from.data(), n);
    from = from.subspan(n);
    return static_cast<int>(n);
  }
  static int write(BIO* bio, const char* from, int size) {
    if (size > 0) {
      std::memcpy(of(bio).output_.extend(static_cast<size_t>(size)), from,
                  static_cast<size_t>(size));
    }
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conversation");
      MR_ASSERT(m != nullptr);
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }

  // Renegotiation is refused with a warning, after which OpenSSL would go on.
  static void on_event(const SSL* ssl, int where, int value) {
    constexpr int kNoRenegotiation = SSL_AD_NO_RENEGOTIATION;
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && (value & 0xff) == kNoRenegotiation)
      of(SSL_get_wbio(ssl)).renegotiates_ = true;
  }
};

void TlsConversation::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

TlsConversation::TlsConversation(const TlsSetting& setting, ssl_st* ssl,
                                 std::unique_ptr<Conversation> inner)
    : Conversation(*setting.shard.pool, inner->id()),
      setting_(setting),
      ssl_(ssl),
      inner_(std::move(inner)),
      held_(*setting.shard.pool) {
  BIO* bio = BIO_new(TlsBio::method());
  MR_ASSERT(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_info_callback(ssl, TlsBio::on_event);
  SSL_set_accept_state(ssl);
}

TlsConversation::~TlsConversation() = default;

// --- input ---

void TlsConversation::feed(MutableBytes bytes) {
  if (closed_) return;
  if (!held_.empty()) {
    held_.append(bytes);
    pump_held();
  } else {
    incoming_ = bytes;
    pump();
    if (!closed_) held_.append(incoming_);
    incoming_ = {};
  }
  if (output_.pending() > 0) mark_dirty();
}

void TlsConversation::pump_held() {
  if (held_.empty()) return;
  incoming_ = held_.bytes();
  pump();
  const size_t taken = held_.size() - incoming_.size();
  incoming_ = {};
  if (!closed_) held_.consume(taken);
}

// Gives to the inner conversation what it wants of incoming_.
void TlsConversation::pump() {
  if (!shaken_ && !shake_hands()) return;
  while (wants_plain()) {
    const int n = SSL_read(ssl_.get(), setting_.plain.data(),
                           static_cast<int>(setting_.plain.size() - kReceivePadding));
    if (renegotiates_) {
      close();
      return;
    }
    if (n <= 0) {
      handle_failure(n);
      return;
    }
    inner_->feed(setting_.plain.first(static_cast<size_t>(n)));
  }
}

bool TlsConversation::shake_hands() {
  const int result = SSL_do_handshake(ssl_.get());
  shaken_ = result == 1;
  if (shaken_)
    bind_inner();
  else
    handle_failure(result);
  return shaken_;
}

// Without the extended master secret a session of TLS 1.2 can be made to have another's keys.
void TlsConversation::bind_inner() {
  constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  std::array<std::byte, 32> bytes{};
  const bool named =
      SSL_version(ssl_.get()) >= TLS1_3_VERSION || SSL_get_extms_support(ssl_.get()) == 1;
  const bool has = named && SSL_export_keying_material(
                                ssl_.get(), reinterpret_cast<unsigned char*>(bytes.data()),
                                bytes.size(), kLabel.data(), kLabel.size(), nullptr, 0, 1) == 1;
  ERR_clear_error();
  inner_->bind_to(has ? Bytes(bytes) : Bytes{});
}

bool TlsConversation::wants_plain() const {
  return !closed_ && output_.pending() < setting_.shard.limits.output_bytes_max &&
         inner_->input().wanted;
}

// More is to come, or the peer has said that it sends no more, or TLS is broken.
void TlsConversation::handle_failure(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ) return;
  if (error == SSL_ERROR_ZERO_RETURN) {
    inner_->end_of_input();
    mark_dirty();
    return;
  }
  close();
}

InputState TlsConversation::input() const {
  if (!shaken_ || closed_) return {.wanted = !closed_};
  InputState input = inner_->input();
  input.wanted = wants_plain() && held_.empty();
  return input;
}

void TlsConversation::end_of_input() {
  if (closed_) return;
  if (shaken_) {
    inner_->end_of_input();
    mark_dirty();
  } else {
    close();
  }
}

void TlsConversation::shut_down() {
  if (closed_) return;
  if (shaken_) {
    inner_->shut_down();
    mark_dirty();
  } else {
    close();
  }
}

// There is nobody to tell before hands are shaken.
void TlsConversation::refuse_connection(Errc code, std::string_view text) {
  if (closed_) return;
  if (shaken_) {
    inner_->refuse_connection(code, text);
    mark_dirty();
  } else {
    close();
  }
}

int64_t TlsConversation::watch(const InputTimes& times) {
  if (closed_) return kNotWatched;
  if (shaken_) return inner_->watch(times);
  if (begun_ns_ == 0) begun_ns_ = times.since_ns;
  const int64_t until_ns = begun_ns_ + setting_.shard.limits.login_ms * kTlsMsNs;
  if (times.now_ns >= until_ns) close();
  return until_ns;
}

// --- output ---

bool TlsConversation::settle() {
  dirty_ = false;
  if (closed_ || !shaken_) return false;
  bool asked = inner_->settle();
  asked |= encrypt();
  if (!closed_ && !held_.empty() && wants_plain()) {
    pump_held();
    asked = true;
    if (!closed_) encrypt();
  }
  if (!closed_ && inner_->finished() && stretch_.empty() && inner_->output().pending() == 0) {
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    closed_ = true;
    held_.clear();
  }
  return asked;
}

// As long as output() is not more than half full: who drives us calls settle() again when it is so
// no more. True if the shard was given something to do, by what the inner conversation had held
// back for want of room.
bool TlsConversation::encrypt() {
  OutputBuffer& plain = inner_->output();
  const size_t half = setting_.shard.limits.output_bytes_max / 2;
  bool asked = false;
  while (output_.pending() <= half && (plain.pending() > 0 || !stretch_.empty())) {
    if (stretch_.empty()) stretch_ = plain.start_sending();
    const size_t n = std::min<size_t>(stretch_.size(), kStretchMax);
    const int written = SSL_write(ssl_.get(), stretch_.data(), static_cast<int>(n));
    if (written <= 0) {
      handle_failure(written);
      break;
    }
    stretch_ = stretch_.subspan(static_cast<size_t>(written));
    plain.sent(static_cast<size_t>(written));
    if (inner_->settle()) asked = true;
  }
  return asked;
}

void TlsConversation::close() {
  if (closed_) return;
  closed_ = true;
  inner_->abandon();
  held_.clear();
  mark_dirty();
}

void TlsConversation::abandon() {
  closed_ = true;
  inner_->abandon();
  held_.clear();
}

void TlsConversation::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  setting_.shard.host->conversation_dirty(*this);
}

}  // namespace millrace::net
