// Fuzzes receipts: as the texts that clients hand back, and as the bytes that reach a shard.
//
// The first byte chooses. Even: the rest is a text, read as a receipt handle of SQS, as the command
// line's and as a message id; what is read is written again as it was. Odd: the rest is laid over a
// real receipt of a leased message and given to both shards of a node, to extend and to acknowledge
// with. Checked: only the real one is taken; for any other the answer is that it is invalid,
// whatever queue, shard and slot it names, and no message is touched.
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/receipt.h"
#include "millrace/message_id.h"
#include "net/aws/base64.h"
#include "net/sqs/receipt_handle.h"
#include "tests/fuzz/fuzz_node.h"
#include "tools/common/receipt_text.h"

namespace {

using namespace millrace;

void read_text(std::string_view text) {
  if (const auto receipt = net::sqs::parse_handle(text)) {
    std::string again;
    net::append_base64(again, net::sqs::bytes_of(*receipt));
    MR_ASSERT(again == text);
  }
  if (const auto receipt = tools::parse_receipt(text))
    MR_ASSERT(tools::receipt_text(*receipt) == text);
  if (const auto id = parse_message_id(text)) MR_ASSERT(message_id_text(*id) == text);
}

// A node with leased messages in two queues, of which none is ever acknowledged.
class Holder {
 public:
  Holder() {
    MR_ASSERT(node_.open());
    for (const char* name : {"a", "b"}) {
      const ReplyTo created = node_.reply();
      node_.shard(0).create_queue(name, {}, created);
      node_.turns(20);
      const QueueId queue = node_.sink().queues[created.token].at(0).id;
      node_.shard(0).send(engine::Batch().add("one").add("two").to(queue), node_.reply());
      const ReplyTo received = node_.reply();
      node_.shard(0).receive(
          {.queue = queue, .messages_max = 2, .visibility_ms = 43'200'000, .wait_ms = 1'000},
          received);
      node_.turns(20);
      for (const engine::Got& got : node_.sink().receives[received.token].at(0).messages)
        receipts_.push_back(got.receipt);
    }
    MR_ASSERT(receipts_.size() == 4);
    before_ = node_.digests();
  }
  const Receipt& real(size_t i) const { return receipts_[i % receipts_.size()]; }
  bool is_real(const Receipt& receipt) const {
    for (const Receipt& one : receipts_)
      if (std::memcmp(&one, &receipt, sizeof one) == 0) return true;
    return false;
  }
  void try_forged(const Receipt& receipt) {
    for (uint16_t shard = 0; shard < fuzz::kNodeShards; ++shard) {
      const ReplyTo acked = node_.reply();
      const ReplyTo extended = node_.reply();
      const ExtendEntry entry{receipt, 1'000, 0};
      node_.shard(shard).ack({{&receipt, 1}}, acked);
      node_.shard(shard).extend({{&entry, 1}}, extended);
      for (int i = 0; i < 20 && !answered(acked, extended); ++i)
        node_.turns(1);
      for (const ReplyTo& to : {acked, extended}) {
        MR_ASSERT(node_.sink().results[to.token].size() == 1);
        MR_ASSERT(node_.sink().results[to.token][0] == Errc::receipt_invalid);
      }
    }
    node_.sink().results.clear();
    node_.sink().result_errors.clear();
    MR_ASSERT(node_.digests() == before_);
  }

 private:
  bool answered(const ReplyTo& a, const ReplyTo& b) {
    return node_.sink().results.contains(a.token) && node_.sink().results.contains(b.token);
  }

  fuzz::FuzzNode node_;
  std::vector<Receipt> receipts_;
  std::vector<uint64_t> before_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    read_text({reinterpret_cast<const char*>(data) + 1, size - 1});
    return 0;
  }
  static Holder holder;
  Receipt receipt = holder.real(data[0] / 2);
  auto* const bytes = reinterpret_cast<uint8_t*>(&receipt);
  for (size_t i = 1; i < size; ++i)
    bytes[(i - 1) % sizeof receipt] ^= data[i];
  if (!holder.is_real(receipt)) holder.try_forged(receipt);
  return 0;
}
