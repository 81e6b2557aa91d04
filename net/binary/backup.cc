// BACKUP_START, BACKUP_READ, BACKUP_END: what they ask the shard for, and their answers.
#include "net/binary/answers.h"
#include "net/binary/handlers.h"

namespace millrace::net {
namespace {

constexpr std::string_view kBackupAction = "Backup";

}  // namespace

void Handlers::backup_start(Session& session, const Frame& frame) {
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note(reply.token, AuditEvent::backup_started, kBackupAction, {});
  session.port().start_backup(reply);
}

void Handlers::backup_read(Session& session, const Frame& frame) {
  const auto body = take<wire::BackupReadBody>(frame.body.data());
  session.port().read_backup({.backup = body.backup,
                              .log_id = body.log_id,
                              .sequence = body.sequence,
                              .offset = body.offset,
                              .bytes = body.bytes},
                             session.open_request(frame, 0, 1));
}

void Handlers::backup_end(Session& session, const Frame& frame) {
  const auto body = take<wire::BackupEndBody>(frame.body.data());
  session.port().end_backup(body.backup, session.open_request(frame, 0, 1));
}

bool answer_backup(OutputBuffer& out, uint64_t correlation, const BackupReply& reply) {
  size_t bytes = sizeof(wire::BackupAnswer);
  for (const BackupLog& log : reply.logs)
    bytes += sizeof(wire::BackupLogItem) + log.files.size() * sizeof(wire::BackupFileItem);
  if (bytes + kFrameHeaderBytes > wire::kFrameBytesMax) return false;
  std::byte* body =
      begin_frame(out, static_cast<uint8_t>(wire::Opcode::backup_start) | wire::kReplyBit, Errc::ok,
                  correlation, bytes);
  std::byte* to = put(body, wire::BackupAnswer{reply.backup, reply.server_time.value,
                                               static_cast<uint32_t>(reply.logs.size()), 0});
  for (const BackupLog& log : reply.logs) {
    to = put(to, wire::BackupLogItem{log.head.value, log.end.value, log.segment_bytes, log.log_id,
                                     0, static_cast<uint32_t>(log.files.size())});
    for (const BackupFile& file : log.files)
      to = put(to, wire::BackupFileItem{file.sequence, file.bytes});
  }
  seal_frame(body, bytes);
  return true;
}

void Session::on_backup(uint64_t token, const BackupReply& reply) {
  const PendingRequest request = close_request(token);
  tell_note(token, request.correlation, reply.error);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error, kWholeRequest, reply.detail);
    return;
  }
  if (request.opcode == wire::Opcode::backup_end) {
    answer_empty(output_, request.opcode, request.correlation);
  } else if (!answer_backup(output_, request.correlation, reply)) {
    refuse_pending(request, Errc::over_limit, kWholeRequest,
                   "there are more segments than a frame can name");
    return;
  }
  mark_dirty();
}

void Session::on_backup_bytes(uint64_t token, const BackupBytesReply& reply) {
  const PendingRequest request = close_request(token);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error, kWholeRequest, reply.detail);
    return;
  }
  if (overfull()) {
    refuse_pending(request, Errc::throttled);
    return;
  }
  const size_t bytes = sizeof(wire::BackupBytes) + padded8(reply.bytes.size());
  std::byte* body = begin_frame(output_, static_cast<uint8_t>(request.opcode) | wire::kReplyBit,
                                Errc::ok, request.correlation, bytes);
  put_padded(put(body, wire::BackupBytes{static_cast<uint32_t>(reply.bytes.size()), 0}),
             reply.bytes);
  seal_frame(body, bytes);
  mark_dirty();
}

}  // namespace millrace::net
