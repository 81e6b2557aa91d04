#include "millrace/result.h"

#include <array>

namespace millrace {
namespace {

struct Row {
  Errc code;
  std::string_view name;
  std::string_view text;
};

constexpr Row kRows[] = {
    {Errc::ok, "ok", "done"},
    {Errc::malformed, "malformed", "the request's bytes do not fit its lengths and counts"},
    {Errc::unsupported, "unsupported", "this operation or flag is not known here"},
    {Errc::version_mismatch, "version_mismatch", "no protocol version in common"},
    {Errc::corrupt, "corrupt", "the checksum does not match"},
    {Errc::protocol_violation, "protocol_violation", "the request breaks the protocol's order"},
    {Errc::frame_too_large, "frame_too_large", "the frame is longer than allowed"},
    {Errc::login_required, "login_required", "this server wants a log-in first"},
    {Errc::login_refused, "login_refused", "the access key or its secret is not right"},
    {Errc::invalid_argument, "invalid_argument", "a value is outside its range"},
    {Errc::queue_not_found, "queue_not_found", "there is no such queue"},
    {Errc::queue_exists, "queue_exists", "a queue of this name exists with other attributes"},
    {Errc::invalid_queue_name, "invalid_queue_name", "a queue name is 1 to 80 of A-Z a-z 0-9 - _"},
    {Errc::message_too_large, "message_too_large", "the message is larger than the queue allows"},
    {Errc::batch_empty, "batch_empty", "the batch has no entries"},
    {Errc::batch_too_large, "batch_too_large", "the batch has more entries or bytes than allowed"},
    {Errc::receipt_invalid, "receipt_invalid", "this is not a receipt of this broker"},
    {Errc::receipt_expired, "receipt_expired",
     "the receipt is of a past lease; the message was leased again since"},
    {Errc::message_not_leased, "message_not_leased",
     "the message is not leased: a power loss ended its lease"},
    {Errc::message_gone, "message_gone", "the message is acknowledged or purged"},
    {Errc::over_limit, "over_limit", "a documented limit is reached"},
    {Errc::throttled, "throttled", "too much is under way; try again later"},
    {Errc::subscription_not_found, "subscription_not_found",
     "there is no such subscription on this connection"},
    {Errc::lease_too_long, "lease_too_long", "the lease would last longer in all than a lease may"},
    {Errc::not_a_dead_letter_queue, "not_a_dead_letter_queue",
     "the source is not the dead-letter queue of any queue"},
    {Errc::queue_types_differ, "queue_types_differ",
     "source and destination must be of the same type, FIFO or standard"},
    {Errc::same_queue, "same_queue", "source and destination are the same queue"},
    {Errc::move_task_running, "move_task_running", "a move task of this source is running already"},
    {Errc::move_task_not_found, "move_task_not_found",
     "there is no such move task, or it is not running"},
    {Errc::access_denied, "access_denied", "it is not allowed to this access key"},
    {Errc::topic_not_found, "topic_not_found", "there is no such topic"},
    {Errc::topic_exists, "topic_exists", "a topic of this name exists with other attributes"},
    {Errc::subscription_exists, "subscription_exists",
     "the endpoint is subscribed with other attributes"},
    {Errc::disk_full, "disk_full",
     "no space is left for messages; acknowledge some or free disk space"},
    {Errc::io_error, "io_error", "the disk reported an error"},
    {Errc::shard_fenced, "shard_fenced",
     "a write or sync failed; nothing is acknowledged until the broker is restarted"},
    {Errc::shutting_down, "shutting_down", "the broker is shutting down"},
    {Errc::timed_out, "timed_out", "no answer came in time"},
    {Errc::canceled, "canceled", "the request was canceled"},
    {Errc::connection_closed, "connection_closed", "the connection is closed"},
    {Errc::memory_full, "memory_full",
     "the memory budget of the server is used up; receive and acknowledge some messages"},
    {Errc::not_found, "not_found", "no such file or directory"},
    {Errc::already_exists, "already_exists", "the file exists already"},
    {Errc::permission_denied, "permission_denied", "permission denied"},
    {Errc::locked, "locked", "another process is using the data directory"},
    {Errc::format_too_new, "format_too_new", "the data was written by a newer version"},
    {Errc::damaged, "damaged", "a segment is missing or unreadable"},
    {Errc::not_a_directory, "not_a_directory", "a path is not a directory"},
    {Errc::address_in_use, "address_in_use", "the address is in use"},
};

const Row* find(Errc e) {
  for (const Row& row : kRows)
    if (row.code == e) return &row;
  return nullptr;
}

}  // namespace

std::string_view errc_name(Errc e) {
  const Row* row = find(e);
  return row ? row->name : "unknown";
}

std::string_view errc_text(Errc e) {
  const Row* row = find(e);
  return row ? row->text : "unknown error";
}

}  // namespace millrace
