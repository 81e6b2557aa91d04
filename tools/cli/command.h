// Command: what every command of `millrace` shares: the connection, the form of the output, and how
// it ends.
//
// Exit codes: 0 done, 1 refused or failed (one line on standard error), 2 wrong usage. A command is
// a function that returns one of them; its options are checked by the parser before it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "clients/cpp/blocking_client.h"
#include "millrace/options.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "tools/common/login.h"
#include "tools/common/parser.h"

namespace millrace::tools {

inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;
inline constexpr int kUsage = 2;

// Keys in the order they are written.
using Json = nlohmann::ordered_json;

struct Context {
  std::string server;
  LoginFlags login;
  bool json = false;

  // Connected on first use; null after the one line was written.
  client::BlockingClient* connect();
  // The queue of this name; false after the one line was written.
  bool resolve(const std::string& name, QueueId& queue);
  // "WHAT: why", with the server's reason, to standard error. Returns kRefused.
  int refused(std::string_view what) const;

 private:
  std::unique_ptr<client::BlockingClient> client_;
};

// "NAME=VALUE" as given.
bool split_named(const std::string& text, NamedText& named);
// One line on standard error.
int refuse(std::string_view line);
int misuse(std::string_view line);
// One line of JSON, or text, on standard output.
void print_json(const Json& json);
void print_text(std::string_view text);
// `text` under `key`, or under the key with "_base64url" if it is no UTF-8.
void put_text(Json& json, const std::string& key, std::string_view text);
// Milliseconds of a text that seconds_up_to() has let through.
uint32_t seconds_to_ms(const std::string& text);
int64_t wall_clock_ms();

void add_queue_commands(Parser& parser, Context& context);
void add_send_command(Parser& parser, Context& context);
void add_lease_commands(Parser& parser, Context& context);  // receive, ack, extend, peek
void add_tail_command(Parser& parser, Context& context);
void add_top_command(Parser& parser, Context& context);
void add_redrive_command(Parser& parser, Context& context);
void add_backup_command(Parser& parser, Context& context);
void add_restore_command(Parser& parser, Context& context);
void add_log_commands(Parser& parser, Context& context);
void add_trace_command(Parser& parser, Context& context);
void add_topic_commands(Parser& parser, Context& context);  // create, list, show, set, delete
void add_publish_command(Parser& parser, Context& context);
void add_subscription_commands(Parser& parser, Context& context);  // subscribe, unsubscribe
void add_filter_command(Parser& parser, Context& context);         // test-filter
void add_definition_commands(Parser& parser, Context& context);    // export, import

}  // namespace millrace::tools
