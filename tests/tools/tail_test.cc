// millrace tail against a scripted server: what its user is told of acks that failed.
#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "clients/cpp/message_batch.h"
#include "tests/clients/fake_server.h"
#include "tests/tools/process.h"

namespace millrace::tools {
namespace {

using client::ByteQueue;
using client::FakeServer;
using client::Frame;
using wire::Opcode;

constexpr uint32_t kMessages = 3;

// Three messages as a DELIVER brings them.
std::vector<std::byte> delivery() {
  client::MessageBatch batch;
  for (const char* body : {"one", "two", "three"})
    EXPECT_TRUE(batch.add(body));
  const Bytes run = batch.run();
  const uint32_t stride = static_cast<uint32_t>(run.size()) / kMessages;
  std::vector<std::byte> bytes(sizeof(wire::DeliveryHeader) +
                               kMessages * sizeof(wire::DeliveryEntry) + run.size());
  std::byte* at =
      client::put(bytes.data(), wire::DeliveryHeader{kMessages, static_cast<uint32_t>(run.size())});
  for (uint32_t i = 0; i < kMessages; ++i)
    at = client::put(at, wire::DeliveryEntry{{i + 1, 0, 0, 0}, 1000, 1, i * stride});
  client::put_padded(at, run);
  return bytes;
}

// Has one queue of three messages, and answers the ACK that the test gives it.
class Broker {
 public:
  explicit Broker(std::function<void(const Frame&, ByteQueue&)> answer_ack)
      : server_([this, answer_ack](const Frame& frame, ByteQueue& out) {
          switch (static_cast<Opcode>(frame.header.opcode)) {
            case Opcode::resolve:
              FakeServer::answer(out, frame, std::as_bytes(std::span(&kQueue, 1)));
              return true;
            case Opcode::subscribe: {
              const uint64_t subscription = frame.header.correlation;
              FakeServer::answer(out, frame, std::as_bytes(std::span(&subscription, 1)));
              FakeServer::reply(out, static_cast<int>(Opcode::deliver), subscription, delivery());
              return true;
            }
            case Opcode::ack:
              ++acks_;
              answer_ack(frame, out);
              return true;
            default:
              FakeServer::answer(out, frame, {});
              return true;
          }
        }) {}

  // `millrace tail orders --max 3`; the exit code.
  int tail() {
    Process process({MILLRACE_PATH, "--server", server_.address(), "tail", "orders", "--max", "3"});
    const int code = process.finish();
    printed = process.out;
    complaints = process.err;
    return code;
  }
  int acks() const { return acks_; }
  std::string printed;
  std::string complaints;

 private:
  static constexpr wire::QueueRef kQueue{7, 0};
  std::atomic<int> acks_{0};
  FakeServer server_;
};

void answer_results(const Frame& frame, ByteQueue& out, std::vector<Errc> results) {
  wire::ResultsAnswer head{kMessages, 0};
  uint16_t codes[4] = {};
  for (size_t i = 0; i < results.size(); ++i) {
    codes[i] = static_cast<uint16_t>(results[i]);
    if (results[i] != Errc::ok) ++head.failed;
  }
  std::vector<std::byte> body(sizeof head + (head.failed > 0 ? sizeof codes : 0));
  std::byte* const rest = client::put(body.data(), head);
  if (head.failed > 0) std::memcpy(rest, codes, sizeof codes);
  FakeServer::answer(out, frame, body);
}

TEST(Tail, EndsWellWhenAllIsAcknowledged) {
  Broker broker([](const Frame& frame, ByteQueue& out) {
    answer_results(frame, out, {Errc::ok, Errc::ok, Errc::ok});
  });
  EXPECT_EQ(broker.tail(), 0) << broker.complaints;
  EXPECT_EQ(broker.printed, "one\ntwo\nthree\n");
  EXPECT_EQ(broker.complaints, "");
  EXPECT_EQ(broker.acks(), 1);
}

TEST(Tail, CountsWhatWasShownAndNotAcknowledged) {
  Broker broker([](const Frame& frame, ByteQueue& out) {
    answer_results(frame, out, {Errc::receipt_expired, Errc::ok, Errc::receipt_expired});
  });
  EXPECT_EQ(broker.tail(), 1);
  EXPECT_EQ(broker.printed, "one\ntwo\nthree\n");
  const std::string line =
      "millrace: not acknowledged: " + std::string(errc_text(Errc::receipt_expired)) + "\n";
  EXPECT_EQ(broker.complaints, line + line +
                                   "millrace: queue 'orders': 2 of the messages shown were not "
                                   "acknowledged\n");
}

TEST(Tail, SaysWhyWhenTheWholeAckIsRefused) {
  Broker broker([](const Frame& frame, ByteQueue& out) {
    FakeServer::error(out, frame.header.correlation, Errc::disk_full, "the disk is full",
                      UINT32_MAX);
  });
  EXPECT_EQ(broker.tail(), 1);
  EXPECT_EQ(broker.printed, "one\ntwo\nthree\n");
  EXPECT_EQ(broker.complaints, "millrace: queue 'orders': the disk is full\n");
}

}  // namespace
}  // namespace millrace::tools
