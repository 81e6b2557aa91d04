// millrace top: the queues as a live table: what is in them, how fast it moves, how old the oldest
// message is. `--once` prints one table and ends.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

#include "base/os_clock.h"
#include "millrace/engine.h"
#include "tools/cli/command.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

volatile std::sig_atomic_t g_ended = 0;

void end_top(int) {
  g_ended = 1;
}

// The terminal as top needs it: another screen, no cursor, keys as they are typed; put back by the
// destructor.
class Screen {
 public:
  Screen() {
    has_keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (has_keys_) {
      termios raw_keys = before_;
      raw_keys.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw_keys);
    }
    print_text("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    print_text("\x1b[?25h\x1b[?1049l");
    std::fflush(stdout);
    if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // One frame, drawn over the last one without clearing first: no flicker.
  void draw(const std::vector<std::string>& lines) const {
    std::string frame = "\x1b[H";
    for (size_t i = 0; i < std::min(lines.size(), rows()); ++i)
      frame += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
    frame += "\x1b[J";
    print_text(frame);
    std::fflush(stdout);
  }
  // Waits; true if q was typed or a signal came.
  bool quit_asked(int timeout_ms) const {
    pollfd key{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&key, has_keys_ ? 1 : 0, timeout_ms);
    char typed = 0;
    if (ready == 1 && ::read(STDIN_FILENO, &typed, 1) == 1 && (typed == 'q' || typed == 'Q'))
      return true;
    return g_ended != 0;
  }
  static size_t rows() { return size().ws_row > 0 ? size().ws_row : 24; }
  static size_t columns() { return size().ws_col > 0 ? size().ws_col : 80; }

 private:
  static winsize size() {
    winsize found{};
    ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found);
    return found;
  }
  termios before_{};
  bool has_keys_ = false;
};

struct Rates {
  double sent = 0;
  double received = 0;
  double acked = 0;
  double expired = 0;
};

// What is known of one queue over time.
struct Row {
  client::QueueDescription now;
  Rates rates;
  std::deque<double> history;  // of the rate of everything that happens to it
};

constexpr size_t kHistory = 16;

// Bars of one character each, scaled to the highest.
std::string sparkline(const std::deque<double>& values) {
  constexpr const char* kBars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double highest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  std::string bars;
  for (size_t i = values.size(); i < kHistory; ++i)
    bars += ' ';
  for (const double value : values) {
    const double level = highest > 0 ? std::ceil(value / highest * 8) : 0;
    bars += kBars[static_cast<size_t>(std::clamp(level, 0.0, 8.0))];
  }
  return bars;
}

class Top {
 public:
  Top(Context& context, bool once, uint32_t interval_ms)
      : context_(context),
        once_(once),
        interval_ms_(static_cast<int>(std::max(interval_ms, 100u))),
        terminal_(::isatty(STDOUT_FILENO) == 1) {
    const char* no_color = std::getenv("NO_COLOR");
    colour_ = terminal_ && (no_color == nullptr || no_color[0] == '\0');
  }

  int run() {
    if (context_.connect() == nullptr) return kRefused;
    if (once_ || context_.json || !terminal_) return run_plain();
    struct sigaction action {};
    action.sa_handler = end_top;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    int exit_code = kDone;
    std::string failure;
    {
      const Screen screen;
      while (g_ended == 0) {
        if (!refresh(failure)) {
          exit_code = kRefused;
          break;
        }
        screen.draw(lines(Screen::columns(), Screen::rows()));
        if (screen.quit_asked(interval_ms_)) break;
      }
    }
    // The line must not be lost with the other screen.
    return exit_code == kDone ? kDone : refuse(failure);
  }

 private:
  // Rates need two looks; a first table after a short one is better than none.
  int run_plain() {
    constexpr useconds_t kFirstLookUs = 200'000;
    std::string failure;
    for (bool first = true;; first = false) {
      if (!refresh(failure)) return refuse(failure);
      if (first) {
        ::usleep(once_ ? kFirstLookUs : static_cast<useconds_t>(interval_ms_) * 1000);
        continue;
      }
      if (context_.json) {
        print_rows_as_json();
      } else {
        for (const std::string& line : lines(SIZE_MAX, SIZE_MAX))
          print_text(line + "\n");
      }
      if (once_) return kDone;
      if (std::fflush(stdout) != 0) return kRefused;
      ::usleep(static_cast<useconds_t>(interval_ms_) * 1000);
    }
  }

  bool refresh(std::string& failure) {
    client::BlockingClient* broker = context_.connect();
    auto queues = broker->queue_stats({});
    auto shards = queues ? broker->server_stats() : fail(queues.error());
    if (!shards) {
      failure = std::string(broker->error_text());
      return false;
    }
    const int64_t now_ns = base::os_monotonic_ns();
    const double elapsed_s = last_ns_ == 0 ? 0 : static_cast<double>(now_ns - last_ns_) / 1e9;
    last_ns_ = now_ns;
    std::map<std::string, Row> rows;
    for (client::QueueDescription& queue : *queues) {
      Row row;
      const auto before = rows_.find(queue.name);
      if (before != rows_.end() && before->second.now.id == queue.id) {
        row.history = before->second.history;
        row.rates = rates_between(before->second.now.counters, queue.counters, elapsed_s);
        row.history.push_back(row.rates.sent + row.rates.received + row.rates.acked);
        if (row.history.size() > kHistory) row.history.pop_front();
      }
      std::string name = queue.name;
      row.now = std::move(queue);
      rows.emplace(std::move(name), std::move(row));
    }
    rows_ = std::move(rows);
    written_rate_ = 0;
    uint64_t written = 0;
    for (const wire::ShardItem& shard : *shards)
      written += shard.bytes_written;
    if (elapsed_s > 0 && written >= written_)
      written_rate_ = static_cast<double>(written - written_) / elapsed_s;
    written_ = written;
    shards_ = std::move(*shards);
    return true;
  }

  static Rates rates_between(const QueueCounters& before, const QueueCounters& now,
                             double elapsed_s) {
    // A broker that was restarted counts from zero.
    const auto rate = [elapsed_s](uint64_t old_count, uint64_t new_count) {
      if (elapsed_s <= 0 || new_count < old_count) return 0.0;
      return static_cast<double>(new_count - old_count) / elapsed_s;
    };
    return {rate(before.sent, now.sent), rate(before.received, now.received),
            rate(before.acked, now.acked), rate(before.expired, now.expired)};
  }

  // The busiest first; names decide between equals.
  std::vector<const Row*> ordered() const {
    std::vector<const Row*> order;
    for (const auto& [name, row] : rows_)
      order.push_back(&row);
    std::stable_sort(order.begin(), order.end(), [](const Row* a, const Row* b) {
      return a->rates.sent + a->rates.received > b->rates.sent + b->rates.received;
    });
    return order;
  }

  static int64_t age_of(const client::QueueDescription& queue) {
    if (queue.counters.oldest_sent_at_ms == 0) return 0;
    return std::max<int64_t>(0, wall_clock_ms() - queue.counters.oldest_sent_at_ms);
  }

  std::string paint(const char* code, const std::string& text) const {
    return colour_ ? "\x1b[" + std::string(code) + "m" + text + "\x1b[0m" : text;
  }

  std::string heading() const {
    uint64_t disk = 0;
    uint64_t live = 0;
    uint64_t syncs = 0;
    std::string trouble;
    for (const wire::ShardItem& shard : shards_) {
      disk += shard.disk_bytes;
      live += shard.live_bytes;
      syncs += shard.syncs;
      if (shard.fenced != 0) trouble = "  A SHARD IS FENCED";
      if (shard.disk_full != 0 && trouble.empty()) trouble = "  DISK FULL";
    }
    std::string text = fmt::format(
        "{}   {} {}, {}   disk {}, live {}, writing {}/s, {} syncs",
        paint("1", "millrace " + context_.server), shards_.size(),
        shards_.size() == 1 ? "shard" : "shards",
        durability_name(static_cast<Durability>(context_.connect()->async().welcome().durability)),
        format_size(disk), format_size(live), format_size(static_cast<uint64_t>(written_rate_)),
        format_count(syncs));
    return trouble.empty() ? text : text + paint("1;31", trouble);
  }

  std::vector<std::string> lines(size_t columns, size_t rows) const {
    std::vector<std::string> result{heading(), ""};
    Table table({"QUEUE", "READY", "LEASED", "DELAYED", "SENT/S", "RECV/S", "ACK/S", "EXPIRED/S",
                 "OLDEST", "ACTIVITY"},
                {false, true, true, true, true, true, true, true, true, false});
    const std::vector<const Row*> order = ordered();
    for (const Row* row : order) {
      const QueueCounters& counters = row->now.counters;
      table.add({row->now.name, format_count(counters.ready), format_count(counters.leased),
                 format_count(counters.delayed), format_rate(row->rates.sent),
                 format_rate(row->rates.received), format_rate(row->rates.acked),
                 format_rate(row->rates.expired), format_age(age_of(row->now)),
                 terminal_ && !once_ ? sparkline(row->history) : ""});
    }
    const std::string text = table.text();
    bool first = true;
    size_t shown = 0;
    for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      std::string line = text.substr(begin, end - begin);
      while (line.ends_with(' '))
        line.pop_back();
      line = cut(line, columns);
      if (first) {
        result.push_back(paint("7", line));
      } else {
        const bool busy = order[shown]->rates.sent + order[shown]->rates.received > 0;
        const bool empty = order[shown]->now.counters.oldest_sent_at_ms == 0;
        result.push_back(busy ? paint("1", line) : empty ? paint("2", line) : line);
        ++shown;
      }
      first = false;
      if (result.size() + 2 >= rows) break;
    }
    if (order.empty()) result.push_back("no queues yet: millrace queue create NAME");
    if (shown < order.size()) result.push_back(fmt::format("... {} more", order.size() - shown));
    if (terminal_ && !once_) result.push_back(paint("2", "q quits"));
    return result;
  }

  // The first `columns` characters.
  static std::string cut(const std::string& line, size_t columns) {
    size_t bytes = 0;
    for (size_t width = 0; bytes < line.size(); ++bytes) {
      const bool starts = (static_cast<unsigned char>(line[bytes]) & 0xC0) != 0x80;
      if (starts && width++ == columns) break;
    }
    return line.substr(0, bytes);
  }

  void print_rows_as_json() const {
    for (const Row* row : ordered()) {
      const QueueCounters& counters = row->now.counters;
      print_json({{"name", row->now.name},
                  {"ready", counters.ready},
                  {"leased", counters.leased},
                  {"delayed", counters.delayed},
                  {"bytes", counters.bytes},
                  {"sent_per_s", std::round(row->rates.sent)},
                  {"received_per_s", std::round(row->rates.received)},
                  {"acked_per_s", std::round(row->rates.acked)},
                  {"expired_per_s", std::round(row->rates.expired)},
                  {"oldest_age_ms", age_of(row->now)}});
    }
  }

  Context& context_;
  bool once_;
  int interval_ms_;
  bool terminal_;
  bool colour_ = false;
  int64_t last_ns_ = 0;
  std::map<std::string, Row> rows_;
  std::vector<wire::ShardItem> shards_;
  uint64_t written_ = 0;
  double written_rate_ = 0;
};

}  // namespace

void add_top_command(Parser& parser, Context& context) {
  auto once = std::make_shared<bool>(false);
  auto interval = std::make_shared<std::string>("1");
  parser
      .command("top", "live table of the queues (q quits)",
               [&context, once, interval] {
                 return Top(context, *once, seconds_to_ms(*interval)).run();
               })
      .flag("--once", *once, "print one table and end")
      .option("--interval", "S", *interval, "seconds between two looks [1]",
              seconds_up_to(3'600'000));
}

}  // namespace millrace::tools
