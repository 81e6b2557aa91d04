#include "tools/bench/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

using Json = nlohmann::ordered_json;

double us(uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

double rate_of(const Report& report) {
  return static_cast<double>(report.result.messages) / report.result.seconds;
}

double mb_per_s(const Report& report) {
  return rate_of(report) * report.options.size / 1e6;
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string durability_text(const Report& report) {
  return report.durability ? std::string(durability_name(*report.durability)) : "not told";
}

// Everything that was asked for, so that a run can be repeated.
Json config_of(const Report& report) {
  const BenchOptions& o = report.options;
  Json config{{"workload", workload_name(o.workload)},
              {"server", o.embedded ? Json(nullptr) : Json(o.server)},
              {"embedded", o.embedded},
              {"http", o.http},
              {"sign", o.sign},
              {"queue", o.queue.empty() ? Json(nullptr) : Json(o.queue)},
              {"messages", o.messages == 0 ? Json(nullptr) : Json(o.messages)},
              {"seconds",
               o.duration_ms == 0 ? Json(nullptr) : Json(static_cast<double>(o.duration_ms) / 1e3)},
              {"size", o.size},
              {"batch", o.batch},
              {"connections", o.connections},
              {"inflight", o.inflight},
              {"rate", o.rate == 0 ? Json(nullptr) : Json(o.rate)},
              {"fifo", o.fifo},
              {"queues", o.queues},
              {"groups", o.groups == 0 ? Json(nullptr) : Json(o.groups)},
              {"dedup", !o.fifo ? Json(nullptr) : Json(o.by_content ? "content" : "ids")},
              {"set", o.attributes},
              {"spin", o.spin},
              {"pin", o.pin},
              {"server_pid", o.server_pid == 0 ? Json(nullptr) : Json(o.server_pid)},
              {"json", o.json.empty() ? Json(nullptr) : Json(o.json)},
              {"plot", o.plot.empty() ? Json(nullptr) : Json(o.plot)}};
  if (o.embedded) {
    config["shards"] = o.shards;
    config["data"] = o.data.empty() ? Json(nullptr) : Json(o.data);
    config["durability"] = durability_name(o.durability);
  }
  return config;
}

std::string count_or_dash(const std::optional<uint64_t>& count) {
  return count ? format_count(*count) : "not checked";
}

}  // namespace

std::string report_json(const Report& report) {
  const LoadResult& result = report.result;
  const Histogram& latency = result.latency_ns;
  const auto round3 = [](double value) { return std::round(value * 1000) / 1000; };
  Json json{{"workload", workload_name(report.options.workload)},
            {"transport", report.transport},
            {"durability", durability_text(report)},
            {"messages", result.messages},
            {"seconds", round3(result.seconds)},
            {"msgs_per_s", std::round(rate_of(report))},
            {"mb_per_s", round3(mb_per_s(report))},
            {"p50_us", us(latency.percentile(50))},
            {"p90_us", us(latency.percentile(90))},
            {"p99_us", us(latency.percentile(99))},
            {"p999_us", us(latency.percentile(99.9))},
            {"max_us", us(latency.max())},
            {"lost", or_null(result.lost)},
            {"duplicates", or_null(result.duplicates)},
            {"out_of_order", or_null(result.out_of_order)},
            {"server_cpu_s", report.server ? Json(round3(report.server->cpu_s)) : Json(nullptr)},
            {"server_rss_kb", report.server ? Json(report.server->rss_kb) : Json(nullptr)},
            {"server_anon_kb", report.server ? Json(report.server->anon_kb) : Json(nullptr)},
            {"config", config_of(report)}};
  return json.dump();
}

std::string report_text(const Report& report) {
  const BenchOptions& o = report.options;
  const LoadResult& result = report.result;
  const Histogram& latency = result.latency_ns;
  std::string limit = o.messages > 0 ? fmt::format("--messages {}", o.messages) : "";
  if (o.duration_ms > 0)
    limit += fmt::format("{}--seconds {}", limit.empty() ? "" : " ", format_seconds(o.duration_ms));
  std::string groups = o.fifo ? " --fifo" : "";
  if (o.queues > 1) groups += fmt::format(" --queues {}", o.queues);
  if (o.groups > 0) groups += fmt::format(" --groups {}", o.groups);
  if (o.sign) groups += " --sign";
  if (o.by_content) groups += " --dedup content";
  for (const std::string& attribute : o.attributes)
    groups += " --set " + attribute;
  std::string text = fmt::format(
      "{} over {}, durability {}\n"
      "  --size {} --batch {} --connections {} --inflight {} {}{}{}{}\n\n",
      workload_name(o.workload), report.transport, durability_text(report), o.size, o.batch,
      o.connections, o.inflight, limit, o.rate > 0 ? fmt::format(" --rate {:.0f}", o.rate) : "",
      o.spin ? " --spin" : "", groups);
  text += fmt::format("  {:<14}{} in {:.3f} s\n", "messages", format_count(result.messages),
                      result.seconds);
  text += fmt::format("  {:<14}{} msg/s, {:.1f} MB/s\n", "rate",
                      format_count(static_cast<uint64_t>(rate_of(report))), mb_per_s(report));
  text += fmt::format("  {:<14}p50 {:.1f}  p90 {:.1f}  p99 {:.1f}  p99.9 {:.1f}  max {:.1f}\n",
                      "latency (us)", us(latency.percentile(50)), us(latency.percentile(90)),
                      us(latency.percentile(99)), us(latency.percentile(99.9)), us(latency.max()));
  text += fmt::format("  {:<14}lost {}, duplicates {}, out of order {}\n", "checked",
                      count_or_dash(result.lost), count_or_dash(result.duplicates),
                      count_or_dash(result.out_of_order));
  if (report.server)
    text += fmt::format("  {:<14}{:.2f} s of CPU ({:.0f} %), {} resident, {} of it anonymous\n",
                        "server", report.server->cpu_s, report.server->cpu_s / result.seconds * 100,
                        format_size(report.server->rss_kb * 1024),
                        format_size(report.server->anon_kb * 1024));
  return text;
}

// --- the picture ---

namespace {

constexpr double kWidth = 820;
constexpr double kPanelHeight = 200;
constexpr double kLeft = 80;
constexpr double kPlotWidth = kWidth - kLeft - 20;

struct Panel {
  double top;
  std::string title;
  std::string unit;
};

std::string frame_of(const Panel& panel, double highest) {
  std::string svg = fmt::format(
      "<text x='{}' y='{}' font-weight='bold'>{}</text>\n"
      "<rect x='{}' y='{}' width='{}' height='{}' fill='none' stroke='#999'/>\n",
      kLeft, panel.top - 10, panel.title, kLeft, panel.top, kPlotWidth, kPanelHeight);
  for (int quarter = 0; quarter <= 4; ++quarter) {
    const double y = panel.top + kPanelHeight * (1 - quarter / 4.0);
    svg += fmt::format(
        "<text x='{}' y='{}' text-anchor='end'>{}{}</text>"
        "<line x1='{}' x2='{}' y1='{}' y2='{}' stroke='#ddd'/>\n",
        kLeft - 6, y + 4, format_rate(highest * quarter / 4), panel.unit, kLeft, kLeft + kPlotWidth,
        y, y);
  }
  return svg;
}

std::string line_of(const Panel& panel, const std::vector<std::pair<double, double>>& points,
                    double highest) {
  std::string svg = "<polyline fill='none' stroke='#1565c0' stroke-width='1.5' points='";
  for (const auto& [x, y] : points)
    svg += fmt::format("{:.1f},{:.1f} ", kLeft + x * kPlotWidth,
                       panel.top + kPanelHeight * (1 - (highest > 0 ? y / highest : 0)));
  return svg + "'/>\n";
}

}  // namespace

std::string report_svg(const Report& report) {
  const LoadResult& result = report.result;
  const Panel rates{70, "messages a second, over the run", ""};
  const Panel latencies{340, "latency in us, by percentile", ""};
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='600' font-family='sans-serif' "
      "font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='{}' y='24' font-size='14'>{} over {}, durability {}: {} msg/s</text>\n",
      kWidth, kLeft, workload_name(report.options.workload), report.transport,
      durability_text(report), format_count(static_cast<uint64_t>(rate_of(report))));

  std::vector<std::pair<double, double>> points;
  double highest = 1;
  for (size_t i = 0; i < result.rates.size(); ++i) {
    points.emplace_back(static_cast<double>(i + 1) / static_cast<double>(result.rates.size()),
                        result.rates[i]);
    highest = std::max(highest, result.rates[i]);
  }
  svg += frame_of(rates, highest) + line_of(rates, points, highest);

  // Equal steps for 90, 99, 99.9, 99.99 %: the tail is what a plot of percentiles is for.
  constexpr double kNines = 4;
  points.clear();
  for (int step = 0; step <= 80; ++step) {
    const double nines = kNines * step / 80;
    const double percent = 100 * (1 - std::pow(10, -nines));
    points.emplace_back(nines / kNines, us(result.latency_ns.percentile(percent)));
  }
  highest = std::max(1.0, points.back().second);
  svg += frame_of(latencies, highest) + line_of(latencies, points, highest);
  constexpr const char* kLabels[] = {"0", "90 %", "99 %", "99.9 %", "99.99 %"};
  for (size_t i = 0; i < std::size(kLabels); ++i)
    svg += fmt::format("<text x='{:.0f}' y='{}' text-anchor='middle'>{}</text>\n",
                       kLeft + kPlotWidth * static_cast<double>(i) / kNines,
                       latencies.top + kPanelHeight + 18, kLabels[i]);
  return svg + "</svg>\n";
}

}  // namespace millrace::tools
