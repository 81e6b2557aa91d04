#include "tools/common/definitions.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/printable.h"
#include "base/toml.h"
#include "engine/queue_attributes.h"
#include "engine/redrive_policy.h"
#include "engine/topic_attributes.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr std::string_view kFifoEnd = ".fifo";

// Reads one file; the first thing that is wrong with it ends the reading.
class Reader {
 public:
  Reader(std::string path, Definitions& to) : path_(std::move(path)), to_(to) {}

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
  bool read_tags(const toml::node& node, QueueSettings& settings);
  bool read_dead_letters(const toml::table& table, QueueDefinition& queue);
  bool read_type(const toml::table& table, std::string_view what, const std::string& name,
                 std::string_view attribute, QueueSettings& settings);
  bool check_whole(const toml::table& table, const QueueDefinition& queue);
  bool read_topic(const toml::table& table);
  bool read_subscription(const toml::table& table, TopicDefinition& topic);
  bool check_topic(const toml::table& table, const TopicDefinition& topic);
  // False: a key is none of these.
  bool check_keys(const toml::table& table, std::span<const std::string_view> keys);
  // A text that must be there. False: it is not.
  bool read_name(const toml::table& table, std::string_view key, std::string_view of,
                 std::string& to);
  // `known(name)`: whether there is such an attribute.
  template <class Known>
  bool read_texts(const toml::node& node, Known known, std::vector<NamedText>& to);

  const std::string path_;
  Definitions& to_;
  std::set<std::string> names_;
  std::set<std::string> topic_names_;
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
    if (key != "queue" && key != "topic")
      return refuse(node.source(),
                    fmt::format("unknown \"{}\": there may be [[queue]] and [[topic]]", key.str()));
    const toml::array* const tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous<toml::table>())
      return refuse(node.source(), fmt::format("{0} must be tables, [[{0}]]", key.str()));
    for (const toml::node& table : *tables)
      if (key == "queue" ? !read_queue(*table.as_table()) : !read_topic(*table.as_table()))
        return false;
  }
  return true;
}

bool Reader::check_keys(const toml::table& table, std::span<const std::string_view> keys) {
  for (const auto& [key, node] : table)
    if (std::find(keys.begin(), keys.end(), key.str()) == keys.end())
      return refuse(node.source(), fmt::format("unknown key \"{}\": there may be {}", key.str(),
                                               fmt::join(keys, ", ")));
  return true;
}

bool Reader::read_name(const toml::table& table, std::string_view key, std::string_view of,
                       std::string& to) {
  const toml::node* const name = table.get(key);
  if (name == nullptr || !name->is_string())
    return refuse(table.source(), fmt::format("a {} must have a {}, a text", of, key));
  to = name->as_string()->get();
  return true;
}

bool Reader::read_queue(const toml::table& table) {
  constexpr std::string_view kKeys[] = {"name",         "fifo",       "dead_letter_queue",
                                        "max_receives", "attributes", "tags"};
  if (!check_keys(table, kKeys)) return false;
  QueueDefinition queue;
  queue.where = where(table.source());
  if (!read_name(table, "name", "queue", queue.name)) return false;
  if (!read_type(table, "queue", queue.name, "FifoQueue", queue.settings)) return false;
  if (const toml::node* attributes = table.get("attributes"))
    if (!read_attributes(*attributes, queue)) return false;
  if (!read_dead_letters(table, queue)) return false;
  if (const toml::node* tags = table.get("tags"))
    if (!read_tags(*tags, queue.settings)) return false;
  if (!check_whole(table, queue)) return false;
  if (!names_.insert(queue.name).second)
    return refuse(table.get("name")->source(), fmt::format("queue '{}' is here twice", queue.name));
  to_.queues.push_back(std::move(queue));
  return true;
}

bool Reader::read_type(const toml::table& table, std::string_view what, const std::string& name,
                       std::string_view attribute, QueueSettings& settings) {
  const bool fifo = std::string_view(name).ends_with(kFifoEnd);
  if (const toml::node* said = table.get("fifo")) {
    if (!said->is_boolean()) return refuse(said->source(), "fifo must be true or false");
    if (said->as_boolean()->get() != fifo)
      return refuse(
          said->source(),
          fifo ? fmt::format("fifo is false, but the name '{}' makes a FIFO {}", name, what)
               : fmt::format("fifo is true, but the name '{}' does not end in .fifo", name));
  }
  if (fifo) settings.attributes.push_back({std::string(attribute), "true"});
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

bool Reader::read_tags(const toml::node& node, QueueSettings& settings) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) return refuse(node.source(), "tags must be a table");
  for (const auto& [key, value] : *table) {
    const auto text = text_of(value);
    if (!text) return refuse(value.source(), fmt::format("the tag {} must be a text", key.str()));
    settings.tags.push_back({std::string(key.str()), *text});
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

// --- topics ---

template <class Known>
bool Reader::read_texts(const toml::node& node, Known known, std::vector<NamedText>& to) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) return refuse(node.source(), "attributes must be a table");
  for (const auto& [key, value] : *table) {
    if (!known(key.str()))
      return refuse(value.source(), fmt::format("unknown attribute \"{}\"", key.str()));
    const auto text = text_of(value);
    if (!text)
      return refuse(value.source(), fmt::format("{}: it must be a text or a number", key.str()));
    const auto is_same = [&](const NamedText& each) { return each.name == key.str(); };
    if (std::any_of(to.begin(), to.end(), is_same))
      return refuse(value.source(), fmt::format("{} is there twice", key.str()));
    to.push_back({std::string(key.str()), *text});
  }
  return true;
}

bool Reader::read_topic(const toml::table& table) {
  constexpr std::string_view kKeys[] = {"name", "fifo", "attributes", "tags", "subscription"};
  if (!check_keys(table, kKeys)) return false;
  TopicDefinition topic;
  topic.where = where(table.source());
  if (!read_name(table, "name", "topic", topic.name)) return false;
  if (!read_type(table, "topic", topic.name, "FifoTopic", topic.settings)) return false;
  const auto known = [](std::string_view name) {
    return engine::find_topic_attribute(name) != nullptr && name != "FifoTopic";
  };
  if (const toml::node* attributes = table.get("attributes"))
    if (!read_texts(*attributes, known, topic.settings.attributes)) return false;
  if (const toml::node* tags = table.get("tags"))
    if (!read_tags(*tags, topic.settings)) return false;
  if (!check_topic(table, topic)) return false;
  if (const toml::node* subscriptions = table.get("subscription")) {
    const toml::array* const tables = subscriptions->as_array();
    if (tables == nullptr || !tables->is_homogeneous<toml::table>())
      return refuse(subscriptions->source(), "subscription must be tables, [[topic.subscription]]");
    for (const toml::node& one : *tables)
      if (!read_subscription(*one.as_table(), topic)) return false;
  }
  if (!topic_names_.insert(topic.name).second)
    return refuse(table.get("name")->source(), fmt::format("topic '{}' is here twice", topic.name));
  to_.topics.push_back(std::move(topic));
  return true;
}

bool Reader::check_topic(const toml::table& table, const TopicDefinition& topic) {
  TopicAttributes attributes;
  std::string detail;
  if (!engine::apply_topic_settings(topic.settings, true, &attributes, &detail))
    return refuse(table.source(), fmt::format("topic '{}': {}", topic.name, detail));
  if (!engine::is_topic_name(topic.name, attributes.fifo))
    return refuse(table.source(),
                  fmt::format("'{}' can't be the name of a topic: 1 to {} of A-Z a-z 0-9 _ -, and "
                              "of a FIFO topic .fifo at the end",
                              topic.name, kTopicNameBytesMax));
  return true;
}

bool Reader::read_subscription(const toml::table& table, TopicDefinition& topic) {
  constexpr std::string_view kKeys[] = {"queue", "raw", "filter", "dead_letter_queue",
                                        "attributes"};
  if (!check_keys(table, kKeys)) return false;
  SubscriptionDefinition subscription;
  if (!read_name(table, "queue", "subscription", subscription.queue)) return false;
  const std::string& queue = subscription.queue;
  if (!engine::check_queue_name(queue, queue.ends_with(kFifoEnd)))
    return refuse(table.get("queue")->source(),
                  fmt::format("'{}' can't be the name of a queue", queue));
  if (const toml::node* raw = table.get("raw")) {
    if (!raw->is_boolean()) return refuse(raw->source(), "raw must be true or false");
    subscription.attributes.push_back(
        {"RawMessageDelivery", raw->as_boolean()->get() ? "true" : "false"});
  }
  std::string text;
  if (table.contains("filter")) {
    if (!read_name(table, "filter", "subscription", text)) return false;
    subscription.attributes.push_back({"FilterPolicy", text});
  }
  if (table.contains("dead_letter_queue")) {
    if (!read_name(table, "dead_letter_queue", "subscription", text)) return false;
    if (!engine::check_queue_name(text, text.ends_with(kFifoEnd)))
      return refuse(table.get("dead_letter_queue")->source(),
                    "dead_letter_queue must be the name of a queue");
    subscription.attributes.push_back(
        {"RedrivePolicy", fmt::format(R"({{"deadLetterTargetArn":"{}"}})", text)});
  }
  const auto known = [](std::string_view name) {
    return engine::find_subscription_attribute(name) != nullptr;
  };
  if (const toml::node* attributes = table.get("attributes"))
    if (!read_texts(*attributes, known, subscription.attributes)) return false;
  SubscriptionAttributes scratch;
  std::string detail;
  if (!engine::apply_subscription_settings({.attributes = subscription.attributes}, &scratch,
                                           &detail))
    return refuse(table.source(), fmt::format("subscription of '{}': {}", queue, detail));
  const auto is_same = [&](const SubscriptionDefinition& each) { return each.queue == queue; };
  if (std::any_of(topic.subscriptions.begin(), topic.subscriptions.end(), is_same))
    return refuse(table.source(),
                  fmt::format("queue '{}' is subscribed to '{}' twice", queue, topic.name));
  topic.subscriptions.push_back(std::move(subscription));
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

std::string row_text(const NamedText& attribute) {
  return fmt::format("{} = {}\n", key_text(attribute.name), value_text(attribute.value));
}

std::string tags_text(std::string_view of, std::span<const NamedText> tags) {
  std::string text = tags.empty() ? std::string() : fmt::format("[{}.tags]\n", of);
  for (const NamedText& tag : tags)
    text += fmt::format("{} = {}\n", key_text(tag.name), quoted(tag.value));
  return text;
}

}  // namespace

bool parse_definitions(std::string_view text, const std::string& path, Definitions& to,
                       std::string* why) {
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

bool read_definitions(const std::string& path, Definitions& to, std::string* why) {
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
      rows += row_text(attribute);
    }
  }
  if (!rows.empty()) text += "[queue.attributes]\n" + rows;
  return text + tags_text("queue", tags);
}

std::string topic_definition_text(const TopicDefinition& topic) {
  std::string text = fmt::format("[[topic]]\nname = {}\n", quoted(topic.name));
  std::string rows;
  for (const NamedText& attribute : topic.settings.attributes)
    if (attribute.name == "FifoTopic")
      text += "fifo = true\n";
    else
      rows += row_text(attribute);
  if (!rows.empty()) text += "[topic.attributes]\n" + rows;
  text += tags_text("topic", topic.settings.tags);
  for (const SubscriptionDefinition& subscription : topic.subscriptions) {
    text += fmt::format("[[topic.subscription]]\nqueue = {}\n", quoted(subscription.queue));
    rows.clear();
    for (const NamedText& attribute : subscription.attributes) {
      SubscriptionAttributes known;
      std::string why;
      if (attribute.name == "RawMessageDelivery")
        text += fmt::format("raw = {}\n", value_text(attribute.value));
      else if (attribute.name == "FilterPolicy")
        text += fmt::format("filter = {}\n", quoted(attribute.value));
      else if (attribute.name == "RedrivePolicy" &&
               engine::apply_subscription_settings({.attributes = {attribute}}, &known, &why))
        text += fmt::format("dead_letter_queue = {}\n", quoted(known.dead_letter_queue));
      else
        rows += row_text(attribute);
    }
    if (!rows.empty()) text += "[topic.subscription.attributes]\n" + rows;
  }
  return text;
}

}  // namespace millrace::tools
