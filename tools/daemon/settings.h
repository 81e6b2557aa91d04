// Settings: what millraced was told, and by whom: file < environment < flags.
//
// Each setting is one row of a table in settings.cc: its key (the flag without dashes, the TOML
// key, and in capitals the variable), its default, its help, and the function that reads its text.
// Threads: one, at start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log_line.h"
#include "millrace/options.h"
#include "net/delivery/reach.h"
#include "net/metrics/metrics_front.h"
#include "net/sns/settings.h"
#include "net/sqs/settings.h"

namespace millrace::tools {

constexpr int kExitUsage = 2;  // the command line, the environment or the file

struct Settings {
  BrokerOptions broker;
  std::string listen;
  std::string http;
  net::sqs::SqsSettings sqs;
  net::sns::SnsSettings sns;  // account and region are as SQS's
  std::string credentials;    // files; empty: none
  std::string tls_certificate;
  std::string tls_key;
  std::string audit;                // a file, or "-"; empty: none
  net::delivery::Reach deliver_to;  // nobody, unless it is said
  std::string deliver_ca;           // a file; empty: the system's
  bool insecure = false;
  bool test_api = false;
  bool localstack = false;  // be found where LocalStack is
  std::string definitions;  // a file; empty: none
  net::MetricsSettings metrics{.version = MILLRACE_VERSION};
  uint32_t spin_us = 0;
  uint32_t trace_turns_us = 0;
  base::LogFormat log_format = base::LogFormat::text;
  base::LogLevel log_level = base::LogLevel::info;
  bool check_config = false;
  std::vector<std::string> effective;  // "shards = 2 (default)", one a setting, for --check-config
};

// "commit", "interval=100", "none".
std::string durability_text(const BrokerOptions& options);

// Reads the command line, the environment and the file. Returns true with `settings` filled, or
// false with the exit code: 0 after --help or --version, 2 after one line on standard error.
bool read_settings(int argc, char** argv, Settings& settings, int& exit_code);

}  // namespace millrace::tools
