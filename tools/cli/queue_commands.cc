// millrace queue create | list | show | set | purge | delete
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/bounded_json.h"
#include "engine/queue_attributes.h"
#include "millrace/options.h"
#include "tools/cli/command.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::QueueDescription;

// Adds ATTRIBUTE=VALUE; what is wrong with it, as far as can be said without the broker.
std::string add_setting(const std::string& setting, QueueSettings& settings) {
  NamedText named;
  if (!split_named(setting, named)) return fmt::format("'{}' is not ATTRIBUTE=VALUE", setting);
  const engine::AttributeRow* row = engine::find_attribute(named.name);
  if (row == nullptr) {
    std::vector<std::string_view> known;
    for (const engine::AttributeRow& each : engine::attribute_table())
      known.push_back(each.name);
    return fmt::format("'{}': no such attribute; there are {}", setting, fmt::join(known, ", "));
  }
  // Sizes may have a unit here.
  if (const auto size = parse_size(named.value); size && row->form.ends_with("bytes"))
    named.value = std::to_string(*size);
  QueueAttributes scratch;
  if (const std::string wrong = row->read(named.value, &scratch); !wrong.empty())
    return fmt::format("'{}': {}", setting, wrong);
  settings.attributes.push_back(std::move(named));
  return {};
}

struct Settings {
  std::vector<std::string> attributes;
  std::vector<std::string> tags;
  std::vector<std::string> untagged;
  bool fifo = false;
  std::string dead_letter_queue;
  std::string receives_max;
};

// The texts of the options as settings; what is wrong with them.
std::string read_settings(const Settings& given, QueueSettings& settings) {
  for (const std::string& attribute : given.attributes)
    if (std::string wrong = add_setting(attribute, settings); !wrong.empty()) return wrong;
  if (given.fifo) settings.attributes.push_back({"FifoQueue", "true"});
  if (given.dead_letter_queue.empty() != given.receives_max.empty())
    return "--dlq and --max-receives belong together";
  if (!given.dead_letter_queue.empty()) {
    const Json policy{{"deadLetterTargetArn", given.dead_letter_queue},
                      {"maxReceiveCount", parse_whole(given.receives_max).value_or(0)}};
    settings.attributes.push_back({"RedrivePolicy", policy.dump()});
  }
  for (const std::string& tag : given.tags) {
    settings.tags.emplace_back();
    if (!split_named(tag, settings.tags.back()))
      return fmt::format("--tag: '{}' is not KEY=VALUE", tag);
  }
  settings.untagged = given.untagged;
  return {};
}

int64_t oldest_age_ms(const QueueDescription& queue) {
  if (queue.counters.oldest_sent_at_ms == 0) return 0;
  return std::max<int64_t>(0, wall_clock_ms() - queue.counters.oldest_sent_at_ms);
}

// Numbers, yes or no and policies as what they are.
Json to_json(const std::string& value) {
  Json parsed = base::parse_bounded_json<Json>(value);
  return parsed.is_discarded() ? Json(value) : parsed;
}

Json to_json(const DurationHistogram& times) {
  return {{"count", times.count()},
          {"sum", times.sum_ms},
          {"p50_at_most", times.percentile_ms(50)},
          {"p90_at_most", times.percentile_ms(90)},
          {"p99_at_most", times.percentile_ms(99)}};
}

Json to_json(const QueueDescription& queue) {
  Json json{{"name", queue.name}, {"id", raw(queue.id)}};
  if (!queue.attributes.empty()) {
    for (const NamedText& attribute : queue.attributes)
      json["attributes"][attribute.name] = to_json(attribute.value);
    json["tags"] = Json::object();
    for (const NamedText& tag : queue.tags)
      json["tags"][tag.name] = tag.value;
    json["modified_at_ms"] = queue.modified_at_ms;
  }
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
  json["redelivered"] = counters.redelivered;
  json["dead_lettered"] = counters.dead_lettered;
  json["aged_out"] = counters.aged_out;
  if (counters.times != nullptr) {
    json["wait_ms"] = to_json(counters.times->wait);
    json["lease_ms"] = to_json(counters.times->lease);
  }
  return json;
}

// With its unit, for people.
std::string attribute_text(const NamedText& attribute) {
  const engine::AttributeRow* row = engine::find_attribute(attribute.name);
  if (row != nullptr && row->form.ends_with("seconds")) return attribute.value + " s";
  if (row != nullptr && row->form.ends_with("bytes"))
    return format_size(parse_whole(attribute.value).value_or(0));
  if (attribute.name == "Durability" && attribute.value == "none") return "none (the server's)";
  return printable(attribute.value);
}

// Counters and all of one queue; false after the line on standard error.
bool stats_of(Context& context, const std::string& name, QueueDescription& info) {
  QueueId queue{};
  if (!context.resolve(name, queue)) return false;
  const QueueId wanted[] = {queue};
  auto found = context.connect()->queue_stats(wanted, true);
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

int create(Context& context, const std::string& name, const Settings& given) {
  QueueSettings settings;
  if (const std::string wrong = read_settings(given, settings); !wrong.empty())
    return misuse(wrong);
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const Result<QueueId> queue = broker->create_queue(name, settings);
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
    for (const QueueDescription& queue : *counted) {
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

// Bounds, since the buckets are wide.
std::string times_text(const DurationHistogram& times) {
  if (times.count() == 0) return "no message yet";
  const auto at_most = [&](uint32_t percent) {
    return format_age(static_cast<int64_t>(times.percentile_ms(percent)));
  };
  return fmt::format("half at most {}, 90 % {}, 99 % {}", at_most(50), at_most(90), at_most(99));
}

int show(Context& context, const std::string& name) {
  QueueDescription queue;
  if (!stats_of(context, name, queue)) return kRefused;
  if (context.json) {
    print_json(to_json(queue));
    return kDone;
  }
  Table table({"", ""});
  table.add({"name", queue.name});
  for (const NamedText& attribute : queue.attributes)
    table.add({attribute.name, attribute_text(attribute)});
  for (const NamedText& tag : queue.tags)
    table.add({"tag " + tag.name, tag.value});
  const QueueCounters& counters = queue.counters;
  table.add({"created", format_age(wall_clock_ms() - queue.created_at_ms) + " ago"});
  if (queue.modified_at_ms != queue.created_at_ms)
    table.add({"changed", format_age(wall_clock_ms() - queue.modified_at_ms) + " ago"});
  table.add({"ready", format_count(counters.ready)});
  table.add({"leased", format_count(counters.leased)});
  table.add({"delayed", format_count(counters.delayed)});
  table.add({"size", format_size(counters.bytes)});
  table.add({"oldest", format_age(oldest_age_ms(queue))});
  table.add({"since start",
             fmt::format("{} sent, {} received, {} of them again, {} acknowledged, {} leases "
                         "ended, {} receives found nothing",
                         format_count(counters.sent), format_count(counters.received),
                         format_count(counters.redelivered), format_count(counters.acked),
                         format_count(counters.expired), format_count(counters.empty_receives))});
  table.add(
      {"", fmt::format("{} dead-lettered, {} older than it keeps messages",
                       format_count(counters.dead_lettered), format_count(counters.aged_out))});
  if (counters.times != nullptr) {
    table.add({"waited", times_text(counters.times->wait)});
    table.add({"leased for", times_text(counters.times->lease)});
  }
  print_text(table.text(false));
  return kDone;
}

int set(Context& context, const std::string& name, const Settings& given) {
  QueueSettings settings;
  if (const std::string wrong = read_settings(given, settings); !wrong.empty())
    return misuse(wrong);
  if (settings.attributes.empty() && settings.tags.empty() && settings.untagged.empty())
    return misuse("give ATTRIBUTE=VALUE, --tag or --untag");
  QueueId queue{};
  if (!context.resolve(name, queue)) return kRefused;
  if (!context.connect()->set_queue(queue, settings))
    return context.refused("queue '" + name + "'");
  if (context.json)
    print_json({{"name", name}, {"id", raw(queue)}});
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
  auto given = std::make_shared<Settings>();
  std::string known;
  for (const engine::AttributeRow& row : engine::attribute_table())
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", row.name, row.form);
  const auto receives = whole_between(1, 1000);
  parser
      .command(
          "queue create", "make a queue, or make sure of it",
          [&context, name, given] { return create(context, *name, *given); },
          "create, list, show, set, purge, delete")
      .argument("NAME", *name, "1 to 80 of A-Z a-z 0-9 - _; of a FIFO queue it ends in .fifo")
      .flag("--fifo", given->fifo, "a FIFO queue: in order within a message group, no duplicates")
      .option("--dlq", "NAME", given->dead_letter_queue, "its dead-letter queue")
      .option("--max-receives", "N", given->receives_max, "a message goes there after N receives",
              receives)
      .repeated("--tag", "KEY=VALUE", given->tags, "up to 50")
      .repeated("--set", "ATTRIBUTE=VALUE", given->attributes, known);
  parser
      .command("queue list", "the queues, by name, and what is in them",
               [&context, prefix] { return list(context, prefix->value_or("")); })
      .optional_argument("PREFIX", *prefix, "only names that start so");
  parser
      .command("queue show", "attributes and counters of a queue",
               [&context, name] { return show(context, *name); })
      .argument("NAME", *name, "");
  parser
      .command("queue set", "change attributes and tags of a queue; the others stay",
               [&context, name, given] { return set(context, *name, *given); })
      .argument("NAME", *name, "")
      .option("--dlq", "NAME", given->dead_letter_queue, "its dead-letter queue")
      .option("--max-receives", "N", given->receives_max, "a message goes there after N receives",
              receives)
      .repeated("--tag", "KEY=VALUE", given->tags, "put, in place of one with the same key")
      .repeated("--untag", "KEY", given->untagged, "taken away")
      .optional_arguments("ATTRIBUTE=VALUE", given->attributes, known.c_str());
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
