#include "net/metrics/exposition.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace millrace::net {
namespace {

constexpr std::array<std::string_view, 3> kKinds{"gauge", "counter", "histogram"};

void end_label(std::string& to, const Label& label) {
  if (!label.name.empty()) to += "\"}";
  to += ' ';
}

void add(std::string& to, uint64_t value) {
  const fmt::format_int text(value);
  to.append(text.data(), text.size());
  to += '\n';
}

// The shortest text that reads as the same number.
void add(std::string& to, double value) {
  fmt::format_to(std::back_inserter(to), "{}\n", value);
}

}  // namespace

// The name and the label, but for its end.
std::string& Exposition::begin(size_t family, std::string_view suffix, const Label& label) {
  MR_ASSERT(family < families_.size());
  std::string& block = blocks_[family];
  const MetricFamily& about = families_[family];
  if (block.empty())
    fmt::format_to(std::back_inserter(block), "# HELP {0} {1}\n# TYPE {0} {2}\n", about.name,
                   about.help, kKinds[static_cast<size_t>(about.kind)]);
  block.append(about.name).append(suffix);
  if (!label.name.empty()) block.append("{").append(label.name).append("=\"").append(label.value);
  return block;
}

void Exposition::sample(size_t family, const Label& label, uint64_t value) {
  std::string& block = begin(family, {}, label);
  end_label(block, label);
  add(block, value);
}

void Exposition::sample(size_t family, const Label& label, double value) {
  std::string& block = begin(family, {}, label);
  end_label(block, label);
  add(block, value);
}

void Exposition::sample(size_t family, const Label& label, const Label& second, uint64_t value) {
  std::string& block = begin(family, {}, label);
  block.append("\",").append(second.name).append("=\"").append(second.value);
  end_label(block, second);
  add(block, value);
}

void Exposition::histogram(size_t family, const Label& label,
                           std::span<const std::string_view> bounds,
                           std::span<const uint64_t> up_to, uint64_t count, double sum) {
  // The same for all buckets: of 1,000 queues those are 30,000 lines.
  std::string& block = begin(family, "_bucket", label);
  const size_t line = block.rfind('\n') + 1;
  block.append(label.name.empty() ? "{le=\"" : "\",le=\"");
  const std::string prefix = block.substr(line);
  block.resize(line);
  for (size_t i = 0; i <= bounds.size(); ++i) {
    block.append(prefix).append(i < bounds.size() ? bounds[i] : "+Inf").append("\"} ");
    add(block, i < bounds.size() ? up_to[i] : count);
  }
  std::string& sums = begin(family, "_sum", label);
  end_label(sums, label);
  add(sums, sum);
  std::string& counts = begin(family, "_count", label);
  end_label(counts, label);
  add(counts, count);
}

std::string Exposition::take() {
  size_t bytes = 0;
  for (const std::string& block : blocks_)
    bytes += block.size();
  std::string text;
  text.reserve(bytes);
  for (std::string& block : blocks_)
    text += std::exchange(block, {});
  return text;
}

}  // namespace millrace::net
