#include "base/turn_trace.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <span>
#include <utility>

#include "base/log_line.h"
#include "base/os_clock.h"

namespace millrace::base {
namespace {

constexpr int64_t kUsNs = 1'000;
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int kLinesPerSecondMax = 20;
constexpr int64_t kShareMin = 20;  // a step of less than a 20th of the turn is not worth a word

int64_t thread_cpu_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * kSecondNs + used.tv_nsec;
}

}  // namespace

constinit thread_local TurnTrace* turn_trace = nullptr;

TurnTrace::TurnTrace(std::string who, uint32_t longest_us)
    : who_(std::move(who)), longest_ns_(longest_us * kUsNs) {}

TurnTrace::~TurnTrace() {
  if (turn_trace == this) turn_trace = nullptr;
}

void TurnTrace::begin() {
  turn_trace = this;
  step_count_ = 0;
  begun_cpu_ns_ = thread_cpu_ns();
  begun_ns_ = last_ns_ = os_monotonic_ns();
}

void TurnTrace::step(const char* name) {
  if (begun_ns_ == 0) return;
  const int64_t now_ns = os_monotonic_ns();
  const int64_t took_ns = now_ns - std::exchange(last_ns_, now_ns);
  const auto end = steps_.begin() + static_cast<ptrdiff_t>(step_count_);
  auto step = std::find_if(steps_.begin(), end, [name](const Step& s) { return s.name == name; });
  if (step == end) {
    if (step_count_ == steps_.size()) {
      --step;
      step->name = "the rest";
    } else {
      *step = {name, 0};
      ++step_count_;
    }
  }
  step->ns += took_ns;
}

void TurnTrace::end() {
  if (begun_ns_ == 0) return;
  step("the rest");
  const int64_t took_ns = last_ns_ - begun_ns_;
  begun_ns_ = 0;
  if (took_ns < longest_ns_) return;
  if (last_ns_ - second_ns_ >= kSecondNs) {
    second_ns_ = last_ns_;
    lines_ = 0;
  }
  if (lines_ == kLinesPerSecondMax) {
    ++untold_;
    return;
  }
  ++lines_;
  tell(took_ns);
}

void TurnTrace::tell(int64_t took_ns) {
  const int64_t away_ns = std::max<int64_t>(0, took_ns - (thread_cpu_ns() - begun_cpu_ns_));
  const std::span<Step> steps(steps_.data(), step_count_);
  std::ranges::sort(steps, [](const Step& a, const Step& b) { return a.ns > b.ns; });
  std::string text;
  for (const Step& step : steps)
    if (step.ns * kShareMin >= took_ns)
      fmt::format_to(std::back_inserter(text), "{}{} {}", text.empty() ? "" : ", ", step.name,
                     step.ns / kUsNs);
  const std::string untold =
      untold_ == 0 ? "" : fmt::format("; {} more turns were as long", std::exchange(untold_, 0));
  log_line(LogLevel::warn, "trace", "{}: a turn took {} us, {} of them not on a core: {}{}", who_,
           took_ns / kUsNs, away_ns / kUsNs, text, untold);
}

}  // namespace millrace::base
