// What finding the subscriptions that want a message costs, by how many subscriptions a topic has.
//
// Two of them want the message, however many there are; `ratio` is a message's time against that of
// a topic that has these two only, both measured in the same run, in turns.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "engine/filter_matcher.h"
#include "engine/filter_policy_parser.h"
#include "millrace/properties.h"

namespace millrace::engine {
namespace {

struct Topics {
  const char* name;
  FilterScope scope;
  // The policy of subscription i. Those of 0 and 1 want the message.
  std::string (*policy)(uint32_t i);
};

// Five kinds of conditions beside one another.
std::string mixed_policy(uint32_t i) {
  switch (i % 5) {
    case 0:
      return fmt::format(R"({{"sku": [{{"prefix": "p{}-"}}]}})", i);
    case 1:
      return fmt::format(R"({{"price": [{{"numeric": [">=", {}, "<", {}]}}]}})", i * 10,
                         i * 10 + 10);
    case 2:
      return fmt::format(R"({{"sku": [{{"suffix": "-{}"}}]}})", i);
    case 3:
      return fmt::format(R"({{"source": [{{"cidr": "10.{}.0.0/16"}}]}})", i);
    default:
      return fmt::format(
          R"({{"store": ["s{}"], "event": [{{"anything-but": ["cancelled", "e{}"]}}]}})", i, i);
  }
}

const Topics kTopics[] = {
    {"one_key", FilterScope::attributes,
     [](uint32_t i) { return fmt::format(R"({{"store": ["s{}"]}})", i / 2); }},
    {"and_a_common_key", FilterScope::attributes,
     [](uint32_t i) {
       return fmt::format(R"({{"event": ["order_placed"], "store": ["s{}"],
                              "price": [{{"numeric": [">", 1]}}]}})",
                          i / 2);
     }},
    {"mixed", FilterScope::attributes, mixed_policy},
    {"or", FilterScope::attributes,
     [](uint32_t i) {
       return fmt::format(R"({{"event": ["order_placed", "order_changed"],
                              "$or": [{{"store": ["s{}"]}}, {{"sku": ["k{}"]}}]}})",
                          i / 2, i);
     }},
    {"body", FilterScope::body,
     [](uint32_t i) {
       return fmt::format(R"({{"order": {{"lines": {{"store": ["s{}"]}}, "paid": [true]}}}})",
                          i / 2);
     }},
    // The most that an index cannot spare: each policy has the message's event, and is refused only
    // by what is evaluated for it alone.
    {"all_nearly_met", FilterScope::attributes,
     [](uint32_t i) {
       return fmt::format(R"({{"event": ["order_placed", "e{}"],
                              "store": [{{"anything-but": ["{}", "x{}"]}}]}})",
                          i, i < 2 ? "none" : "s0", i);
     }},
};

std::string message_properties() {
  std::string properties;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view value) {
    append_property(properties, PropertyTag::attribute, name, type, as_bytes(value));
  };
  add("event", "String", "order_placed");
  add("store", "String", "s0");
  add("sku", "String", "p0-blue-17-x");
  add("price", "Number", "15.50");
  add("source", "String", "10.250.0.9");
  add("trace", "String", "1-67891233-abcdef012345678912345678");
  return properties;
}

constexpr std::string_view kBody =
    R"({"id": "0193a5", "at": 1735787045, "order": {"paid": true, "customer": {"name": "A. Name",)"
    R"( "street": "1 Street", "town": "Town"}, "lines": [{"sku": "p0-blue-17", "count": 2, "store")"
    R"(: "s9999"}, {"sku": "p1-red-3", "count": 1, "store": "s0"}], "total": 15.5}, "notes": []})";

class Topic {
 public:
  Topic(const Topics& kind, uint32_t subscriptions) : matcher_(json_) {
    for (uint32_t i = 0; i < subscriptions; ++i) {
      FilterRefusal refusal;
      auto policy =
          parse_filter_policy(kind.policy(i), kind.scope, FilterExtensions::refused, &refusal);
      if (!policy) std::abort();
      matcher_.add(SubscriptionId{i}, std::move(*policy));
    }
  }

  void subscribe(SubscriptionId id, FilterPolicy policy) { matcher_.add(id, std::move(policy)); }
  size_t match() {
    matcher_.match({as_bytes(properties_), kBody}, matches_);
    return matches_.size();
  }

 private:
  const std::string properties_ = message_properties();
  FilterJson json_;
  FilterMatcher matcher_;
  std::vector<SubscriptionId> matches_;
};

constexpr int kMessagesInTurn = 200;

double seconds_of(Topic& topic) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kMessagesInTurn; ++i)
    benchmark::DoNotOptimize(topic.match());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void match(benchmark::State& state) {
  const Topics& kind = kTopics[state.range(0)];
  Topic two(kind, 2);
  Topic topic(kind, static_cast<uint32_t>(state.range(1)));
  state.SetLabel(kind.name);
  if (two.match() != 2 || topic.match() != 2) return state.SkipWithError("not two");
  std::vector<double> ratios;
  for (auto _ : state) {
    const double base = seconds_of(two);
    const double seconds = seconds_of(topic);
    state.SetIterationTime(seconds);
    ratios.push_back(seconds / base);
  }
  std::nth_element(ratios.begin(), ratios.begin() + static_cast<ptrdiff_t>(ratios.size() / 2),
                   ratios.end());
  state.counters["ratio"] = ratios[ratios.size() / 2];
  state.counters["per_message"] = benchmark::Counter(
      kMessagesInTurn, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(match)
    ->ArgNames({"topic", "subscriptions"})
    ->ArgsProduct({benchmark::CreateDenseRange(0, std::size(kTopics) - 1, 1), {2, 200}})
    ->UseManualTime();

// The first message after a change of subscriptions makes the index.
void change(benchmark::State& state) {
  const Topics& kind = kTopics[state.range(0)];
  Topic topic(kind, 200);
  FilterRefusal refusal;
  const auto policy =
      parse_filter_policy(kind.policy(7), kind.scope, FilterExtensions::refused, &refusal);
  state.SetLabel(kind.name);
  for (auto _ : state) {
    topic.subscribe(SubscriptionId{7}, *policy);
    benchmark::DoNotOptimize(topic.match());
  }
}
BENCHMARK(change)->ArgName("topic")->DenseRange(0, std::size(kTopics) - 1);

}  // namespace
}  // namespace millrace::engine
