// millrace: the command line. Every family of commands is a file of its own; see command.h.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tools/cli/command.h"
#include "tools/common/receipt_text.h"

int main(int argc, char** argv) {
  using namespace millrace::tools;
  std::signal(SIGPIPE, SIG_DFL);  // `millrace tail q | head` ends quietly
  Parser parser("millrace", "Queues and topics of a Millrace broker, from the command line.",
                MILLRACE_VERSION);
  Context context;
  const char* named = std::getenv("MILLRACE_SERVER");
  context.server = named != nullptr ? named : "127.0.0.1:7411";
  parser.root()
      .option("--server", "ADDR", context.server,
              "ADDR:PORT or unix:PATH [MILLRACE_SERVER, else 127.0.0.1:7411]")
      .option("--user", "ID", context.login.user, kUserHelp)
      .option("--secret-file", "FILE", context.login.secret_file, kSecretFileHelp)
      .flag("--json", context.json, "one line of JSON for each result, for scripts");
  add_queue_commands(parser, context);
  add_send_command(parser, context);
  add_lease_commands(parser, context);
  add_tail_command(parser, context);
  add_top_command(parser, context);
  add_redrive_command(parser, context);
  add_log_commands(parser, context);
  add_backup_command(parser, context);
  add_restore_command(parser, context);
  add_trace_command(parser, context);
  add_topic_commands(parser, context);
  add_publish_command(parser, context);
  add_subscription_commands(parser, context);
  add_filter_command(parser, context);
  add_definition_commands(parser, context);
  parser.take_as_argument([](const std::string& text) { return parse_receipt(text).has_value(); });
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  const int exit_code = parser.run();
  // Output that did not reach where it was meant to go is a failure.
  if (std::fflush(stdout) != 0 && exit_code == kDone) return refuse("cannot write the output");
  return exit_code;
}
