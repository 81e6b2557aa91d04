// TLS on the server's listeners, over sockets.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/net/login_peer.h"
#include "tests/net/server_fixture.h"
#include "tests/net/tls/test_certificate.h"

namespace millrace::net {
namespace {

using test::RawClient;
using test::ServerTest;
using test::TestCertificate;

// A blocking client's TLS on a socket.
class TlsSocket {
 public:
  explicit TlsSocket(const std::string& address, int version = 0) : raw_(address) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context_, version);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, raw_.socket());
    int done = 0;
    for (int tries = 0; tries < kTriesMax && (done = SSL_connect(ssl_)) < 0 && interrupted(done);)
      ++tries;
    shaken_ = done == 1;
  }
  ~TlsSocket() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsSocket(const TlsSocket&) = delete;
  TlsSocket& operator=(const TlsSocket&) = delete;

  bool shaken() const { return shaken_; }
  // RFC 9266, tls-exporter.
  test::ByteString binding() {
    test::ByteString bytes(32);
    SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                               "EXPORTER-Channel-Binding", 24, nullptr, 0, 1);
    return bytes;
  }
  test::Answer ask(const test::ByteString& frame) {
    say(frame.data(), frame.size());
    const std::string head = hear(sizeof(wire::FrameHeader));
    wire::FrameHeader header{};
    if (head.size() < sizeof header) return {};
    std::memcpy(&header, head.data(), sizeof header);
    const std::string body = hear(header.length - sizeof header);
    const Bytes bytes = as_bytes(body);
    return {header, {bytes.begin(), bytes.end()}};
  }
  void say(const void* bytes, size_t size) { SSL_write(ssl_, bytes, static_cast<int>(size)); }
  std::string hear(size_t size) {
    std::string text(size, '\0');
    size_t at = 0;
    for (int tries = 0; at < size && tries < kTriesMax;) {
      const int n = SSL_read(ssl_, text.data() + at, static_cast<int>(size - at));
      if (n <= 0 && !interrupted(n)) break;
      if (n <= 0)
        ++tries;
      else
        at += static_cast<size_t>(n);
    }
    text.resize(at);
    return text;
  }

 private:
  static constexpr int kTriesMax = 100;
  // The ring of the thread that closes wakes others of the process.
  bool interrupted(int result) const {
    return SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ && errno == EINTR;
  }

  RawClient raw_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool shaken_ = false;
};

// What recv() says when it has something to say.
ssize_t patient_recv(int socket, char* to, size_t size, int flags = 0) {
  ssize_t n = -1;
  do
    n = ::recv(socket, to, size, flags);
  while (n < 0 && errno == EINTR);
  return n;
}

class TlsServer : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    auto tls = std::make_shared<TlsCertificate>(files_.certificate, files_.key);
    std::string why;
    ASSERT_TRUE(tls->reload(&why)) << why;
    options_.tls = tls;
    options_.http = "127.0.0.1:0";
  }
  TestCertificate files_;
};

TEST_P(TlsServer, AnswersHttpAndTheBinaryProtocol) {
  start(2);
  for (int i = 0; i < 4; ++i) {
    TlsSocket http(server_->http_address());
    ASSERT_TRUE(http.shaken());
    constexpr std::string_view kGet =
        "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    http.say(kGet.data(), kGet.size());
    const std::string answer = http.hear(1u << 16);
    EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_TRUE(answer.ends_with("ok\n"));

    TlsSocket binary(address());
    ASSERT_TRUE(binary.shaken());
    const auto hello = test::hello();
    binary.say(hello.data(), hello.size());
    const std::string head = binary.hear(sizeof(wire::FrameHeader));
    ASSERT_EQ(head.size(), sizeof(wire::FrameHeader));
    wire::FrameHeader header{};
    std::memcpy(&header, head.data(), sizeof header);
    EXPECT_EQ(header.opcode & 0x7f, static_cast<uint8_t>(wire::Opcode::hello));
    EXPECT_EQ(header.status, 0);
  }
}

TEST_P(TlsServer, ALogInIsBoundToItsSession) {
  test::LoginServer credentials;
  options_.gatekeepers = [&credentials] {
    return std::make_unique<KeyGatekeeper>(
        credentials.store, "000000000000", "us-east-1", +[] { return int64_t{1'700'000'000}; });
  };
  start();
  test::ByteString last;
  for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    for (const bool own : {true, false}) {
      TlsSocket client(address(), version);
      ASSERT_TRUE(client.shaken());
      EXPECT_EQ(client.ask(test::hello()).as<wire::Welcome>().login, 1);
      const test::ByteString body = test::login_body("ROOT", 1);
      const auto challenge = client.ask(test::frame(wire::Opcode::login, 2, body));
      ASSERT_TRUE(challenge.is(wire::Opcode::login)) << challenge.error_text();
      // Else that of the session before: as if somebody in the middle passed the log-in on.
      const test::ByteString binding = own ? client.binding() : last;
      last = client.binding();
      const auto proof =
          test::proof_of(body, challenge.as<wire::LoginChallenge>(), test::kSecret, binding);
      const test::Answer answer =
          client.ask(test::frame(wire::Opcode::login_proof, 3, test::bytes_of(proof)));
      if (own)
        EXPECT_TRUE(answer.is(wire::Opcode::login_proof)) << version;
      else
        EXPECT_TRUE(answer.is_error(Errc::login_refused)) << version;
    }
  }
}

TEST_P(TlsServer, ClosesOnWhoSpeaksPlainly) {
  start();
  RawClient plain(server_->http_address());
  constexpr std::string_view kGet = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
  ::send(plain.socket(), kGet.data(), kGet.size(), MSG_NOSIGNAL);
  char answer[100];
  ssize_t n = 0;
  size_t heard = 0;
  while ((n = patient_recv(plain.socket(), answer, sizeof answer)) > 0)
    heard += static_cast<size_t>(n);
  EXPECT_EQ(n, 0);
  EXPECT_LT(heard, 10u);
}

TEST_P(TlsServer, ClosesOnWhoDoesNotShakeHands) {
  options_.limits.login_ms = 50;
  start();
  RawClient silent(server_->http_address());
  char answer;
  EXPECT_EQ(patient_recv(silent.socket(), &answer, 1), 0);
}

TEST_P(TlsServer, IsNotForUnixSockets) {
  options_.http = "unix:" + (directory_ / "h.sock");
  start();
  RawClient plain(server_->http_address());
  constexpr std::string_view kGet = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  ::send(plain.socket(), kGet.data(), kGet.size(), MSG_NOSIGNAL);
  char answer[15];
  ASSERT_EQ(patient_recv(plain.socket(), answer, sizeof answer, MSG_WAITALL), 15);
  EXPECT_EQ(std::string_view(answer, 15), "HTTP/1.1 200 OK");
}

INSTANTIATE_TEST_SUITE_P(Reactors, TlsServer,
                         testing::Values(ReactorKind::epoll, ReactorKind::uring),
                         test::reactor_name);

TEST(WhyNotListen, FollowsTheTable) {
  const auto tls = std::make_shared<TlsCertificate>("", "");
  struct Row {
    const char* address;
    bool tls, authenticated, insecure;
    const char* part;  // of why; empty: it may
  };
  const Row rows[] = {
      {"127.0.0.1:1", false, false, false, ""},
      {"[::1]:1", false, false, false, ""},
      {"unix:/x", false, false, false, ""},
      {"off", false, false, false, ""},
      {"0.0.0.0:1", false, false, false, "there is neither encryption"},
      {"0.0.0.0:1", true, false, false, "there is no authentication"},
      {"0.0.0.0:1", false, true, false, "there is no encryption"},
      {"0.0.0.0:1", true, true, false, ""},
      {"0.0.0.0:1", false, false, true, ""},
      {"[::]:1", true, true, false, ""},
      {"[::]:1", false, false, true, ""},
  };
  for (const Row& row : rows) {
    std::string message;
    const Result<Address> address = parse_address(row.address, &message);
    ASSERT_TRUE(address);
    ServerOptions options;
    if (row.tls) options.tls = tls;
    options.authenticated = row.authenticated;
    options.insecure_listen = row.insecure;
    const std::string why = why_not_listen(*address, options);
    EXPECT_EQ(why.empty(), row.part[0] == '\0') << &row - rows;
    EXPECT_NE(why.find(row.part), std::string::npos) << why;
  }
}

}  // namespace
}  // namespace millrace::net
