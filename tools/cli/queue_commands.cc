// millrace queue create | list | show | set | purge | delete
#include <algorithm>
#include <optional>
#include <vector>

#include "millrace/options.h"
#include "tools/cli/command.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

// The attributes, under SQS's names and in SQS's units: seconds (here with decimals to the
// millisecond) and bytes.
struct AttributeRow {
  const char* name;
  uint32_t QueueAttributes::*member;
  bool seconds;
  uint32_t low;
  uint32_t high;
};
constexpr uint32_t kQueueWaitMsMax = 20'000;
constexpr uint32_t kMessageBytesLow = 1024;
constexpr AttributeRow kAttributes[] = {
    {"VisibilityTimeout", &QueueAttributes::visibility_timeout_ms, true, 0, kVisibilityMsMax},
    {"DelaySeconds", &QueueAttributes::delay_ms, true, 0, kDelayMsMax},
    {"MaximumMessageSize", &QueueAttributes::message_bytes_max, false, kMessageBytesLow,
     kMessageBytesMax},
    {"ReceiveMessageWaitTimeSeconds", &QueueAttributes::receive_wait_ms, true, 0, kQueueWaitMsMax},
};
constexpr std::string_view kDurability = "Durability";

std::string unit_text(const AttributeRow& row, uint32_t value) {
  return row.seconds ? format_seconds(value) : std::to_string(value);
}

// Applies one NAME=VALUE; the text of what is wrong otherwise.
std::optional<std::string> set_attribute(const std::string& setting, QueueAttributes& attributes) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos) return fmt::format("'{}' is not ATTRIBUTE=VALUE", setting);
  const std::string name = setting.substr(0, equals);
  const std::string text = setting.substr(equals + 1);
  if (name == kDurability) {
    const Result<Durability> level = parse_durability(text);
    if (!level) return fmt::format("'{}': Durability is none, interval or commit", setting);
    attributes.durability = *level;
    return std::nullopt;
  }
  for (const AttributeRow& row : kAttributes) {
    if (name != row.name) continue;
    const Result<uint64_t> value = row.seconds ? parse_seconds(text) : parse_size(text);
    if (!value || *value < row.low || *value > row.high)
      return fmt::format("'{}': {} is {} to {}{}", setting, row.name, unit_text(row, row.low),
                         unit_text(row, row.high), row.seconds ? " seconds" : " bytes");
    attributes.*row.member = static_cast<uint32_t>(*value);
    return std::nullopt;
  }
  std::string known;
  for (const AttributeRow& row : kAttributes)
    known += std::string(row.name) + ", ";
  return fmt::format("'{}': no such attribute; there are {}{}", setting, known, kDurability);
}

std::optional<std::string> set_attributes(const std::vector<std::string>& settings,
                                          QueueAttributes& attributes) {
  for (const std::string& setting : settings)
    if (auto wrong = set_attribute(setting, attributes)) return wrong;
  return std::nullopt;
}

int64_t oldest_age_ms(const QueueInfo& queue) {
  if (queue.counters.oldest_sent_at_ms == 0) return 0;
  return std::max<int64_t>(0, wall_clock_ms() - queue.counters.oldest_sent_at_ms);
}

Json to_json(const QueueInfo& queue) {
  Json json{{"name", queue.name}, {"id", raw(queue.id)}};
  Json& attributes = json["attributes"];
  for (const AttributeRow& row : kAttributes) {
    const uint32_t value = queue.attributes.*row.member;
    if (row.seconds && value % 1000 != 0)
      attributes[row.name] = value / 1000.0;
    else
      attributes[row.name] = row.seconds ? value / 1000 : value;
  }
  attributes[kDurability] = durability_name(queue.attributes.durability);
  const QueueCounters& counters = queue.counters;
  json["created_at_ms"] = queue.created_at_ms;
  json["ready"] = counters.ready;
  json["leased"] = counters.leased;
  json["delayed"] = counters.delayed;
  json["bytes"] = counters.bytes;
  json["oldest_age_ms"] = oldest_age_ms(queue);
  json["sent"] = counters.sent;
  json["received"] = counters.received;
  json["acked"] = counters.acked;
  json["expired"] = counters.expired;
  json["empty_receives"] = counters.empty_receives;
  return json;
}

// Counters and all of one queue; false after the line on standard error.
bool stats_of(Context& context, const std::string& name, QueueInfo& info) {
  QueueId queue{};
  if (!context.resolve(name, queue)) return false;
  const QueueId wanted[] = {queue};
  auto found = context.connect()->queue_stats(wanted);
  if (!found) {
    context.refused("queue '" + name + "'");
    return false;
  }
  if (found->empty()) {
    refuse("queue '" + name + "': " + std::string(errc_text(Errc::queue_not_found)));
    return false;
  }
  info = found->front();
  return true;
}

int create(Context& context, const std::string& name, const std::vector<std::string>& settings) {
  QueueAttributes attributes;
  if (auto wrong = set_attributes(settings, attributes)) return misuse(*wrong);
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const Result<QueueId> queue = broker->create_queue(name, attributes);
  if (!queue) return context.refused("queue '" + name + "'");
  if (context.json)
    print_json({{"name", name}, {"id", raw(*queue)}});
  else
    print_text(fmt::format("queue {} is there\n", name));
  return kDone;
}

int list(Context& context, const std::string& prefix) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  auto listed = broker->list_queues(prefix);
  if (!listed) return context.refused("queues '" + prefix + "'");
  // A list has no counters: ask for them in pieces.
  Table table({"NAME", "READY", "LEASED", "DELAYED", "SIZE", "OLDEST"},
              {false, true, true, true, true, true});
  constexpr size_t kAtOnce = 500;
  for (size_t at = 0; at < listed->size(); at += kAtOnce) {
    std::vector<QueueId> ids;
    for (size_t i = at; i < std::min(at + kAtOnce, listed->size()); ++i)
      ids.push_back((*listed)[i].id);
    auto counted = broker->queue_stats(ids);
    // A queue that was deleted in between is an error of the whole request, or just missing.
    if (!counted) return context.refused("queues '" + prefix + "'");
    for (const QueueInfo& queue : *counted) {
      if (context.json)
        print_json(to_json(queue));
      else
        table.add({queue.name, format_count(queue.counters.ready),
                   format_count(queue.counters.leased), format_count(queue.counters.delayed),
                   format_size(queue.counters.bytes), format_age(oldest_age_ms(queue))});
    }
  }
  if (!context.json) print_text(table.text());
  return kDone;
}

int show(Context& context, const std::string& name) {
  QueueInfo queue;
  if (!stats_of(context, name, queue)) return kRefused;
  if (context.json) {
    print_json(to_json(queue));
    return kDone;
  }
  Table table({"", ""});
  table.add({"name", queue.name});
  for (const AttributeRow& row : kAttributes) {
    const uint32_t value = queue.attributes.*row.member;
    table.add({row.name, row.seconds ? unit_text(row, value) + " s" : format_size(value)});
  }
  table.add({std::string(kDurability),
             std::string(durability_name(queue.attributes.durability)) +
                 (queue.attributes.durability == Durability::none ? " (the server's)" : "")});
  const QueueCounters& counters = queue.counters;
  table.add({"ready", format_count(counters.ready)});
  table.add({"leased", format_count(counters.leased)});
  table.add({"delayed", format_count(counters.delayed)});
  table.add({"size", format_size(counters.bytes)});
  table.add({"oldest", format_age(oldest_age_ms(queue))});
  table.add(
      {"since start", fmt::format("{} sent, {} received, {} acknowledged, {} leases ended",
                                  format_count(counters.sent), format_count(counters.received),
                                  format_count(counters.acked), format_count(counters.expired))});
  print_text(table.text(false));
  return kDone;
}

int set(Context& context, const std::string& name, const std::vector<std::string>& settings) {
  QueueAttributes checked;
  if (auto wrong = set_attributes(settings, checked)) return misuse(*wrong);
  QueueInfo queue;
  if (!stats_of(context, name, queue)) return kRefused;
  set_attributes(settings, queue.attributes);
  if (!context.connect()->set_queue(queue.id, queue.attributes))
    return context.refused("queue '" + name + "'");
  if (context.json)
    print_json({{"name", name}, {"id", raw(queue.id)}});
  else
    print_text(fmt::format("queue {} is changed\n", name));
  return kDone;
}

int purge_or_delete(Context& context, const std::string& name, bool purge) {
  QueueId queue{};
  if (!context.resolve(name, queue)) return kRefused;
  client::BlockingClient* broker = context.connect();
  const Status done = purge ? broker->purge_queue(queue) : broker->delete_queue(queue);
  if (!done) return context.refused("queue '" + name + "'");
  if (context.json)
    print_json({{"name", name}, {"id", raw(queue)}});
  else
    print_text(fmt::format("queue {} is {}\n", name, purge ? "empty" : "deleted"));
  return kDone;
}

}  // namespace

void add_queue_commands(Parser& parser, Context& context) {
  auto name = std::make_shared<std::string>();
  auto prefix = std::make_shared<std::optional<std::string>>();
  auto settings = std::make_shared<std::vector<std::string>>();
  const std::string known =
      "VisibilityTimeout, DelaySeconds, MaximumMessageSize, ReceiveMessageWaitTimeSeconds, "
      "Durability";
  parser
      .command(
          "queue create", "make a queue, or make sure of it",
          [&context, name, settings] { return create(context, *name, *settings); },
          "create, list, show, set, purge, delete")
      .argument("NAME", *name, "1 to 80 of A-Z a-z 0-9 - _")
      .repeated("--set", "ATTRIBUTE=VALUE", *settings, known);
  parser
      .command("queue list", "the queues, by name, and what is in them",
               [&context, prefix] { return list(context, prefix->value_or("")); })
      .optional_argument("PREFIX", *prefix, "only names that start so");
  parser
      .command("queue show", "attributes and counters of a queue",
               [&context, name] { return show(context, *name); })
      .argument("NAME", *name, "");
  parser
      .command("queue set", "change attributes of a queue",
               [&context, name, settings] { return set(context, *name, *settings); })
      .argument("NAME", *name, "")
      .arguments("ATTRIBUTE=VALUE", *settings, known.c_str());
  parser
      .command("queue purge", "drop every message of a queue",
               [&context, name] { return purge_or_delete(context, *name, true); })
      .argument("NAME", *name, "");
  parser
      .command("queue delete", "delete a queue and its messages",
               [&context, name] { return purge_or_delete(context, *name, false); })
      .argument("NAME", *name, "");
}

}  // namespace millrace::tools
