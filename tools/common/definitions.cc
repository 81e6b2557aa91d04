#include "tools/common/definitions.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/printable.h"
#include "base/toml.h"
#include "engine/queue_attributes.h"
#include "engine/redrive_policy.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr std::string_view kFifoEnd = ".fifo";

// Reads one file; the first thing that is wrong with it ends the reading.
class Reader {
 public:
  Reader(std::string path, std::vector<QueueDefinition>& to)
      : path_(std::move(path)), queues_(to) {}

  bool read(const toml::table& file);
  const std::string& why() const { return why_; }
  bool refuse(const toml::source_region& at, std::string_view text) {
    why_ = base::one_line(at.begin.line == 0 ? fmt::format("{}: {}", path_, text)
                                             : fmt::format("{}: {}", where(at), text));
    return false;
  }

 private:
  std::string where(const toml::source_region& at) const {
    return fmt::format("{}:{}", path_, at.begin.line);
  }
  bool read_queue(const toml::table& table);
  bool read_attributes(const toml::node& node, QueueDefinition& queue);
  bool read_tags(const toml::node& node, QueueDefinition& queue);
  bool read_dead_letters(const toml::table& table, QueueDefinition& queue);
  bool read_type(const toml::table& table, QueueDefinition& queue);
  bool check_whole(const toml::table& table, const QueueDefinition& queue);

  const std::string path_;
  std::vector<QueueDefinition>& queues_;
  std::set<std::string> names_;
  std::string why_;
};

// The text of a value; nothing if it is a table, an array, a date.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto truth = node.value_exact<bool>()) return *truth ? "true" : "false";
  return std::nullopt;
}

bool has(const QueueDefinition& queue, std::string_view attribute) {
  return std::any_of(queue.settings.attributes.begin(), queue.settings.attributes.end(),
                     [&](const NamedText& each) { return each.name == attribute; });
}

bool Reader::read(const toml::table& file) {
  for (const auto& [key, node] : file) {
    if (key != "queue")
      return refuse(node.source(),
                    fmt::format("unknown \"{}\": there may be [[queue]]", key.str()));
    const toml::array* const tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous<toml::table>())
      return refuse(node.source(), "queue must be tables, [[queue]]");
    for (const toml::node& table : *tables)
      if (!read_queue(*table.as_table())) return false;
  }
  return true;
}

bool Reader::read_queue(const toml::table& table) {
  constexpr std::string_view kKeys[] = {"name",         "fifo",       "dead_letter_queue",
                                        "max_receives", "attributes", "tags"};
  for (const auto& [key, node] : table)
    if (std::find(std::begin(kKeys), std::end(kKeys), key.str()) == std::end(kKeys))
      return refuse(node.source(), fmt::format("unknown key \"{}\": there may be {}", key.str(),
                                               fmt::join(kKeys, ", ")));
  QueueDefinition queue;
  queue.where = where(table.source());
  const toml::node* const name = table.get("name");
  if (name == nullptr || !name->is_string())
    return refuse(table.source(), "a queue must have a name, a text");
  queue.name = name->as_string()->get();
  if (!read_type(table, queue)) return false;
  if (const toml::node* attributes = table.get("attributes"))
    if (!read_attributes(*attributes, queue)) return false;
  if (!read_dead_letters(table, queue)) return false;
  if (const toml::node* tags = table.get("tags"))
    if (!read_tags(*tags, queue)) return false;
  if (!check_whole(table, queue)) return false;
  if (!names_.insert(queue.name).second)
    return refuse(name->source(), fmt::format("queue '{}' is here twice", queue.name));
  queues_.push_back(std::move(queue));
  return true;
}

bool Reader::read_type(const toml::table& table, QueueDefinition& queue) {
  const bool fifo = std::string_view(queue.name).ends_with(kFifoEnd);
  if (const toml::node* said = table.get("fifo")) {
    if (!said->is_boolean()) return refuse(said->source(), "fifo must be true or false");
    if (said->as_boolean()->get() != fifo)
      return refuse(
          said->source(),
          fifo ? fmt::format("fifo is false, but the name '{}' makes a FIFO queue", queue.name)
               : fmt::format("fifo is true, but the name '{}' does not end in .fifo", queue.name));
  }
  if (fifo) queue.settings.attributes.push_back({"FifoQueue", "true"});
  return true;
}

bool Reader::read_attributes(const toml::node& node, QueueDefinition& queue) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) return refuse(node.source(), "attributes must be a table");
  for (const auto& [key, value] : *table) {
    const engine::AttributeRow* const row = engine::find_attribute(key.str());
    if (row == nullptr)
      return refuse(value.source(), fmt::format("unknown attribute \"{}\"", key.str()));
    const auto text = text_of(value);
    QueueAttributes scratch;
    const std::string wrong = text ? row->read(*text, &scratch) : "it must be a text or a number";
    if (!wrong.empty()) return refuse(value.source(), fmt::format("{}: {}", row->name, wrong));
    if (row->name != "FifoQueue" || !has(queue, row->name))
      queue.settings.attributes.push_back({std::string(row->name), *text});
  }
  return true;
}

bool Reader::read_dead_letters(const toml::table& table, QueueDefinition& queue) {
  const toml::node* const name = table.get("dead_letter_queue");
  const toml::node* const receives = table.get("max_receives");
  if (name == nullptr && receives == nullptr) return true;
  const toml::source_region at = name != nullptr ? name->source() : receives->source();
  if (name == nullptr || receives == nullptr)
    return refuse(at, "dead_letter_queue and max_receives belong together");
  if (has(queue, "RedrivePolicy"))
    return refuse(at, "dead_letter_queue is there, and a RedrivePolicy");
  const auto count = receives->value_exact<int64_t>();
  if (!count || *count < 1 || *count > 1'000)
    return refuse(receives->source(), "max_receives must be 1 to 1000");
  const auto target = name->value_exact<std::string>();
  if (!target || !engine::check_queue_name(*target, target->ends_with(kFifoEnd)))
    return refuse(name->source(), "dead_letter_queue must be the name of a queue");
  queue.settings.attributes.push_back(
      {"RedrivePolicy",
       fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":{}}})", *target, *count)});
  return true;
}

bool Reader::read_tags(const toml::node& node, QueueDefinition& queue) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) return refuse(node.source(), "tags must be a table");
  for (const auto& [key, value] : *table) {
    const auto text = text_of(value);
    if (!text) return refuse(value.source(), fmt::format("the tag {} must be a text", key.str()));
    queue.settings.tags.push_back({std::string(key.str()), *text});
  }
  return true;
}

bool Reader::check_whole(const toml::table& table, const QueueDefinition& queue) {
  QueueAttributes attributes;
  std::string detail;
  if (!engine::apply_settings(queue.settings, true, &attributes, &detail))
    return refuse(table.source(), fmt::format("queue '{}': {}", queue.name, detail));
  if (!engine::check_queue_name(queue.name, attributes.fifo))
    return refuse(table.source(),
                  fmt::format("'{}' can't be the name of a queue: 1 to {} of A-Z a-z 0-9 _ -, and "
                              "of a FIFO queue .fifo at the end",
                              queue.name, kQueueNameBytesMax));
  return true;
}

// --- writing ---

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", c);
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare ? std::string(key) : quoted(key);
}

std::string value_text(std::string_view value) {
  constexpr size_t kDigitsMax = 18;  // TOML's numbers have 64 bits
  const bool number =
      value.size() <= kDigitsMax && parse_whole(value) && (value == "0" || value.front() != '0');
  const bool plain = number || value == "true" || value == "false";
  return plain ? std::string(value) : quoted(value);
}

}  // namespace

bool parse_definitions(std::string_view text, const std::string& path,
                       std::vector<QueueDefinition>& to, std::string* why) {
  Reader reader(path, to);
  bool read = false;
  try {
    read = reader.read(toml::parse(text, std::string_view(path)));
  } catch (const toml::parse_error& error) {
    reader.refuse(error.source(), error.description());
  }
  *why = reader.why();
  return read;
}

bool read_definitions(const std::string& path, std::vector<QueueDefinition>& to, std::string* why) {
  Reader reader(path, to);
  bool read = false;
  try {
    read = reader.read(toml::parse_file(path));
  } catch (const toml::parse_error& error) {
    reader.refuse(error.source(), error.description());
  }
  *why = reader.why();
  return read;
}

std::string definition_text(std::string_view name, std::span<const NamedText> attributes,
                            std::span<const NamedText> tags) {
  std::string text = fmt::format("[[queue]]\nname = {}\n", quoted(name));
  std::string rows;
  for (const NamedText& attribute : attributes) {
    QueueAttributes redrive;
    if (attribute.name == "FifoQueue") {
      text += "fifo = true\n";
    } else if (attribute.name == "RedrivePolicy" &&
               engine::read_redrive_policy(attribute.value, &redrive).empty()) {
      text += fmt::format("dead_letter_queue = {}\nmax_receives = {}\n",
                          quoted(redrive.dead_letter_queue), redrive.receives_max);
    } else {
      rows += fmt::format("{} = {}\n", key_text(attribute.name), value_text(attribute.value));
    }
  }
  if (!rows.empty()) text += "[queue.attributes]\n" + rows;
  if (!tags.empty()) text += "[queue.tags]\n";
  for (const NamedText& tag : tags)
    text += fmt::format("{} = {}\n", key_text(tag.name), quoted(tag.value));
  return text;
}

}  // namespace millrace::tools
