// StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks.
//
// A task's handle is base64 of {"taskId":"...","sourceArn":"..."}; the task id is the engine's
// number in the form of a UUID.
#include <charconv>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "net/aws/arn.h"
#include "net/aws/base64.h"
#include "net/sqs/actions.h"

namespace millrace::net::sqs {
namespace {

constexpr MemberName kResults{"Results", "ListMessageMoveTasksResultEntry"};

// 00000000-UUUU-8000-8000-LLLLLLLLLLLL: a UUID that holds all 64 bits of a task's number, which is
// the time it started at and more.
std::string task_id_of(uint64_t task) {
  constexpr unsigned kLowBits = 48;
  return fmt::format("00000000-{:04x}-8000-8000-{:012x}", task >> kLowBits,
                     task & ((uint64_t{1} << kLowBits) - 1));
}

std::optional<uint64_t> read_task_id(const std::string& id) {
  constexpr size_t kHighAt = 9;
  constexpr size_t kHighDigits = 4;
  constexpr size_t kLowAt = 24;
  if (id.size() <= kLowAt) return std::nullopt;
  const std::string digits = id.substr(kHighAt, kHighDigits) + id.substr(kLowAt);
  uint64_t task = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), task, 16);
  // 0 would be whichever runs.
  if (error != std::errc() || task == 0 || task_id_of(task) != id) return std::nullopt;
  return task;
}

std::string handle_of(uint64_t task, std::string_view source_arn) {
  std::string handle;
  append_base64(handle, as_bytes(fmt::format(R"({{"taskId":"{}","sourceArn":"{}"}})",
                                             task_id_of(task), source_arn)));
  return handle;
}

AwsError no_such_resource(std::string_view parameter) {
  return {errors::kResourceNotFound,
          fmt::format("The resource that you specified for the {} parameter doesn't exist.",
                      parameter)};
}

// The queue of an ARN that was given.
AwsError find_by_arn(Request& request, std::string_view text, std::string_view parameter,
                     QueueId* queue) {
  const auto arn = parse_arn(text);
  if (!arn || arn->service != "sqs")
    return {errors::kInvalidParameterValue,
            fmt::format("You must use this format to specify the {}: "
                        "arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
                        parameter)};
  const QueueInfo* found = arn->account == request.settings().account
                               ? request.port().find_queue(arn->resource)
                               : nullptr;
  if (found == nullptr) return no_such_resource(parameter);
  *queue = found->id;
  return {};
}

struct TaskName {
  std::string source_arn;
  std::optional<uint64_t> task;  // nothing: no task of ours is called that
};

std::optional<TaskName> read_handle(std::string_view handle) {
  std::string text(handle);
  const auto bytes = decode_base64(text.data(), text.size());
  if (!bytes) return std::nullopt;
  const auto json = base::parse_bounded_json<nlohmann::ordered_json>(*bytes);
  if (!json.is_object() || !json.contains("taskId") || !json.contains("sourceArn") ||
      !json["taskId"].is_string() || !json["sourceArn"].is_string())
    return std::nullopt;
  return TaskName{json["sourceArn"].get<std::string>(),
                  read_task_id(json["taskId"].get_ref<const std::string&>())};
}

std::string_view status_text(MoveState state) {
  switch (state) {
    case MoveState::running:
      return "RUNNING";
    case MoveState::completed:
      return "COMPLETED";
    case MoveState::cancelling:
      return "CANCELLING";
    case MoveState::cancelled:
      return "CANCELLED";
    case MoveState::failed:
      return "FAILED";
  }
  return "FAILED";
}

AwsError error_of_move(const MoveReply& from_shard) {
  // The engine's detail is for people who know its words; the kinds have texts of SQS's own.
  return error_of(from_shard.error,
                  from_shard.error == Errc::over_limit ? from_shard.detail : std::string_view());
}

}  // namespace

void start_move(Request& request, const StartMoveInput& input) {
  if (input.source_arn.value.empty()) return request.refuse(missing_parameter("SourceArn"));
  MoveRequest move;
  AwsError error = find_by_arn(request, input.source_arn.value, "SourceArn", &move.source);
  if (!error && input.destination_arn.given)
    error = find_by_arn(request, input.destination_arn.value, "DestinationArn", &move.destination);
  if (!error && input.rate.given && (input.rate.value < 1 || input.rate.value > kMoveRateMax))
    error = {
        errors::kInvalidParameterValue,
        "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a "
        "number that's between 1 and 500."};
  if (error) return request.refuse(error);
  move.rate = static_cast<uint32_t>(input.rate.value);
  keep_text(request.kept(), input.source_arn.value);
  request.port().start_move(move, request.wait());
}

void move_started(Reply& reply, const MoveReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of_move(from_shard));
  reply.begin().plain("TaskHandle", handle_of(from_shard.tasks.front().id, reply.request.text()));
  reply.finish();
}

void cancel_move(Request& request, const CancelMoveInput& input) {
  if (input.task_handle.value.empty()) return request.refuse(missing_parameter("TaskHandle"));
  const auto name = read_handle(input.task_handle.value);
  const auto arn = name ? parse_arn(name->source_arn) : std::nullopt;
  if (!arn)
    return request.refuse(
        {errors::kInvalidParameterValue, "Value for parameter TaskHandle is invalid."});
  const QueueInfo* source = request.port().find_queue(arn->resource);
  if (source == nullptr) return request.refuse(no_such_resource("SourceArn"));
  if (!name->task) return request.refuse(error_of(Errc::move_task_not_found));
  request.port().cancel_move(source->id, *name->task, request.wait());
}

void move_cancelled(Reply& reply, const MoveReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of_move(from_shard));
  reply.begin().number("ApproximateNumberOfMessagesMoved",
                       static_cast<int64_t>(from_shard.tasks.front().moved));
  reply.finish();
}

void list_moves(Request& request, const ListMovesInput& input) {
  if (input.source_arn.value.empty()) return request.refuse(missing_parameter("SourceArn"));
  QueueId source{};
  if (const auto error = find_by_arn(request, input.source_arn.value, "SourceArn", &source))
    return request.refuse(error);
  const int64_t max = input.max_results.given ? input.max_results.value : 1;
  if (max < 1 || max > kMoveTasksKept)
    return request.refuse({errors::kInvalidParameterValue,
                           "Value for parameter MaxResults is invalid. Reason: You must enter a "
                           "number that's between 1 and 10."});
  keep_text(request.kept(), input.source_arn.value);
  keep_text(request.kept(), request.caller.region);
  request.port().list_moves(source, static_cast<uint32_t>(max), request.wait());
}

void moves_listed(Reply& reply, const MoveReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of_move(from_shard));
  const std::string_view source_arn = reply.request.text();
  const std::string_view region = reply.request.text();
  AnswerWriter& writer = reply.begin();
  if (!from_shard.tasks.empty()) {
    writer.begin_list(kResults);
    for (const MoveTask& task : from_shard.tasks) {
      writer.begin_item(kResults);
      if (task.state == MoveState::running)
        writer.plain("TaskHandle", handle_of(task.id, source_arn));
      writer.plain("Status", status_text(task.state));
      writer.text("SourceArn", source_arn);
      if (!task.destination_name.empty())
        writer.text("DestinationArn", reply.queue_arn(region, task.destination_name));
      if (task.rate != 0) writer.number("MaxNumberOfMessagesPerSecond", task.rate);
      writer.number("ApproximateNumberOfMessagesMoved", static_cast<int64_t>(task.moved));
      writer.number("ApproximateNumberOfMessagesToMove", static_cast<int64_t>(task.to_move));
      if (!task.failure.empty()) writer.text("FailureReason", task.failure);
      writer.number("StartedTimestamp", task.started_at_ms);
      writer.end_item(kResults);
    }
    writer.end_list();
  }
  reply.finish();
}

}  // namespace millrace::net::sqs
