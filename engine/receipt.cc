#include "engine/receipt.h"

#include <cstring>

#include <openssl/evp.h>

#include "base/assert.h"

namespace millrace::engine {

void ReceiptSealer::Free::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

ReceiptSealer::ReceiptSealer(const ReceiptKey& key) : context_(EVP_CIPHER_CTX_new()) {
  MR_ASSERT(context_ != nullptr);
  MR_ASSERT(EVP_EncryptInit_ex(context_.get(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr) ==
            1);
  EVP_CIPHER_CTX_set_padding(context_.get(), 0);
}

ReceiptSealer::~ReceiptSealer() = default;

ReceiptSealer::Block ReceiptSealer::block_of(const Receipt& receipt) {
  Block block;
  std::memcpy(block.bytes, &receipt, sizeof block.bytes);
  return block;
}

uint64_t ReceiptSealer::mac_of(const Block& encrypted) {
  uint64_t mac = 0;
  std::memcpy(&mac, encrypted.bytes, sizeof mac);
  return mac;
}

void ReceiptSealer::encrypt(std::array<Block, kStretch>& blocks, size_t count) {
  unsigned char* bytes = blocks.front().bytes;
  int written = 0;
  const int size = static_cast<int>(count * sizeof(Block));
  MR_ASSERT(EVP_EncryptUpdate(context_.get(), bytes, &written, bytes, size) == 1);
  MR_ASSERT(written == size);
}

Receipt ReceiptSealer::seal(QueueId queue, ShardId shard, Slot slot, uint32_t generation) {
  Receipt receipt{pack_shard_slot(shard, slot), raw(queue), generation, 0};
  seal_all(1, [&](size_t) -> Receipt& { return receipt; });
  return receipt;
}

Status ReceiptSealer::check(const Receipt& receipt) {
  Status status;
  check_all(
      1, [&](size_t) -> const Receipt& { return receipt; },
      [&](size_t) { status = fail(Errc::receipt_invalid); });
  return status;
}

}  // namespace millrace::engine
