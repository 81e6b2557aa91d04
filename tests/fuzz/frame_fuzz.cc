// Fuzzes the frame reader and the session behind it, on a fake shard.
//
// The first byte of an input chooses how it is read. Even: the rest is the stream as a socket would
// bring it. Odd: the rest is a list of frames without lengths and checksums - opcode, step of the
// correlation id, body length in 8 bytes, body - which are sealed here, so that the fuzzer gets
// past the checksum. Bit 5: the server wants a log-in, which a proof that begins with a zero is
// good for. Topics are a server's own desk, on a fake shard. The byte's other bits choose the
// pieces the stream comes in. Checked: no crash, every answer is a whole frame with a right
// checksum, output and requests stay in their bounds, nothing follows a connection error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/assert.h"
#include "net/aws/allow_all.h"
#include "net/topics/publishing_desk.h"
#include "storage/real_disk.h"
#include "tests/net/peer.h"
#include "tests/support/temporary_directory.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using namespace millrace::net::test;

ByteString sealed_frames(std::span<const uint8_t> input) {
  ByteString stream = hello();
  uint64_t correlation = 1;
  while (input.size() >= 3) {
    const uint8_t opcode = input[0];
    correlation += input[1] % 8;
    const size_t body = std::min<size_t>(input[2] * size_t{8}, (input.size() - 3) / 8 * 8);
    stream = std::move(stream) + frame(opcode, correlation, std::as_bytes(input.subspan(3, body)));
    input = input.subspan(3 + body);
  }
  return stream;
}

// Lets half of all actions be done.
class EasyGatekeeper final : public Gatekeeper {
 public:
  uint64_t epoch() const override { return 1; }
  bool wants_login() override { return true; }
  wire::LoginChallenge challenge(std::string_view) override { return {}; }
  bool admit(std::string_view key, std::string_view transcript, const base::ScramDigest& proof,
             Visitor* visitor, base::ScramDigest* signature) override {
    MR_ASSERT(!key.empty() && key.size() <= wire::kAccessKeyBytesMax && !transcript.empty());
    *signature = proof;
    visitor->owns_server = proof[1] == 0;
    return proof[0] == 0;
  }
  bool still_admits(const Visitor&) override { return true; }
  std::string why_not(const Visitor&, const Wanted& wanted) override {
    return wanted.action.size() % 2 == 0 ? "" : "an odd wish";
  }
};

// Its signer has a thread and a folder. Nothing is signed: the one subscription is raw.
topics::Signer& signer_of_all() {
  static const TemporaryDirectory folder;
  static const std::unique_ptr<topics::Signer> signer = [] {
    std::string why;
    auto disk = storage::RealDisk::open_directory(folder / "data", {});
    return topics::Signer::open(std::move(*disk), &why);
  }();
  return *signer;
}

void listen(test::Peer& peer, const Limits& limits) {
  MR_ASSERT(peer.session.under_way() <= limits.inflight_max);
  const bool finished = peer.session.finished();
  const std::vector<Answer> answers = peer.hear();
  for (const Answer& answer : answers) {
    const bool about_the_connection = answer.header.correlation == 0;
    MR_ASSERT(!about_the_connection || &answer == &answers.back());
    MR_ASSERT(!about_the_connection || peer.session.finished());
  }
  MR_ASSERT(!finished || peer.session.finished());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t mode = data[0];
  const std::span<const uint8_t> input(data + 1, size - 1);
  const Bytes raw_bytes = std::as_bytes(input);
  const ByteString stream =
      mode % 2 == 1 ? sealed_frames(input) : ByteString(raw_bytes.begin(), raw_bytes.end());

  Limits limits;
  limits.inflight_max = 8;
  limits.output_bytes_max = 16 << 10;
  EasyGatekeeper gatekeeper;
  FakeTopics topics_of_desk;
  FakePort port_of_desk;
  port_of_desk.topic_port = &topics_of_desk;
  port_of_desk.add_queue("jobs");
  topics::PublishingDesk desk(
      {.port = port_of_desk,
       .signer = signer_of_all(),
       .wake = [] {},
       .authorizer = std::make_unique<AllowAll>("000000000000", "us-east-1"),
       .seed = 1,
       .account = "000000000000",
       .region = "us-east-1",
       .base_url = "http://here",
       .accept_undeliverable = true});
  test::Peer peer(limits, {.gatekeeper = (mode & 32) != 0 ? &gatekeeper : nullptr, .desk = &desk});
  peer.port.add_queue("one");
  peer.port.add_queue("two");
  const size_t piece_bytes = size_t{1} << (mode / 2 % 16);
  for (size_t at = 0; at < stream.size(); at += piece_bytes) {
    const size_t n = std::min(piece_bytes, stream.size() - at);
    peer.say({stream.begin() + static_cast<std::ptrdiff_t>(at),
              stream.begin() + static_cast<std::ptrdiff_t>(at + n)});
    if (mode >= 64) listen(peer, limits);
  }
  listen(peer, limits);
  peer.session.end_of_input();
  listen(peer, limits);
  return 0;
}
