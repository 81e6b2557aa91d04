// millrace trace: the life of one message, from the log of the shard it was sent to. Reads the data
// directory itself, of a broker that is stopped or running.
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/catalog.h"
#include "engine/message_trace.h"
#include "storage/log_inspect.h"
#include "tools/cli/command.h"
#include "tools/cli/log_files.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using engine::TraceEvent;
using QueueNames = std::map<QueueId, std::string>;

// The log of a running broker may change under a reader, who then begins again.
constexpr int kAttempts = 5;

std::string time_text(TimeMs time) {
  const std::time_t seconds = time.value / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", text, time.value % 1000);
}

// Also of queues that are deleted by now.
Result<QueueNames> queue_names(LogFiles& files) {
  QueueNames names;
  storage::InspectCallbacks callbacks;
  callbacks.on_record = [&](const storage::Record& record) {
    if (static_cast<engine::RecordKind>(record.kind) != engine::RecordKind::queue_put) return;
    std::string why;
    if (const auto queue = engine::decode_queue(record.body, &why)) names[queue->id] = queue->name;
  };
  const auto report =
      storage::inspect_log(files.disk(), LogFiles::catalog(), std::nullopt, callbacks);
  if (!report) return fail(report.error());
  return names;
}

Result<std::vector<TraceEvent>> read_events(LogFiles& files, const std::string& log,
                                            const MessageId& id) {
  engine::MessageTrace trace(id);
  storage::InspectCallbacks callbacks;
  callbacks.on_record = [&](const storage::Record& record) { trace.on_record(record); };
  callbacks.on_mark = [&](const storage::MarkRow& row) { trace.on_mark(row.mark); };
  const auto report = storage::inspect_log(files.disk(), log, std::nullopt, callbacks);
  if (!report) return fail(report.error());
  return trace.events();
}

template <class Read>
auto attempted(Read&& read) {
  auto result = read();
  for (int n = 1; n < kAttempts && !result; ++n)
    result = read();
  return result;
}

std::string_view name_of(TraceEvent::Kind kind) {
  switch (kind) {
    case TraceEvent::Kind::sent:
      return "sent";
    case TraceEvent::Kind::found:
      return "found";
    case TraceEvent::Kind::received:
      return "received";
    case TraceEvent::Kind::extended:
      return "extended";
    case TraceEvent::Kind::acknowledged:
      return "acknowledged";
    case TraceEvent::Kind::dead_lettered:
      return "dead-lettered";
    case TraceEvent::Kind::moved:
      return "moved";
    case TraceEvent::Kind::purged:
      return "purged";
    case TraceEvent::Kind::expired:
      return "expired";
  }
  return "";
}

// "hidden until 12:00:30.000Z (30s)"
std::string hidden_text(const TraceEvent& event, std::string_view otherwise) {
  if (event.until == TimeMs{}) return std::string(otherwise);
  return fmt::format("hidden until {} ({})", time_text(event.until),
                     format_age(event.until - event.at));
}

std::string detail_of(const TraceEvent& event, const std::string& queue) {
  switch (event.kind) {
    case TraceEvent::Kind::sent:
      return fmt::format("to {}, {} bytes, {}", queue, event.bytes, hidden_text(event, "ready"));
    case TraceEvent::Kind::found:
      return fmt::format("in {}, received {} times, {}; what was before is not in the log any more",
                         queue, event.receive_count, hidden_text(event, "ready"));
    case TraceEvent::Kind::received:
      return fmt::format("number {}, {}", event.receive_count, hidden_text(event, "ready at once"));
    case TraceEvent::Kind::extended:
      return hidden_text(event, "ready at once");
    case TraceEvent::Kind::dead_lettered:
      return fmt::format("to {}, received {} times", queue, event.receive_count);
    case TraceEvent::Kind::moved:
      return fmt::format("to {}, where it is another message",
                         event.queue == QueueId{} ? "a queue on another shard" : queue);
    case TraceEvent::Kind::expired:
      return "older than the queue keeps messages";
    case TraceEvent::Kind::acknowledged:
    case TraceEvent::Kind::purged:
      break;
  }
  return "";
}

void print(const Context& context, const std::vector<TraceEvent>& events, const QueueNames& names) {
  Table table({"TIME", "EVENT", "DETAIL"});
  for (const TraceEvent& event : events) {
    const auto named = names.find(event.queue);
    const std::string queue =
        named != names.end() ? named->second : fmt::format("queue {}", raw(event.queue));
    if (!context.json) {
      table.add({event.at == TimeMs{} ? "" : time_text(event.at), std::string(name_of(event.kind)),
                 detail_of(event, queue)});
      continue;
    }
    Json json{{"event", name_of(event.kind)},
              {"at_ms", event.at.value},
              {"queue", queue},
              {"slot", event.slot},
              {"receive_count", event.receive_count}};
    if (event.until != TimeMs{}) json["hidden_until_ms"] = event.until.value;
    if (event.bytes > 0) json["body_bytes"] = event.bytes;
    json["log_position"] = event.position.value;
    print_json(json);
  }
  if (!context.json) print_text(table.text());
}

int trace(Context& context, const std::string& text, const std::string& path) {
  const auto id = parse_message_id(text);
  if (!id)
    return refuse("'" + text +
                  "': not a message id; one looks like 00000001-0000-8000-8000-000000000000");
  LogFiles files;
  if (!files.open(path, LogFiles::Use::shared)) return kRefused;
  const std::string log = LogFiles::shard(id->shard_slot >> 48);
  const auto names = attempted([&] { return queue_names(files); });
  if (!names) return files.refused(LogFiles::catalog(), names.error());
  const auto events = attempted([&] { return read_events(files, log, *id); });
  if (!events) return files.refused(log, events.error());
  if (events->empty())
    return refuse("'" + text + "': nothing of it is in the log of '" + path +
                  "': it is gone and its segments are freed, or it never was");
  print(context, *events, *names);
  return kDone;
}

}  // namespace

void add_trace_command(Parser& parser, Context& context) {
  auto id = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>("./millrace-data");
  parser
      .command("trace", "the life of one message, from a broker's data directory",
               [&context, id, path] { return trace(context, *id, *path); })
      .argument("ID", *id, "the message's id")
      .option("--data", "DIR", *path, "the data directory [./millrace-data]");
}

}  // namespace millrace::tools
