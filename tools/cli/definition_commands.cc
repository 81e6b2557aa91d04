// millrace export | import
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include "engine/queue_attributes.h"
#include "tools/cli/command.h"
#include "tools/common/definition_run.h"
#include "tools/common/definitions.h"

namespace millrace::tools {
namespace {

using client::QueueDescription;

// All queues with what is set of them; false after the line on standard error.
bool describe_all(Context& context, std::vector<QueueDescription>& queues) {
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return false;
  const auto listed = broker->list_queues("");
  if (!listed) {
    context.refused("queues");
    return false;
  }
  constexpr size_t kAtOnce = 100;
  for (size_t at = 0; at < listed->size(); at += kAtOnce) {
    std::vector<QueueId> ids;
    for (size_t i = at; i < std::min(at + kAtOnce, listed->size()); ++i)
      ids.push_back((*listed)[i].id);
    auto described = broker->queue_stats(ids, true);
    if (!described) {
      context.refused("queues");
      return false;
    }
    for (QueueDescription& queue : *described)
      queues.push_back(std::move(queue));
  }
  return true;
}

class ClientAdmin final : public QueueAdmin {
 public:
  explicit ClientAdmin(Context& context) : context_(context) {}

  bool list(std::map<std::string, QueueAttributes>& queues, std::string* why) override {
    std::vector<QueueDescription> described;
    if (!describe_all(context_, described)) return false;
    for (QueueDescription& queue : described) {
      QueueAttributes& attributes = queues[queue.name];
      ids_[queue.name] = queue.id;
      if (!engine::apply_settings({std::move(queue.attributes), std::move(queue.tags), {}}, true,
                                  &attributes, why)) {
        *why = fmt::format("queue '{}' of the server: {}", queue.name, *why);
        return false;
      }
    }
    return true;
  }
  bool create(const std::string& name, const QueueSettings& settings, std::string* why) override {
    const auto made = context_.connect()->create_queue(name, settings);
    if (made) ids_[name] = *made;
    return note(made.has_value(), why);
  }
  bool set(const std::string& name, const QueueSettings& settings, std::string* why) override {
    return note(context_.connect()->set_queue(ids_.at(name), settings).has_value(), why);
  }

 private:
  bool note(bool done, std::string* why) {
    if (!done) *why = context_.connect()->error_text();
    return done;
  }

  Context& context_;
  std::map<std::string, QueueId> ids_;
};

int export_definitions(Context& context, const std::optional<std::string>& file) {
  if (context.json) return misuse("export writes TOML; 'queue list' and 'queue show' have --json");
  std::vector<QueueDescription> queues;
  if (!describe_all(context, queues)) return kRefused;
  std::string text;
  for (const QueueDescription& queue : queues) {
    if (!text.empty()) text += '\n';
    text += definition_text(queue.name, queue.attributes, queue.tags);
  }
  if (!file) {
    print_text(text);
    return kDone;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file->c_str(), "wxe"),
                                                            std::fclose);
  if (out == nullptr)
    return refuse(fmt::format("'{}' can't be made: {}", *file, std::strerror(errno)));
  if (std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() ||
      std::fflush(out.get()) != 0)
    return refuse(fmt::format("'{}' can't be written: {}", *file, std::strerror(errno)));
  fmt::print(stderr, "{} queue{} in {}\n", queues.size(), queues.size() == 1 ? "" : "s", *file);
  return kDone;
}

void tell(const Context& context, const DefinitionOutcome& outcome, bool dry_run) {
  constexpr const char* kWords[] = {"created", "changed", "left"};
  const char* const word = kWords[static_cast<size_t>(outcome.kind)];
  if (context.json)
    return print_json({{"name", outcome.name},
                       {"outcome", word},
                       {"changes", outcome.changes},
                       {"dry_run", dry_run}});
  print_text(fmt::format("{:<8} {}{}{}\n", word, outcome.name, outcome.changes.empty() ? "" : ": ",
                         fmt::join(outcome.changes, ", ")));
}

int import_definitions(Context& context, const std::string& file, bool dry_run) {
  std::vector<QueueDefinition> definitions;
  std::string why;
  if (!read_definitions(file, definitions, &why)) return misuse(why);
  if (context.connect() == nullptr) return kRefused;
  ClientAdmin admin(context);
  std::vector<DefinitionOutcome> outcomes;
  const RunEnd end = run_definitions(definitions, admin, dry_run, outcomes, &why);
  if (end != RunEnd::done) return why.empty() ? kRefused : refuse(why);
  for (const DefinitionOutcome& outcome : outcomes)
    tell(context, outcome, dry_run);
  if (!context.json)
    print_text(fmt::format("{}{}\n", summary_of(outcomes),
                           dry_run ? "; nothing was done (--dry-run)" : ""));
  return kDone;
}

}  // namespace

void add_definition_commands(Parser& parser, Context& context) {
  auto to = std::make_shared<std::optional<std::string>>();
  parser
      .command("export", "write the definitions of all queues, as TOML",
               [&context, to] { return export_definitions(context, *to); })
      .optional_argument("FILE", *to, "a file that is not there yet; else standard output");
  auto from = std::make_shared<std::string>();
  auto dry_run = std::make_shared<bool>(false);
  parser
      .command("import", "create and change queues until they are as a file says",
               [&context, from, dry_run] { return import_definitions(context, *from, *dry_run); })
      .argument("FILE", *from, "definitions, as export writes them")
      .flag("--dry-run", *dry_run, "say what would be done, and do nothing");
}

}  // namespace millrace::tools
