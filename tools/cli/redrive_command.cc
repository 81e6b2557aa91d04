// millrace redrive: messages of a dead-letter queue go back, or to another queue. The broker does
// the work; this starts it and shows how far it is, or lists and cancels what runs.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "base/os_clock.h"
#include "tools/cli/command.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

struct RedriveOptions {
  std::string source;
  std::optional<std::string> to;
  std::string rate;
  bool detach = false;
  bool list = false;
  bool cancel = false;
};

constexpr int kTaskLookMs = 200;
// Without a terminal: a line this often.
constexpr int64_t kLineMs = 5'000;

volatile std::sig_atomic_t g_left_task = 0;

void leave_task(int) {
  g_left_task = 1;
}

std::string_view state_name(MoveState state) {
  switch (state) {
    case MoveState::running:
      return "running";
    case MoveState::completed:
      return "completed";
    case MoveState::cancelling:
      return "cancelling";
    case MoveState::cancelled:
      return "cancelled";
    case MoveState::failed:
      return "failed";
  }
  return "unknown";
}

bool has_ended(const MoveTask& task) {
  return task.state != MoveState::running && task.state != MoveState::cancelling;
}

Json to_json(const std::string& source, const MoveTask& task) {
  Json json{{"task", task.id}, {"source", source}, {"state", state_name(task.state)}};
  if (!task.destination_name.empty()) json["destination"] = task.destination_name;
  if (task.rate > 0) json["rate"] = task.rate;
  json["moved"] = task.moved;
  json["to_move"] = task.to_move;
  json["started_at_ms"] = task.started_at_ms;
  if (task.ended_at_ms > 0) json["ended_at_ms"] = task.ended_at_ms;
  if (!task.failure.empty()) json["failure"] = task.failure;
  return json;
}

std::string destination_text(const MoveTask& task) {
  return task.destination_name.empty() ? "where they came from" : task.destination_name;
}

// Shows a task on one line until it ends.
class Progress {
 public:
  Progress(Context& context, const std::string& source)
      : context_(context), source_(source), terminal_(::isatty(STDOUT_FILENO) == 1) {}

  // Looks at the task until it ends or Ctrl-C is pressed.
  int follow(QueueId queue, MoveTask task) {
    struct sigaction action {};
    action.sa_handler = leave_task;  // without SA_RESTART: the wait ends
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    looked_ns_ = base::os_monotonic_ns();
    for (show(task, true); !has_ended(task) && g_left_task == 0; show(task, false)) {
      ::poll(nullptr, 0, kTaskLookMs);
      auto tasks = context_.connect()->list_moves(queue);
      if (!tasks) {
        end_line();
        return context_.refused("queue '" + source_ + "'");
      }
      const auto found = std::find_if(tasks->begin(), tasks->end(),
                                      [&](const MoveTask& each) { return each.id == task.id; });
      if (found == tasks->end()) break;
      note_rate(task, *found);
      task = *found;
    }
    end_line();
    if (!has_ended(task)) {
      refuse(fmt::format("the task goes on; millrace redrive --cancel {} ends it", source_));
      return kDone;
    }
    if (context_.json) {
      print_json(to_json(source_, task));
    } else {
      print_text(fmt::format("{}: {} moved to {}\n", state_name(task.state),
                             format_count(task.moved), destination_text(task)));
    }
    if (task.state == MoveState::failed)
      return refuse(fmt::format("queue '{}': the task failed: {}", source_, task.failure));
    return kDone;
  }

 private:
  // A mean over the last few looks.
  void note_rate(const MoveTask& before, const MoveTask& now) {
    const int64_t now_ns = base::os_monotonic_ns();
    const double seconds = static_cast<double>(now_ns - looked_ns_) / 1e9;
    looked_ns_ = now_ns;
    if (seconds <= 0 || now.moved < before.moved) return;
    const double rate = static_cast<double>(now.moved - before.moved) / seconds;
    rate_ = rate_ < 0 ? rate : rate_ * 0.8 + rate * 0.2;
  }

  void show(const MoveTask& task, bool first) {
    if (context_.json) return;
    const int64_t now_ms = base::os_monotonic_ns() / 1'000'000;
    if (!terminal_ && !first && now_ms < shown_ms_ + kLineMs) return;
    shown_ms_ = now_ms;
    std::string line =
        fmt::format("{} of {} moved", format_count(task.moved), format_count(task.to_move));
    if (rate_ > 0) line += fmt::format(", {}/s", format_rate(rate_));
    if (rate_ > 0 && task.to_move > task.moved && !has_ended(task)) {
      const double left_ms = static_cast<double>(task.to_move - task.moved) * 1e3 / rate_;
      line += fmt::format(", {} left", format_age(static_cast<int64_t>(left_ms)));
    }
    if (!terminal_) {
      print_text(line + "\n");
      std::fflush(stdout);
      return;
    }
    print_text("\r" + bar(task, line.size()) + line + "\x1b[K");
    std::fflush(stdout);
    drawn_ = true;
  }

  // As wide as the line leaves room for; empty if that is not much.
  static std::string bar(const MoveTask& task, size_t line_bytes) {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < line_bytes + 14) return {};
    const size_t width = std::min<size_t>(40, size.ws_col - line_bytes - 4);
    const uint64_t all = std::max<uint64_t>(task.to_move, 1);
    const auto full = static_cast<size_t>(static_cast<double>(std::min(task.moved, all)) /
                                          static_cast<double>(all) * static_cast<double>(width));
    return "[" + std::string(full, '#') + std::string(width - full, '.') + "] ";
  }

  void end_line() {
    if (drawn_) print_text("\n");
    drawn_ = false;
  }

  Context& context_;
  const std::string& source_;
  bool terminal_;
  bool drawn_ = false;
  double rate_ = -1;
  int64_t looked_ns_ = 0;
  int64_t shown_ms_ = 0;
};

int list(Context& context, const std::string& source, QueueId queue) {
  const auto tasks = context.connect()->list_moves(queue);
  if (!tasks) return context.refused("queue '" + source + "'");
  Table table({"STATE", "MOVED", "OF", "RATE", "STARTED", "TO", ""},
              {false, true, true, true, false, false, false});
  for (const MoveTask& task : *tasks) {
    if (context.json) {
      print_json(to_json(source, task));
      continue;
    }
    table.add({std::string(state_name(task.state)), format_count(task.moved),
               format_count(task.to_move), task.rate == 0 ? "-" : std::to_string(task.rate) + "/s",
               format_age(wall_clock_ms() - task.started_at_ms) + " ago", destination_text(task),
               printable(task.failure)});
  }
  if (!context.json) print_text(table.text());
  return kDone;
}

int cancel(Context& context, const std::string& source, QueueId queue) {
  const auto task = context.connect()->cancel_move(queue);
  if (!task) return context.refused("queue '" + source + "'");
  if (context.json)
    print_json(to_json(source, *task));
  else
    print_text(fmt::format("{}: {} of {} moved\n", state_name(task->state),
                           format_count(task->moved), format_count(task->to_move)));
  return kDone;
}

int redrive(Context& context, const RedriveOptions& options) {
  if (options.list + options.cancel + options.detach > 1)
    return misuse("--list, --cancel and --detach do not go together");
  if ((options.list || options.cancel) && (options.to || !options.rate.empty()))
    return misuse("--to and --rate are for a new task");
  QueueId source{};
  if (!context.resolve(options.source, source)) return kRefused;
  if (options.list) return list(context, options.source, source);
  if (options.cancel) return cancel(context, options.source, source);
  MoveRequest request{.source = source};
  if (options.to && !context.resolve(*options.to, request.destination)) return kRefused;
  request.rate = static_cast<uint32_t>(parse_whole(options.rate).value_or(0));
  const auto task = context.connect()->start_move(request);
  if (!task) return context.refused("queue '" + options.source + "'");
  if (!options.detach) return Progress(context, options.source).follow(source, *task);
  if (context.json)
    print_json(to_json(options.source, *task));
  else
    print_text(
        fmt::format("{} messages are being moved to {}; millrace redrive --list {} shows "
                    "how far it is\n",
                    format_count(task->to_move), destination_text(*task), options.source));
  return kDone;
}

}  // namespace

void add_redrive_command(Parser& parser, Context& context) {
  auto options = std::make_shared<RedriveOptions>();
  parser
      .command("redrive", "move the messages of a dead-letter queue back to where they came from",
               [&context, options] { return redrive(context, *options); })
      .argument("DLQ", options->source, "")
      .option("--to", "QUEUE", options->to, "to this queue instead")
      .option("--rate", "N", options->rate, "so many messages a second [as fast as can be]",
              whole_between(1, kMoveRateMax))
      .flag("--detach", options->detach, "do not wait for the end")
      .flag("--list", options->list, "show the last ten tasks of this queue")
      .flag("--cancel", options->cancel, "end the one that runs; what was moved stays moved");
}

}  // namespace millrace::tools
