// Parser: the options and commands of a program, declared; --help, --version and the one line about
// what is wrong come by themselves.
//
//   Parser parser("millrace", "Queues ...", "0.1.0");
//   parser.root().option("--server", "ADDR", server, "where the broker is");
//   parser.command("queue create", "make a queue", [..] { return create(..); })
//       .argument("NAME", *name, "1 to 80 characters");
//   if (auto exit_code = parser.parse(argc, argv)) return *exit_code;
//   return parser.run();
//
// A program without commands leaves out command() and run().
// CLI11 does the work, in parser.cc alone: including it costs ten seconds of compiling per file.
// Memory: what is handed in by reference must live until run() returns; a command keeps it in what
// its function captures.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::tools {

// What is wrong with a text, "'x' is not ..."; empty if it is allowed.
using Check = std::function<std::string(const std::string& text)>;
// Whole numbers, seconds with up to three decimals, one of several words.
Check whole_between(uint64_t low, uint64_t high);
Check seconds_up_to(uint64_t ms_max);
Check one_of(std::vector<std::string> words);

// What one command (or the program itself) takes. Texts stay as they are if an option is not given.
class Arguments {
 public:
  virtual ~Arguments() = default;
  virtual Arguments& argument(const char* name, std::string& to, const char* help,
                              Check check = {}) = 0;
  virtual Arguments& optional_argument(const char* name, std::optional<std::string>& to,
                                       const char* help) = 0;
  // One or more, to the end of the line; none will do too.
  virtual Arguments& arguments(const char* name, std::vector<std::string>& to,
                               const char* help) = 0;
  virtual Arguments& optional_arguments(const char* name, std::vector<std::string>& to,
                                        const char* help) = 0;
  virtual Arguments& option(const char* name, const char* type, std::optional<std::string>& to,
                            const std::string& help, Check check = {}) = 0;
  virtual Arguments& option(const char* name, const char* type, std::string& to,
                            const std::string& help, Check check = {}) = 0;
  // A whole number of 64 bits.
  virtual Arguments& option(const char* name, const char* type, uint64_t& to,
                            const std::string& help) = 0;
  // May be given many times.
  virtual Arguments& repeated(const char* name, const char* type, std::vector<std::string>& to,
                              const std::string& help) = 0;
  virtual Arguments& flag(const char* name, bool& to, const std::string& help) = 0;
};

class Parser {
 public:
  Parser(const std::string& program, const std::string& description, const std::string& version);
  ~Parser();
  Arguments& root();
  // `path` is one or two words; `family_help` describes the first of two when it is new.
  Arguments& command(const std::string& path, const char* help, std::function<int()> run,
                     const char* family_help = "");
  // Texts for which this is true are arguments though they start with '-', as a receipt may.
  void take_as_argument(std::function<bool(const std::string& text)> is_argument);
  // Nothing: go on. 0 after --help or --version, 2 after one line on standard error.
  std::optional<int> parse(int argc, const char* const* argv);
  // What the command that was asked for returns.
  int run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::tools
