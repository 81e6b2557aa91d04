// DeleteMessage, ChangeMessageVisibility and their batches: what is done with receipt handles.
#include <array>
#include <optional>

#include <fmt/format.h>

#include "net/sqs/actions.h"
#include "net/sqs/batch.h"
#include "net/sqs/receipt_handle.h"

namespace millrace::net::sqs {
namespace {

constexpr uint32_t kLeaseMsMax12h = 43'200'000;  // of one receive, all changes together
constexpr int64_t kVisibilityMax = 43'200;
constexpr MemberName kDeleted{"Successful", "DeleteMessageBatchResultEntry"};
constexpr MemberName kChanged{"Successful", "ChangeMessageVisibilityBatchResultEntry"};

AwsError bad_handle(std::string_view handle) {
  return {errors::kReceiptHandleIsInvalid,
          fmt::format("The input receipt handle \"{}\" is not a valid receipt handle.",
                      shown(handle, 1'024))};
}

// A handle of this queue, as far as can be seen here.
AwsError read_handle(const HandleInput& input, QueueId queue, std::string_view prefix,
                     Receipt* receipt) {
  const std::string_view handle = input.receipt_handle.value;
  if (handle.empty()) return missing_parameter(fmt::format("{}ReceiptHandle", prefix));
  const auto parsed = parse_handle(handle);
  if (!parsed || parsed->queue_id != raw(queue)) return bad_handle(handle);
  *receipt = *parsed;
  return {};
}

AwsError check_visibility(const Integer& visibility, std::string_view prefix) {
  if (!visibility.given) return missing_parameter(fmt::format("{}VisibilityTimeout", prefix));
  if (visibility.value >= 0 && visibility.value <= kVisibilityMax) return {};
  return invalid_value("VisibilityTimeout", std::to_string(visibility.value),
                       prefix.empty()
                           ? "Must be between 0 and 43200."
                           : "VisibilityTimeout must be an integer between 0 and 43200.");
}

// A handle as it is kept, and what became of it. `visibility` < 0: it was to be deleted.
struct Outcome {
  Errc result;
  std::string_view handle;
  int64_t visibility;
  bool fifo;
};

AwsError error_of_handle(const Outcome& outcome) {
  const auto refuse = [&](std::string_view reason) {
    return invalid_value("ReceiptHandle", outcome.handle, reason);
  };
  const bool deletes = outcome.visibility < 0;
  switch (outcome.result) {
    case Errc::ok:
      return {};
    case Errc::receipt_invalid:
    case Errc::queue_not_found:  // it was deleted just now
      return bad_handle(outcome.handle);
    case Errc::receipt_expired:
      // On a standard queue the newer receive of the message goes on, and nobody is told.
      if (deletes && !outcome.fifo) return {};
      return refuse("The receipt handle has expired.");
    case Errc::message_gone:
      if (deletes) return {};
      return refuse("Message does not exist or is not available for visibility timeout change.");
    case Errc::lease_too_long:
      return invalid_value("VisibilityTimeout", std::to_string(outcome.visibility),
                           "Total VisibilityTimeout for the message is beyond the limit [43200 "
                           "seconds]");
    default:
      return error_of(outcome.result);
  }
}

// --- one ---

void keep_one(Request& request, const OneHandleInput& input, int64_t visibility) {
  keep(request.kept(), visibility);
  keep(request.kept(), request.queue->attributes.fifo);
  keep_text(request.kept(), input.receipt_handle.value);
}

// --- batches: each entry is kept as its id, its handle and visibility or its error ---

struct Taken {
  std::array<Receipt, kEntriesMax> receipts;
  std::array<uint32_t, kEntriesMax> visibilities_ms;
  uint32_t count = 0;
};

bool take_entries(Request& request, const HandlesInput& input, std::string_view name, bool changes,
                  Taken* taken) {
  if (const auto error = check_entries(input.entries, name, request.xml())) {
    request.refuse(error);
    return false;
  }
  std::string& kept = request.kept();
  keep(kept, request.queue->attributes.fifo);
  for (uint32_t i = 0; i < input.entries.size(); ++i) {
    const HandleInput& entry = input.entries[i];
    const std::string prefix = fmt::format("{}.{}.", name, i + 1);
    Receipt& receipt = taken->receipts[taken->count];
    AwsError error = read_handle(entry, request.queue->id, prefix, &receipt);
    if (!error && changes) error = check_visibility(entry.visibility_timeout, prefix);
    keep_text(kept, entry.id.value);
    keep(kept, !error);
    if (error) {
      keep(kept, error.kind);
      keep_text(kept, error.text);
      continue;
    }
    const int64_t visibility = changes ? entry.visibility_timeout.value : -1;
    keep(kept, visibility);
    keep_text(kept, entry.receipt_handle.value);
    taken->visibilities_ms[taken->count++] =
        static_cast<uint32_t>(changes ? visibility * 1'000 : 0);
  }
  return true;
}

}  // namespace

void delete_message(Request& request, const OneHandleInput& input) {
  Receipt receipt;
  if (const auto error = read_handle(input, request.queue->id, {}, &receipt))
    return request.refuse(error);
  keep_one(request, input, -1);
  request.port().ack({{&receipt, 1}}, request.wait());
}

void change_visibility(Request& request, const OneHandleInput& input) {
  ExtendEntry entry{{}, 0, kLeaseMsMax12h};
  AwsError error = read_handle(input, request.queue->id, {}, &entry.receipt);
  if (!error) error = check_visibility(input.visibility_timeout, {});
  if (error) return request.refuse(error);
  entry.visibility_ms = static_cast<uint32_t>(input.visibility_timeout.value * 1'000);
  keep_one(request, input, input.visibility_timeout.value);
  request.port().extend({{&entry, 1}, request.holder()}, request.wait());
}

void handle_done(Reply& reply, const ResultsReply& from_shard) {
  Outcome outcome{};
  outcome.visibility = reply.request.take<int64_t>();
  outcome.fifo = reply.request.take<bool>();
  outcome.handle = reply.request.text();
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  outcome.result = from_shard.results.front();
  if (const auto error = error_of_handle(outcome)) return reply.refuse(error);
  reply.finish_void();
}

void delete_message_batch(Request& request, const HandlesInput& input) {
  Taken taken;
  if (!take_entries(request, input, "DeleteMessageBatchRequestEntry", false, &taken)) return;
  const ReplyTo to = request.wait();
  if (taken.count == 0) return to.sink->on_results(to.token, {});
  request.port().ack({std::span<const Receipt>(taken.receipts).first(taken.count)}, to);
}

void change_visibility_batch(Request& request, const HandlesInput& input) {
  Taken taken;
  if (!take_entries(request, input, "ChangeMessageVisibilityBatchRequestEntry", true, &taken))
    return;
  const ReplyTo to = request.wait();
  if (taken.count == 0) return to.sink->on_results(to.token, {});
  std::array<ExtendEntry, kEntriesMax> entries;
  for (uint32_t i = 0; i < taken.count; ++i)
    entries[i] = {taken.receipts[i], taken.visibilities_ms[i], kLeaseMsMax12h};
  request.port().extend(
      {std::span<const ExtendEntry>(entries).first(taken.count), request.holder()}, to);
}

void handles_done(Reply& reply, const ResultsReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  const bool fifo = reply.request.take<bool>();
  const bool deletes = reply.action().name == "DeleteMessageBatch";
  const MemberName done = deletes ? kDeleted : kChanged;
  AnswerWriter& writer = reply.begin();
  // The two lists, one after the other.
  for (const bool good : {true, false}) {
    KeptReader kept = reply.request;
    size_t index = 0;
    bool begun = false;
    const auto begin_list = [&] {
      if (!begun) writer.begin_list(good ? done : kFailed);
      begun = true;
    };
    const auto fail = [&](std::string_view id, const ErrorKind& kind, std::string_view text) {
      if (good) return;
      begin_list();
      write_failure(writer, id, kind.code, text, kind.senders());
    };
    while (!kept.empty()) {
      const std::string_view id = kept.text();
      if (!kept.take<bool>()) {
        const auto* kind = kept.take<const ErrorKind*>();
        fail(id, *kind, kept.text());
        continue;
      }
      Outcome outcome{};
      outcome.visibility = kept.take<int64_t>();
      outcome.handle = kept.text();
      outcome.fifo = fifo;
      outcome.result = from_shard.results[index++];
      if (const auto error = error_of_handle(outcome)) {
        fail(id, *error.kind, error.text);
        continue;
      }
      if (!good) continue;
      begin_list();
      writer.begin_item(done);
      writer.plain("Id", id);
      writer.end_item(done);
    }
    if (begun) writer.end_list();
  }
  reply.finish();
}

}  // namespace millrace::net::sqs
