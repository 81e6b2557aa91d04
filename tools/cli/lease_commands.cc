// millrace receive | ack | extend | peek
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "millrace/engine.h"
#include "tools/cli/command.h"
#include "tools/cli/message_facts.h"
#include "tools/common/quantity.h"
#include "tools/common/receipt_text.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::OwnedMessage;

struct ReceiveOptions {
  std::string queue;
  std::string max = "1";
  std::string wait = "0";
  std::string visibility;
  std::string attempt;
  bool ack = false;
};

int64_t age_ms(TimeMs sent_at) {
  return std::max<int64_t>(0, wall_clock_ms() - sent_at.value);
}

// One receive may be answered from one shard only; asks again, without waiting, for the rest.
bool receive_up_to(Context& context, const ReceiveOptions& options, QueueId queue,
                   std::vector<OwnedMessage>& messages) {
  const auto max = static_cast<uint32_t>(parse_whole(options.max).value_or(1));
  ReceiveRequest request{
      .queue = queue, .wait_ms = seconds_to_ms(options.wait), .attempt_id = options.attempt};
  if (!options.visibility.empty()) request.visibility_ms = seconds_to_ms(options.visibility);
  while (messages.size() < max) {
    request.messages_max = max - static_cast<uint32_t>(messages.size());
    auto received = context.connect()->receive(request);
    if (!received) {
      context.refused("queue '" + options.queue + "'");
      return false;
    }
    if (received->empty()) break;
    std::move(received->begin(), received->end(), std::back_inserter(messages));
    // An attempt is one receive: asked again it would bring the same.
    if (!options.attempt.empty()) break;
    request.wait_ms = 0;
  }
  return true;
}

// Columns that no message has anything for are left out.
class MessageTable {
 public:
  explicit MessageTable(std::vector<std::string> heading) : heading_(std::move(heading)) {}

  void add(std::vector<std::string> cells, const MessageFacts& facts, std::string body) {
    rows_.push_back({std::move(cells),
                     {printable(facts.group), facts.sequence_number, attributes_text(facts)},
                     std::move(body)});
    for (size_t i = 0; i < shown_.size(); ++i)
      shown_[i] = shown_[i] || !rows_.back().facts[i].empty();
  }
  std::string text() const {
    std::vector<std::string> heading = heading_;
    for (size_t i = 0; i < shown_.size(); ++i)
      if (shown_[i]) heading.emplace_back(kHeadings[i]);
    heading.emplace_back("BODY");
    Table table(heading);
    for (const Row& row : rows_) {
      std::vector<std::string> cells = row.cells;
      for (size_t i = 0; i < shown_.size(); ++i)
        if (shown_[i]) cells.push_back(row.facts[i]);
      cells.push_back(row.body);
      table.add(std::move(cells));
    }
    return table.text();
  }

 private:
  static constexpr const char* kHeadings[] = {"GROUP", "SEQUENCE", "ATTRIBUTES"};
  struct Row {
    std::vector<std::string> cells;
    std::array<std::string, 3> facts;
    std::string body;
  };
  std::vector<std::string> heading_;
  std::vector<Row> rows_;
  std::array<bool, 3> shown_{};
};

void print_messages(const Context& context, const std::string& queue,
                    const std::vector<OwnedMessage>& messages, bool with_receipt) {
  MessageTable table(with_receipt ? std::vector<std::string>{"RECEIPT", "COUNT", "AGE"}
                                  : std::vector<std::string>{"COUNT", "AGE"});
  for (const OwnedMessage& message : messages) {
    const MessageFacts facts = facts_of(QueueId{message.receipt.queue_id}, queue,
                                        message.receipt.shard_slot, message.properties);
    if (context.json) {
      Json json;
      put_text(json, "body", message.body);
      if (with_receipt) json["receipt"] = receipt_text(message.receipt);
      put_facts(json, facts);
      json["receive_count"] = message.receive_count;
      json["sent_at_ms"] = message.sent_at.value;
      json["age_ms"] = age_ms(message.sent_at);
      print_json(json);
      continue;
    }
    std::vector<std::string> cells;
    if (with_receipt) cells.push_back(receipt_text(message.receipt));
    cells.push_back(std::to_string(message.receive_count));
    cells.push_back(format_age(age_ms(message.sent_at)));
    table.add(std::move(cells), facts, printable(message.body));
  }
  if (context.json) return;
  if (messages.empty())
    fmt::print(stderr, "no message came\n");
  else
    print_text(table.text());
}

// What became of each receipt; the first refusal is the line on standard error.
int print_results(const Context& context, const std::vector<std::string>& texts,
                  const std::vector<Errc>& results, std::string_view done) {
  size_t refused = 0;
  std::string first;
  for (size_t i = 0; i < results.size(); ++i) {
    if (context.json) print_json({{"receipt", texts[i]}, {"result", errc_name(results[i])}});
    if (results[i] == Errc::ok) continue;
    if (refused++ == 0) first = fmt::format("receipt '{}': {}", texts[i], errc_text(results[i]));
  }
  if (!context.json && refused < results.size())
    print_text(fmt::format("{} {} {}\n", results.size() - refused,
                           results.size() - refused == 1 ? "message" : "messages", done));
  if (refused == 0) return kDone;
  if (results.size() > 1) first += fmt::format(" ({} of {} refused)", refused, results.size());
  return refuse(first);
}

int receive(Context& context, const ReceiveOptions& options) {
  QueueId queue{};
  if (!context.resolve(options.queue, queue)) return kRefused;
  std::vector<OwnedMessage> messages;
  if (!receive_up_to(context, options, queue, messages)) return kRefused;
  // Printed before they are acknowledged: what fails to be printed comes back.
  print_messages(context, options.queue, messages, !options.ack);
  if (!options.ack || messages.empty()) return kDone;
  if (std::fflush(stdout) != 0) return refuse("cannot write the output; nothing is acknowledged");
  std::vector<Receipt> receipts;
  std::vector<std::string> texts;
  for (const OwnedMessage& message : messages) {
    receipts.push_back(message.receipt);
    texts.push_back(receipt_text(message.receipt));
  }
  const auto results = context.connect()->ack(receipts);
  if (!results) return context.refused("queue '" + options.queue + "'");
  for (size_t i = 0; i < results->size(); ++i)
    if ((*results)[i] != Errc::ok)
      return refuse(fmt::format("receipt '{}': {}", texts[i], errc_text((*results)[i])));
  return kDone;
}

// Reads receipts that must be of `queue`. The broker knows a receipt by its seal, whichever queue
// is named; here the queue is part of the question.
bool read_receipts(const std::vector<std::string>& texts, QueueId queue,
                   const std::string& queue_name, std::vector<Receipt>& receipts) {
  for (const std::string& text : texts) {
    const Result<Receipt> receipt = parse_receipt(text);
    if (!receipt) {
      refuse(fmt::format("receipt '{}': not a receipt: one is 32 of A-Z a-z 0-9 - _", text));
      return false;
    }
    if (receipt->queue_id != raw(queue)) {
      refuse(fmt::format("receipt '{}': not a receipt of queue '{}'", text, queue_name));
      return false;
    }
    receipts.push_back(*receipt);
  }
  return true;
}

int ack(Context& context, const std::string& name, const std::vector<std::string>& texts) {
  QueueId queue{};
  std::vector<Receipt> receipts;
  if (!context.resolve(name, queue) || !read_receipts(texts, queue, name, receipts))
    return kRefused;
  const auto results = context.connect()->ack(receipts);
  if (!results) return context.refused("queue '" + name + "'");
  return print_results(context, texts, *results, "acknowledged");
}

int extend(Context& context, const std::string& name, const std::string& text,
           const std::string& seconds) {
  QueueId queue{};
  std::vector<Receipt> receipts;
  if (!context.resolve(name, queue) || !read_receipts({text}, queue, name, receipts))
    return kRefused;
  const ExtendEntry entries[] = {{receipts.front(), seconds_to_ms(seconds)}};
  const auto results = context.connect()->extend(entries);
  if (!results) return context.refused("queue '" + name + "'");
  return print_results(
      context, {text}, *results,
      entries[0].visibility_ms == 0 ? "visible again" : "hidden for " + seconds + " s from now");
}

struct PeekOptions {
  std::string queue;
  std::string max = "10";
  std::string state = "all";
};

constexpr std::string_view kStateNames[] = {"delayed", "ready", "leased"};

int peek(Context& context, const PeekOptions& options) {
  QueueId queue{};
  if (!context.resolve(options.queue, queue)) return kRefused;
  PeekRequest request{.queue = queue,
                      .messages_max = static_cast<uint32_t>(parse_whole(options.max).value_or(10))};
  for (uint8_t state = 0; state < std::size(kStateNames); ++state)
    if (options.state == kStateNames[state]) request.states = static_cast<uint8_t>(1u << state);
  const auto peeked = context.connect()->peek(request);
  if (!peeked) return context.refused("queue '" + options.queue + "'");
  const bool some_held = std::any_of(peeked->begin(), peeked->end(),
                                     [](const auto& one) { return !one.holder.empty(); });
  std::vector<std::string> columns{"STATE", "COUNT", "AGE", "DUE IN"};
  if (some_held) columns.emplace_back("HOLDER");
  MessageTable table(columns);
  for (const client::OwnedPeek& one : *peeked) {
    const std::string_view state = kStateNames[one.item.state < 3 ? one.item.state : 1];
    const int64_t due_ms =
        one.item.due_ms == 0 ? 0 : std::max<int64_t>(0, one.item.due_ms - wall_clock_ms());
    const MessageFacts facts = facts_of(queue, options.queue, one.item.shard_slot, one.properties);
    if (context.json) {
      Json json{{"state", state}};
      put_text(json, "body", one.body);
      put_facts(json, facts);
      json["receive_count"] = one.item.receive_count;
      json["sent_at_ms"] = one.item.sent_at_ms;
      if (one.item.first_received_at_ms != 0) {
        json["first_received_at_ms"] = one.item.first_received_at_ms;
        json["last_received_at_ms"] = one.item.last_received_at_ms;
      }
      json["age_ms"] = age_ms(TimeMs{one.item.sent_at_ms});
      json["due_in_ms"] = due_ms;
      if (!one.holder.empty()) put_text(json, "holder", one.holder);
      json["shard"] = one.item.shard_slot >> 48;
      json["slot"] = one.item.shard_slot & 0xFFFFFFFFFFFFULL;
      print_json(json);
    } else {
      std::vector<std::string> cells{std::string(state), std::to_string(one.item.receive_count),
                                     format_age(age_ms(TimeMs{one.item.sent_at_ms})),
                                     one.item.due_ms == 0 ? "" : format_age(due_ms)};
      if (some_held) cells.push_back(printable(one.holder));
      table.add(cells, facts, printable(one.body));
    }
  }
  if (!context.json) print_text(table.text());
  return kDone;
}

}  // namespace

void add_lease_commands(Parser& parser, Context& context) {
  auto receiving = std::make_shared<ReceiveOptions>();
  parser
      .command("receive", "lease messages and print them",
               [&context, receiving] { return receive(context, *receiving); })
      .argument("QUEUE", receiving->queue, "")
      .option("--max", "N", receiving->max, "at most so many messages [1]",
              whole_between(1, kBatchMessagesMax))
      .option("--wait", "S", receiving->wait, "seconds to wait for the first [0]",
              seconds_up_to(kReceiveWaitMsMax))
      .option("--visibility", "S", receiving->visibility,
              "seconds until what is not acknowledged comes back [the queue's]",
              seconds_up_to(kLeaseMsMax))
      .option("--attempt", "ID", receiving->attempt,
              "FIFO: again with the same ID within 5 minutes, the same messages come")
      .flag("--ack", receiving->ack, "acknowledge what was printed");

  auto name = std::make_shared<std::string>();
  auto receipts = std::make_shared<std::vector<std::string>>();
  parser
      .command("ack", "acknowledge leased messages: they are gone",
               [&context, name, receipts] { return ack(context, *name, *receipts); })
      .argument("QUEUE", *name, "")
      .arguments("RECEIPT", *receipts, "as receive printed it");

  auto receipt = std::make_shared<std::string>();
  auto seconds = std::make_shared<std::string>();
  parser
      .command(
          "extend", "change how long a leased message stays hidden",
          [&context, name, receipt, seconds] { return extend(context, *name, *receipt, *seconds); })
      .argument("QUEUE", *name, "")
      .argument("RECEIPT", *receipt, "as receive printed it")
      .argument("SECONDS", *seconds, "from now; 0 makes it visible at once",
                seconds_up_to(kLeaseMsMax));

  auto peeking = std::make_shared<PeekOptions>();
  parser
      .command("peek", "look at messages without leasing them",
               [&context, peeking] { return peek(context, *peeking); })
      .argument("QUEUE", peeking->queue, "")
      .option("--max", "N", peeking->max, "at most so many messages [10]",
              whole_between(1, kBatchMessagesMax))
      .option("--state", "STATE", peeking->state, "ready, leased, delayed or all [all]",
              one_of({"ready", "leased", "delayed", "all"}));
}

}  // namespace millrace::tools
