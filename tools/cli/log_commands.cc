// millrace log inspect | verify | repair: the data directory of a stopped broker.
#include <memory>
#include <string>
#include <vector>

#include "engine/records.h"
#include "net/audit/audit_log.h"
#include "storage/log_inspect.h"
#include "tools/cli/command.h"
#include "tools/cli/log_files.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using storage::VerifyReport;

std::string kind_name(uint16_t kind) {
  using engine::RecordKind;
  switch (static_cast<RecordKind>(kind)) {
    case RecordKind::enqueue:
      return "enqueue";
    case RecordKind::lease:
      return "lease";
    case RecordKind::extend:
      return "extend";
    case RecordKind::ack:
      return "ack";
    case RecordKind::dead_letter:
      return "dead_letter";
    case RecordKind::carry:
      return "carry";
    case RecordKind::purge:
      return "purge";
    case RecordKind::slot_end:
      return "slot_end";
    case RecordKind::dedup:
      return "dedup";
    case RecordKind::expire:
      return "expire";
    case RecordKind::move:
      return "move";
    case RecordKind::move_in:
      return "move_in";
    case RecordKind::move_ids:
      return "move_ids";
    case RecordKind::publish:
      return "publish";
    case RecordKind::carry_shared:
      return "carry_shared";
    case RecordKind::queue_put:
      return "queue_put";
    case RecordKind::queue_delete:
      return "queue_delete";
    case RecordKind::meta:
      return "meta";
    case RecordKind::move_task:
      return "move_task";
    case RecordKind::topic_put:
      return "topic_put";
    case RecordKind::topic_delete:
      return "topic_delete";
    case RecordKind::subscription_put:
      return "subscription_put";
    case RecordKind::subscription_delete:
      return "subscription_delete";
  }
  return std::to_string(kind);
}

std::string state_of(const VerifyReport& report) {
  if (report.error != Errc::ok) return "REFUSED";
  if (report.damaged_bytes > 0) return "DAMAGED";
  return report.clean_shutdown ? "clean" : "ok";
}

Json to_json(const std::string& log, const VerifyReport& report) {
  return {{"log", log},
          {"state", state_of(report)},
          {"error", errc_name(report.error)},
          {"message", report.message},
          {"clean_shutdown", report.clean_shutdown},
          {"segments", report.segments},
          {"records", report.records},
          {"bytes", report.bytes},
          {"damaged_ranges", report.damaged_ranges},
          {"damaged_bytes", report.damaged_bytes},
          {"torn_bytes", report.torn_bytes},
          {"rehomed_bytes", report.rehomed_bytes},
          {"header_copies_bad", report.header_copies_bad},
          {"head", report.head.value},
          {"durable", report.durable.value},
          {"end", report.end.value},
          {"last_server_time_ms", report.last_server_time.value}};
}

// One line a log; false if one of them would be refused or is damaged.
class Verdict {
 public:
  explicit Verdict(const Context& context) : context_(context) {}
  void add(const std::string& log, const VerifyReport& report) {
    good_ = good_ && report.error == Errc::ok && report.damaged_bytes == 0;
    if (context_.json) {
      print_json(to_json(log, report));
      return;
    }
    table_.add({log, state_of(report), format_count(report.segments), format_count(report.records),
                format_size(report.bytes), format_size(report.damaged_bytes),
                format_size(report.torn_bytes), report.message});
  }
  int finish() const {
    if (!context_.json) print_text(table_.text());
    return good_ ? kDone : kRefused;
  }

 private:
  const Context& context_;
  Table table_{{"LOG", "STATE", "SEGMENTS", "RECORDS", "BYTES", "DAMAGED", "TORN", "WHY"},
               {false, false, true, true, true, true, true, false}};
  bool good_ = true;
};

void print_segment(const Context& context, Table& table, const std::string& log,
                   const storage::SegmentRow& row) {
  const bool valid = row.header.state == storage::HeaderState::valid;
  if (context.json) {
    Json json{{"log", log},
              {"segment", row.file},
              {"use", storage::use_name(row.use)},
              {"file_bytes", row.file_bytes},
              {"header_copy_bad", row.header.copy_bad},
              {"end", row.end}};
    json["sequence"] = valid ? Json(row.header.header.sequence) : Json(nullptr);
    json["generation"] = valid ? Json(row.header.header.generation) : Json(nullptr);
    print_json(json);
    return;
  }
  table.add({log, row.file, std::string(storage::use_name(row.use)), format_size(row.file_bytes),
             valid ? std::to_string(row.header.header.sequence) : "",
             valid ? fmt::format("{:016x}", row.header.header.generation) : "",
             std::to_string(row.end)});
}

int inspect(Context& context, const std::string& path, bool with_records) {
  LogFiles directory;
  if (!directory.open(path, LogFiles::Use::locked)) return kRefused;
  Verdict verdict(context);
  Table segments({"LOG", "FILE", "USE", "SIZE", "SEQUENCE", "GENERATION", "END"},
                 {false, false, false, true, true, false, true});
  for (const std::string& log : directory.logs()) {
    storage::InspectCallbacks callbacks;
    callbacks.on_segment = [&](const storage::SegmentRow& row) {
      print_segment(context, segments, log, row);
    };
    if (with_records) {
      callbacks.on_record = [&](const storage::Record& record) {
        const std::string kind = kind_name(record.kind);
        if (context.json)
          print_json({{"log", log},
                      {"position", record.position.value},
                      {"kind", kind},
                      {"bytes", record.body.size()}});
        else
          print_text(fmt::format("{:<10} {:>14}  {:<12} {} bytes\n", log, record.position.value,
                                 kind, record.body.size()));
      };
    }
    callbacks.on_damage = [&](Position begin, uint64_t bytes) {
      if (context.json)
        print_json({{"log", log}, {"damage", begin.value}, {"bytes", bytes}});
      else
        print_text(
            fmt::format("{:<10} {:>14}  {:<12} {} bytes\n", log, begin.value, "DAMAGE", bytes));
    };
    const auto report = storage::inspect_log(directory.disk(), log, std::nullopt, callbacks);
    if (!report) return directory.refused(log, report.error());
    verdict.add(log, *report);
  }
  if (!context.json) print_text(segments.text() + "\n");
  (void)verdict.finish();  // looking at damage is no failure
  return kDone;
}

int verify(Context& context, const std::string& path) {
  LogFiles directory;
  if (!directory.open(path, LogFiles::Use::locked)) return kRefused;
  Verdict verdict(context);
  for (const std::string& log : directory.logs()) {
    const auto report = storage::verify_log(directory.disk(), log, std::nullopt);
    if (!report) return directory.refused(log, report.error());
    verdict.add(log, *report);
  }
  return verdict.finish();
}

int repair(Context& context, const std::string& path, const std::string& audit_path) {
  std::unique_ptr<net::AuditLog> audit;
  std::string why;
  if (!audit_path.empty()) audit = net::AuditLog::open(audit_path, &why);
  if (!audit_path.empty() && audit == nullptr) return misuse("--audit " + why);
  LogFiles directory;
  if (!directory.open(path, LogFiles::Use::locked)) return kRefused;
  Verdict verdict(context);
  bool startable = true;
  for (const std::string& log : directory.logs()) {
    const auto report = storage::repair_log(directory.disk(), log, std::nullopt);
    if (!report) return directory.refused(log, report.error());
    for (const std::string& action : report->actions) {
      const std::string told = log + ": " + action;
      net::record(audit.get(), {.event = net::AuditEvent::loss_accepted,
                                .via = "server",
                                .result = errc_name(report->after.error),
                                .reason = told});
      if (context.json)
        print_json({{"log", log}, {"action", action}});
      else
        print_text(fmt::format("{}: {}\n", log, action));
    }
    startable = startable && report->after.error == Errc::ok;
    verdict.add(log, report->after);
  }
  (void)verdict.finish();
  // What is lost was said; what counts is whether a broker starts on it now.
  return startable ? kDone : refuse("'" + path + "': a broker would still refuse to start");
}

}  // namespace

void add_log_commands(Parser& parser, Context& context) {
  auto path = std::make_shared<std::string>();
  auto records = std::make_shared<bool>(false);
  auto audit = std::make_shared<std::string>();
  parser
      .command(
          "log inspect", "the files of each log and what is in them",
          [&context, path, records] { return inspect(context, *path, *records); },
          "look into a stopped broker's data directory: inspect, verify, repair")
      .argument("DIR", *path, "the data directory")
      .flag("--records", *records, "every record too");
  parser
      .command("log verify", "read every byte; exit 1 if a start would find damage",
               [&context, path] { return verify(context, *path); })
      .argument("DIR", *path, "the data directory");
  parser
      .command("log repair", "make a log that a start refuses serve what is left of it",
               [&context, path, audit] { return repair(context, *path, *audit); })
      .argument("DIR", *path, "the data directory")
      .option("--audit", "FILE", *audit, "the server's audit log, to be told of it");
}

}  // namespace millrace::tools
