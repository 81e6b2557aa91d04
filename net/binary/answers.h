// The answers of the binary protocol: each function encodes one frame at the end of `out`, payloads
// copied once, from where the engine shows them.
//
// A batch that lies in one piece in the log is one copy. An answer that would pass the frame limit
// is cut (peek) or refused (lists) before it is begun.
#pragma once

#include <string_view>

#include "millrace/engine.h"
#include "net/binary/frame.h"
#include "net/holders.h"

namespace millrace::net {

inline constexpr uint32_t kWholeRequest = 0xFFFFFFFF;

struct ErrorAnswer {
  uint64_t correlation = 0;  // 0: about the connection
  Errc code{};
  std::string_view text;
  uint32_t entry_index = kWholeRequest;
};
void answer_error(OutputBuffer& out, const ErrorAnswer& error);

void answer_empty(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation);
void answer_echo(OutputBuffer& out, uint64_t correlation, Bytes body);
template <class T>
void answer_struct(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation, const T& value) {
  std::byte* body = begin_frame(out, static_cast<uint8_t>(opcode) | wire::kReplyBit, Errc::ok,
                                correlation, sizeof value);
  put(body, value);
  seal_frame(body, sizeof value);
}
void answer_send(OutputBuffer& out, uint64_t correlation, uint32_t count, const SendReply& reply);
// `opcode` is that of the frame itself: a RECEIVE's answer, or deliver.
void answer_deliveries(OutputBuffer& out, uint8_t opcode, uint64_t correlation,
                       std::span<const Delivery> deliveries);
void answer_results(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                    std::span<const Errc> results);
// `holders`: null: nobody knows who holds what.
void answer_peek(OutputBuffer& out, uint64_t correlation, std::span<const PeekedMessage> messages,
                 const Holders* holders);
// False if they do not fit a frame: nothing was added. `with_details`: attributes, tags and times
// too.
bool answer_queues(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                   std::span<const QueueInfo> queues, bool with_details);
void answer_moves(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                  std::span<const MoveTask> tasks);
// False if there are more files than a frame can name: nothing was added.
bool answer_backup(OutputBuffer& out, uint64_t correlation, const BackupReply& reply);
void answer_stats(OutputBuffer& out, uint64_t correlation, std::span<const ShardStats> shards);

}  // namespace millrace::net
