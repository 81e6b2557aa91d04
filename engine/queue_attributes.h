// A queue's attributes as texts, and their bounds: one table for the catalog, the wire, the command
// line and whoever comes later. Names are SQS's, and ours besides: Durability, Partitions,
// InFlightMax. docs/operations.md has the table for people.
//
// Seconds may have up to three decimals. Where SQS has an ARN a bare name will do: the last part of
// an ARN is what counts, and only that is kept.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/options.h"
#include "millrace/result.h"

namespace millrace::engine {

struct AttributeRow {
  std::string_view name;
  bool fifo_only = false;
  bool at_creation = false;    // later it may only be set to what it is
  bool in_definition = false;  // lies in the fixed part of a queue_put record
  bool removable = false;      // by ""
  // Sets what the text says, or says what is allowed ("it may be 0 to 43200") and leaves the
  // attributes as they are.
  std::string (*read)(std::string_view text, QueueAttributes* attributes) = nullptr;
  // The canonical text; nothing if the queue has none.
  std::optional<std::string> (*write)(const QueueAttributes& attributes) = nullptr;
  std::string_view form;  // for people: "0 to 43200 seconds"
};
std::span<const AttributeRow> attribute_table();
const AttributeRow* find_attribute(std::string_view name);

// Applies the settings, all or none. Error: invalid_argument; `detail` then names the attribute,
// the value and what it may be.
Status apply_settings(const QueueSettings& settings, bool creates, QueueAttributes* attributes,
                      std::string* detail);

// What a queue has, in the table's order, tags aside: what SQS's GetQueueAttributes shows of what
// can be set, so nothing for a policy that is not there.
std::vector<NamedText> attribute_texts(const QueueAttributes& attributes);
// Settings that make exactly these attributes of a new queue: "" for what is not there.
QueueSettings settings_of(const QueueAttributes& attributes);

// The first attribute in which they differ; empty if in none.
std::string_view first_difference(const QueueAttributes& a, const QueueAttributes& b);

// 1..kQueueNameBytesMax of [A-Za-z0-9_-]; of a FIFO queue, and only of one, the last five are
// ".fifo". Error: invalid_queue_name.
Status check_queue_name(std::string_view name, bool fifo);

}  // namespace millrace::engine
