// GetQueueAttributes and SetQueueAttributes.
#include "engine/queue_attributes.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "net/sqs/actions.h"
#include "net/sqs/attribute_names.h"
#include "net/sqs/queue_settings.h"
#include "net/sqs/redrive_check.h"

namespace millrace::net::sqs {
namespace {

constexpr MemberName kQueueAttributes{"Attributes", "Attribute"};

// Which attributes are wanted: a bit for each of kReadOnlyAttributes, then for each of the
// engine's.
using Wanted = uint64_t;
constexpr Wanted kCounted = 0b111;  // the three numbers of messages

Wanted bit(size_t index) {
  return Wanted{1} << index;
}
size_t index_of(const engine::AttributeRow& row) {
  return kReadOnlyAttributes.size() + static_cast<size_t>(&row - engine::attribute_table().data());
}

// Those only we have are given by name only.
bool is_ours(std::string_view name) {
  return name == "Durability" || name == "InFlightMax" || name == "Partitions";
}

Wanted everything(bool fifo) {
  Wanted all = bit(kReadOnlyAttributes.size()) - 1;
  for (const engine::AttributeRow& row : engine::attribute_table())
    if (!is_ours(row.name) && (fifo || !row.fifo_only)) all |= bit(index_of(row));
  return all;
}

AwsError read_names(const List<std::string_view>& names, bool fifo, Wanted* wanted) {
  for (const std::string_view name : names) {
    if (name == "All") {
      *wanted |= everything(fifo);
      continue;
    }
    const auto* read_only = std::find(kReadOnlyAttributes.begin(), kReadOnlyAttributes.end(), name);
    if (read_only != kReadOnlyAttributes.end()) {
      *wanted |= bit(static_cast<size_t>(read_only - kReadOnlyAttributes.begin()));
      continue;
    }
    const engine::AttributeRow* row = engine::find_attribute(name);
    const bool of_fifo = row != nullptr && (row->fifo_only || name == "FifoQueue");
    if (row == nullptr || (of_fifo && !fifo)) return unknown_attribute(name);
    *wanted |= bit(index_of(*row));
  }
  return {};
}

std::string read_only_text(size_t index, Answer& answer, const QueueInfo& queue,
                           std::string_view region) {
  switch (index) {
    case 0:
      return std::to_string(queue.counters.ready);
    case 1:
      return std::to_string(queue.counters.delayed);
    case 2:
      return std::to_string(queue.counters.leased);
    case 3:
      return std::to_string(queue.created_at_ms / 1'000);
    case 4:
      return std::to_string(queue.modified_at_ms / 1'000);
    default:
      return answer.queue_arn(region, queue.name);
  }
}

std::optional<std::string> set_text(const engine::AttributeRow& row, Answer& answer,
                                    const QueueInfo& queue, std::string_view region) {
  auto text = row.write(queue.attributes);
  if (!text) return text;
  const std::string& account = answer.settings().account;
  if (row.name == "RedrivePolicy") return redrive_policy_text(queue.attributes, region, account);
  if (row.name == "RedriveAllowPolicy")
    return redrive_allow_policy_text(queue.attributes, region, account);
  return text;
}

void answer_attributes(Answer& answer, Wanted wanted, const QueueInfo& queue,
                       std::string_view region) {
  AnswerWriter& writer = answer.begin();
  bool begun = false;
  const auto put = [&](std::string_view name, std::string_view value) {
    if (!begun) writer.begin_map(kQueueAttributes);
    begun = true;
    writer.pair(kQueueAttributes, name, value);
  };
  for (size_t i = 0; i < kReadOnlyAttributes.size(); ++i)
    if ((wanted & bit(i)) != 0)
      put(kReadOnlyAttributes[i], read_only_text(i, answer, queue, region));
  for (const engine::AttributeRow& row : engine::attribute_table()) {
    if ((wanted & bit(index_of(row))) == 0) continue;
    if (const auto text = set_text(row, answer, queue, region)) put(row.name, *text);
  }
  if (begun) writer.end_map();
  answer.finish();
}

}  // namespace

void get_queue_attributes(Request& request, const GetQueueAttributesInput& input) {
  const QueueInfo& queue = *request.queue;
  Wanted wanted = 0;
  if (const auto error = read_names(input.attribute_names, queue.attributes.fifo, &wanted))
    return request.refuse(error);
  if ((wanted & kCounted) == 0)
    return answer_attributes(request, wanted, queue, request.caller.region);
  keep(request.kept(), wanted);
  keep_text(request.kept(), request.caller.region);
  const QueueId id = queue.id;
  request.port().queue_stats({&id, 1}, request.wait());
}

void queue_counted(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  const auto wanted = reply.request.take<Wanted>();
  const std::string_view region = reply.request.text();
  answer_attributes(reply, wanted, from_shard.queues.front(), region);
}

void set_queue_attributes(Request& request, const SetQueueAttributesInput& input) {
  const QueueInfo& queue = *request.queue;
  if (input.attributes.empty()) return request.refuse(missing_parameter("Attribute.Name"));
  QueueSettings settings;
  const SettingsContext context{request.port(), request.settings(), queue.name, &queue,
                                queue.attributes.fifo};
  if (const auto error = read_attributes(input.attributes, context, &settings))
    return request.refuse(error);
  const bool of_policy =
      std::any_of(settings.attributes.begin(), settings.attributes.end(),
                  [](const NamedText& attribute) { return attribute.name == "Policy"; });
  if (of_policy) request.audit_policy();
  request.port().set_queue(queue.id, settings, request.wait());
}

}  // namespace millrace::net::sqs
