// millrace topic publish: one message from the command line, a file or standard input, or a message
// a line, in batches.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "clients/cpp/publish_batch.h"
#include "millrace/properties.h"
#include "tools/cli/command.h"
#include "tools/cli/message_facts.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

struct PublishOptions {
  std::string topic;
  std::optional<std::string> body;
  std::string file;
  bool lines = false;
  std::string subject;
  bool structured = false;
  std::string group;
  std::string dedup;
  std::vector<std::string> attributes;
};

class PublishRun {
 public:
  PublishRun(Context& context, const PublishOptions& options, std::string properties)
      : context_(context), options_(options), properties_(std::move(properties)) {}

  int run() {
    if (options_.body) return add(*options_.body) && publish() ? done() : failed();
    std::ifstream file;
    errno = 0;
    if (!options_.file.empty()) {
      file.open(options_.file, std::ios::binary);
      if (!file) return refuse(fmt::format("'{}': {}", options_.file, std::strerror(errno)));
    }
    std::istream& input = options_.file.empty() ? std::cin : file;
    return (options_.lines ? take_lines(input) : take_whole(input)) && publish() ? done()
                                                                                 : failed();
  }

 private:
  bool take_whole(std::istream& input) {
    std::string body;
    char piece[65536];
    // What is longer is refused below, not read for ever.
    while (body.size() <= wire::kPublishBytesMax &&
           (input.read(piece, sizeof piece) || input.gcount() > 0))
      body.append(piece, static_cast<size_t>(input.gcount()));
    return add(body);
  }

  bool take_lines(std::istream& input) {
    for (std::string line; std::getline(input, line);)
      if (!add(line)) return false;
    return true;
  }

  // Publishes what is there if this one has no room beside it.
  bool add(std::string_view body) {
    ++taken_;
    const size_t bytes = body.size() + properties_.size();
    if (bytes_ + bytes > wire::kPublishBytesMax && !publish()) return false;
    const client::PublishMessage message{.message = body,
                                         .subject = options_.subject,
                                         .properties = as_bytes(properties_),
                                         .structured = options_.structured};
    Status added = batch_.add(message);
    if (!added && added.error() == Errc::batch_too_large && !batch_.empty()) {
      if (!publish()) return false;
      added = batch_.add(message);
    }
    if (!added) {
      failure_ = fmt::format("{}the message is larger than {} bytes", place(taken_),
                             wire::kPublishBytesMax);
      return false;
    }
    bytes_ += bytes;
    return true;
  }

  bool publish() {
    if (batch_.empty()) return true;
    const auto messages = context_.connect()->publish(options_.topic, batch_);
    if (!messages) {
      // The server's line may name the topic already.
      failure_ = context_.connect()->error_text();
      if (failure_.find("'" + options_.topic + "'") == std::string::npos)
        failure_ = fmt::format("topic '{}': {}", options_.topic, failure_);
      return false;
    }
    Json json{{"topic", options_.topic}, {"ids", Json::array()}};
    for (const client::PublishedMessage& one : *messages) {
      ++at_;
      if (one.error != Errc::ok) {
        if (failure_.empty()) failure_ = place(at_) + one.text;
        continue;
      }
      ++published_;
      json["ids"].push_back(base::uuid_text(one.id));
      if (one.sequence != 0) json["sequence_numbers"].push_back(std::to_string(one.sequence));
    }
    json["count"] = json["ids"].size();
    if (context_.json && !json["ids"].empty()) print_json(json);
    batch_.clear();
    bytes_ = 0;
    return failure_.empty();
  }

  std::string place(uint64_t number) const {
    return options_.lines ? fmt::format("line {}: ", number) : std::string();
  }
  int failed() {
    if (published_ > 0) failure_ += fmt::format(" ({} messages were published)", published_);
    return refuse(failure_);
  }
  int done() const {
    if (!context_.json)
      print_text(fmt::format("{} {} published to {}\n", format_count(published_),
                             published_ == 1 ? "message" : "messages", options_.topic));
    return kDone;
  }

  Context& context_;
  const PublishOptions& options_;
  const std::string properties_;  // of every message
  client::PublishBatch batch_;
  size_t bytes_ = 0;    // of the batch
  uint64_t taken_ = 0;  // messages of the input
  uint64_t at_ = 0;     // of them, those that were answered
  uint64_t published_ = 0;
  std::string failure_;
};

int publish_topic(Context& context, const PublishOptions& options) {
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
    if (const std::string wrong = add_attribute(attribute, properties); !wrong.empty())
      return misuse("--attr: " + wrong);
  if (context.connect() == nullptr) return kRefused;
  return PublishRun(context, options, std::move(properties)).run();
}

}  // namespace

void add_publish_command(Parser& parser, Context& context) {
  auto options = std::make_shared<PublishOptions>();
  parser
      .command("topic publish",
               "publish messages: each queue that is subscribed and wants one gets it",
               [&context, options] { return publish_topic(context, *options); })
      .argument("TOPIC", options->topic, "")
      .optional_argument("BODY", options->body, "without it, standard input is the body")
      .option("--file", "F", options->file, "the body is this file's bytes")
      .flag("--lines", options->lines, "each line of the input is a message")
      .option("--subject", "S", options->subject, "of the envelope: 1 to 100 characters")
      .flag("--structured", options->structured,
            "the body is JSON with a text for each protocol and a \"default\"")
      .option("--group", "G", options->group, "message group", check_message_id)
      .option("--dedup", "ID", options->dedup, "deduplication id, on a FIFO topic",
              check_message_id)
      .repeated("--attr", "NAME=VALUE", options->attributes,
                "an attribute; NAME:TYPE=VALUE if it is no String");
}

}  // namespace millrace::tools
