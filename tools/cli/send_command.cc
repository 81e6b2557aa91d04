// millrace send: one message from the command line, a file or standard input, or a message a line,
// in batches, several under way.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "base/os_clock.h"
#include "clients/cpp/message_batch.h"
#include "millrace/message_id.h"
#include "millrace/options.h"
#include "millrace/properties.h"
#include "tools/cli/command.h"
#include "tools/cli/message_facts.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::Answer;
using client::MessageBatch;

// Enough to keep the server busy, little enough that an error is told soon.
constexpr uint32_t kUnderWayMax = 16;
constexpr int kAnswerTimeoutMs = 30'000;

struct SendOptions {
  std::string queue;
  std::optional<std::string> body;
  std::string file;
  bool lines = false;
  std::string delay;
  std::string group;
  std::string dedup;
  std::vector<std::string> attributes;
};

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

class Sender {
 public:
  Sender(Context& context, const SendOptions& options, QueueId queue, std::string properties)
      : context_(context), options_(options), queue_(queue), properties_(std::move(properties)) {
    if (!options.delay.empty()) delay_ms_ = seconds_to_ms(options.delay);
  }

  int run() {
    if (options_.body) return add(*options_.body) && send_batch() && finish() ? done() : failed();
    File file(options_.file.empty() ? stdin : std::fopen(options_.file.c_str(), "rb"));
    if (!file) return refuse(fmt::format("'{}': {}", options_.file, std::strerror(errno)));
    const bool taken = options_.lines ? send_lines(file.get()) : send_whole(file.get());
    return taken && finish() ? done() : failed();
  }

 private:
  bool send_whole(std::FILE* file) {
    std::string body;
    char piece[65536];
    for (size_t n = 0; (n = std::fread(piece, 1, sizeof piece, file)) > 0;) {
      body.append(piece, n);
      if (body.size() > kMessageBytesMax) break;  // refused below, not read for ever
    }
    if (std::ferror(file) != 0)
      return fail_with("cannot read: " + std::string(std::strerror(errno)));
    return add(body) && send_batch();
  }

  bool send_lines(std::FILE* file) {
    char* line = nullptr;
    size_t capacity = 0;
    bool good = true;
    for (ssize_t n = 0; good && (n = ::getline(&line, &capacity, file)) >= 0;) {
      std::string_view text(line, static_cast<size_t>(n));
      if (text.ends_with('\n')) text.remove_suffix(1);
      good = add(text);
    }
    std::free(line);
    return good && (batch_.empty() || send_batch());
  }

  bool add(std::string_view body) {
    ++line_;
    Status added = batch_.add(as_bytes(body), delay_ms_, as_bytes(properties_));
    if (!added && added.error() == Errc::batch_too_large)
      added = send_batch() ? batch_.add(as_bytes(body), delay_ms_, as_bytes(properties_))
                           : fail(Errc::connection_closed);
    if (added) return true;
    if (!failure_.empty()) return false;
    if (added.error() == Errc::message_too_large)
      return fail_with(
          fmt::format("{}the body is larger than {} bytes, the most a message may have",
                      options_.lines ? fmt::format("line {}: ", line_) : "", kMessageBytesMax));
    return fail_with(std::string(errc_text(added.error())));
  }

  bool send_batch() {
    client::Client& client = context_.connect()->async();
    while (failure_.empty() && client.in_flight() >= kUnderWayMax)
      turn(client);
    if (!failure_.empty()) return false;
    const auto request = client.send(queue_, batch_, [this](const Answer& a) { answered(a); });
    if (!request) return fail_with(std::string(errc_text(request.error())));
    batch_.clear();
    turn_now(client);
    return failure_.empty();
  }

  void answered(const Answer& answer) {
    if (!answer) {
      fail_with(fmt::format("queue '{}': {}", options_.queue, answer.text()));
      return;
    }
    const wire::SendAnswer sent = answer.sent();
    stored_ += sent.count;
    if (!context_.json) return;
    Json json{{"queue", options_.queue},
              {"count", sent.count},
              {"shard", sent.shard_slot >> 48},
              {"first_slot", sent.shard_slot & 0xFFFFFFFFFFFFULL},
              {"position", sent.position},
              {"durability", durability_name(static_cast<Durability>(sent.durability))}};
    for (uint32_t i = 0; i < sent.count; ++i) {
      const uint64_t shard_slot = answer.sent_shard_slot(i);
      json["ids"].push_back(message_id_text({raw(queue_), shard_slot}));
      if (options_.queue.ends_with(".fifo"))
        json["sequence_numbers"].push_back(std::to_string(sequence_number(shard_slot)));
    }
    print_json(json);
  }

  // One answer, at most kAnswerTimeoutMs away. A turn may end with nothing but bytes written.
  void turn(client::Client& client) {
    const uint32_t before = client.in_flight();
    const int64_t deadline_ms = base::os_monotonic_ns() / 1'000'000 + kAnswerTimeoutMs;
    while (client.in_flight() == before) {
      const int64_t left_ms = deadline_ms - base::os_monotonic_ns() / 1'000'000;
      if (left_ms <= 0) {
        client.close();
        fail_with(std::string(errc_text(Errc::timed_out)));
        return;
      }
      if (!client.poll(static_cast<int>(left_ms))) {
        fail_with(std::string(client.failure_text()));
        return;
      }
    }
  }
  void turn_now(client::Client& client) {
    if (!client.flush()) fail_with(std::string(client.failure_text()));
  }
  bool finish() {
    client::Client& client = context_.connect()->async();
    while (failure_.empty() && client.in_flight() > 0)
      turn(client);
    return failure_.empty();
  }

  bool fail_with(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
    return false;
  }
  int failed() {
    if (stored_ > 0) failure_ += fmt::format(" ({} messages were stored before)", stored_);
    return refuse(failure_);
  }
  int done() const {
    if (!context_.json)
      print_text(fmt::format("{} {} stored in {}\n", format_count(stored_),
                             stored_ == 1 ? "message" : "messages", options_.queue));
    return kDone;
  }

  Context& context_;
  const SendOptions& options_;
  QueueId queue_;
  std::string properties_;  // of every message
  uint32_t delay_ms_ = kDelayQueueDefault;
  MessageBatch batch_;
  uint64_t line_ = 0;
  uint64_t stored_ = 0;
  std::string failure_;
};

int send(Context& context, const SendOptions& options) {
  if (options.body && (!options.file.empty() || options.lines))
    return misuse("give BODY, or --file and --lines, not both");
  if (options.lines && !options.dedup.empty())
    return misuse("--dedup with --lines: all but the first line would be duplicates");
  std::string properties;
  if (!options.group.empty())
    append_property(properties, PropertyTag::group, as_bytes(options.group));
  if (!options.dedup.empty())
    append_property(properties, PropertyTag::deduplication_id, as_bytes(options.dedup));
  for (const std::string& attribute : options.attributes)
    if (std::string wrong = add_attribute(attribute, properties); !wrong.empty())
      return misuse("--attr: " + wrong);
  QueueId queue{};
  if (!context.resolve(options.queue, queue)) return kRefused;
  return Sender(context, options, queue, std::move(properties)).run();
}

}  // namespace

void add_send_command(Parser& parser, Context& context) {
  auto options = std::make_shared<SendOptions>();
  parser.command("send", "send messages", [&context, options] { return send(context, *options); })
      .argument("QUEUE", options->queue, "")
      .optional_argument("BODY", options->body, "without it, standard input is the body")
      .option("--file", "F", options->file, "the body is this file's bytes")
      .flag("--lines", options->lines, "each line of the input is a message")
      .option("--delay", "S", options->delay, "seconds until it can be received",
              seconds_up_to(kMessageDelayMsMax))
      .option("--group", "G", options->group, "message group: a FIFO queue keeps its order",
              check_message_id)
      .option("--dedup", "ID", options->dedup, "deduplication id, on a FIFO queue",
              check_message_id)
      .repeated("--attr", "NAME=VALUE", options->attributes,
                "an attribute, up to ten; NAME:TYPE=VALUE if it is no String");
}

}  // namespace millrace::tools
