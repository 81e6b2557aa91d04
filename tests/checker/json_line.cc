#include "tests/checker/json_line.h"

#include <charconv>
#include <simdjson.h>

#include <fmt/format.h>

namespace millrace::checker {
namespace {

using simdjson::dom::element;

// Everything in a number stays below this, so that sums of times cannot overflow.
constexpr int64_t kTimeMax = int64_t{1} << 61;
constexpr int64_t kMillisecondsMax = int64_t{30} * 86'400'000;  // fits 32 bits, see records.h

bool parse_whole(std::string_view text, auto& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// The words of promises.md (sync, interval, async) and those of the server's option.
bool parse_durability(std::string_view text, Durability& durability) {
  if (text == "sync" || text == "commit") {
    durability.level = Durability::Level::commit;
    return true;
  }
  if (text == "async" || text == "none") {
    durability.level = Durability::Level::none;
    return true;
  }
  constexpr std::string_view kInterval = "interval=";
  if (!text.starts_with(kInterval)) return false;
  durability.level = Durability::Level::interval;
  return parse_whole(text.substr(kInterval.size()), durability.interval_ms);
}

bool parse_place(std::string_view text, std::optional<LogPlace>& out) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  LogPlace place;
  if (!parse_whole(text.substr(0, colon), place.shard)) return false;
  if (!parse_whole(text.substr(colon + 1), place.position)) return false;
  out = place;
  return true;
}

template <typename Enum, size_t kNames>
bool parse_name(std::string_view text, const std::array<std::string_view, kNames>& names,
                Enum& out) {
  for (size_t at = 0; at < kNames; ++at) {
    if (names[at] == text) {
      out = static_cast<Enum>(at);
      return true;
    }
  }
  return false;
}

bool take_text(element field, std::string_view& out) {
  return field.get_string().get(out) == simdjson::SUCCESS;
}

bool take_count(element field, std::optional<uint64_t>& out) {
  uint64_t number = 0;
  if (field.get_uint64().get(number) != simdjson::SUCCESS) return false;
  out = number;
  return true;
}

bool take_milliseconds(element field, std::optional<int64_t>& out) {
  int64_t number = 0;
  if (field.get_int64().get(number) != simdjson::SUCCESS) return false;
  if (number < 0 || number > kMillisecondsMax) return false;
  out = number;
  return true;
}

enum Mandatory : unsigned { kT = 1, kP = 2, kI = 4, kEv = 8, kOp = 16, kAllMandatory = 31 };

enum class Taken : uint8_t { yes, unknown, bad };

Taken take_short(char letter, element field, Event& event, unsigned& seen) {
  const auto taken = [](bool good) { return good ? Taken::yes : Taken::bad; };
  switch (letter) {
    case 't':
      seen |= kT;
      return taken(field.get_int64().get(event.t) == simdjson::SUCCESS && event.t >= 0 &&
                   event.t <= kTimeMax);
    case 'p':
      seen |= kP;
      return taken(take_text(field, event.client) && !event.client.empty());
    case 'i':
      seen |= kI;
      return taken(field.get_uint64().get(event.number) == simdjson::SUCCESS);
    case 'q':
      return taken(take_text(field, event.queue));
    case 'k':
      return taken(take_text(field, event.key));
    case 'h':
      return taken(take_text(field, event.hash));
    case 'g':
      return taken(take_text(field, event.group));
    case 'd':
      return taken(take_text(field, event.dedup));
    case 'm':
      return taken(take_text(field, event.message_id));
    case 'r':
      return taken(take_text(field, event.receipt));
    case 'n':
      return taken(take_count(field, event.n));
    case 's':
      return taken(take_count(field, event.sequence));
    case 'v':
      return taken(take_milliseconds(field, event.visibility_ms));
    default:
      return Taken::unknown;
  }
}

Taken take_long(std::string_view field_name, element field, Event& event, unsigned& seen) {
  const auto taken = [](bool good) { return good ? Taken::yes : Taken::bad; };
  std::string_view text;
  if (field_name == "ev") {
    seen |= kEv;
    return taken(take_text(field, text) && parse_name(text, kPhaseNames, event.phase));
  }
  if (field_name == "op") {
    seen |= kOp;
    return taken(take_text(field, text) && parse_name(text, kOpNames, event.op));
  }
  if (field_name == "dl") return taken(take_milliseconds(field, event.delay_ms));
  if (field_name == "dur") {
    return taken(take_text(field, text) && parse_durability(text, event.durability));
  }
  if (field_name == "lsn") return taken(take_text(field, text) && parse_place(text, event.place));
  if (field_name == "dq") return taken(take_text(field, event.dead_letters));
  if (field_name == "mr") return taken(take_count(field, event.receives_max));
  if (field_name == "err") return taken(take_text(field, event.error));
  return Taken::unknown;
}

}  // namespace

struct JsonLine::Parser {
  simdjson::dom::parser json;
};

JsonLine::JsonLine() : parser_(std::make_unique<Parser>()) {}
JsonLine::~JsonLine() = default;

std::string JsonLine::parse(std::string_view line, Event& event) {
  static_assert(kPadding >= simdjson::SIMDJSON_PADDING);
  event = Event{};
  simdjson::dom::object object;
  // The DOM parser, not the on-demand one: it picks the instruction set at run time and validates
  // the whole line.
  if (parser_->json.parse(line.data(), line.size(), false).get_object().get(object) !=
      simdjson::SUCCESS) {
    return "not a JSON object";
  }
  unsigned seen = 0;
  for (const auto [field_name, field] : object) {
    const Taken taken = field_name.size() == 1 ? take_short(field_name[0], field, event, seen)
                                               : take_long(field_name, field, event, seen);
    if (taken == Taken::unknown) return fmt::format("unknown field \"{}\"", field_name);
    if (taken == Taken::bad) return fmt::format("bad value of field \"{}\"", field_name);
  }
  if (seen != kAllMandatory) return "one of the fields t, p, i, ev, op is missing";
  return {};
}

}  // namespace millrace::checker
