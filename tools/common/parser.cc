#include "tools/common/parser.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

// Stands for a leading '-' while CLI11 tells options from arguments.
constexpr char kDash = '\x1f';

std::string with_dash(std::string text) {
  if (!text.empty() && text[0] == kDash) text[0] = '-';
  return text;
}

class AppArguments final : public Arguments {
 public:
  explicit AppArguments(CLI::App* app) : app_(app) {}

  Arguments& argument(const char* name, std::string& to, const char* help, Check check) override {
    checked(app_->add_option(name, to, help), std::move(check))
        ->type_name("")
        ->required()
        ->transform(with_dash);
    return *this;
  }
  Arguments& optional_argument(const char* name, std::optional<std::string>& to,
                               const char* help) override {
    app_->add_option(name, to, help)->type_name("")->transform(with_dash);
    return *this;
  }
  Arguments& arguments(const char* name, std::vector<std::string>& to, const char* help) override {
    app_->add_option(name, to, help)->type_name("")->required()->expected(-1)->transform(with_dash);
    return *this;
  }
  Arguments& optional_arguments(const char* name, std::vector<std::string>& to,
                                const char* help) override {
    app_->add_option(name, to, help)->type_name("")->expected(-1)->transform(with_dash);
    return *this;
  }
  Arguments& option(const char* name, const char* type, std::optional<std::string>& to,
                    const std::string& help, Check check) override {
    checked(app_->add_option(name, to, help), std::move(check))->type_name(type);
    return *this;
  }
  Arguments& option(const char* name, const char* type, std::string& to, const std::string& help,
                    Check check) override {
    checked(app_->add_option(name, to, help), std::move(check))->type_name(type);
    return *this;
  }
  Arguments& option(const char* name, const char* type, uint64_t& to,
                    const std::string& help) override {
    app_->add_option(name, to, help)->type_name(type);
    return *this;
  }
  Arguments& repeated(const char* name, const char* type, std::vector<std::string>& to,
                      const std::string& help) override {
    app_->add_option(name, to, help)->type_name(type)->allow_extra_args(false);
    return *this;
  }
  Arguments& flag(const char* name, bool& to, const std::string& help) override {
    app_->add_flag(name, to, help);
    return *this;
  }

 private:
  static CLI::Option* checked(CLI::Option* option, Check check) {
    if (check)
      option->check(CLI::Validator([check](std::string& text) { return check(text); }, ""));
    return option;
  }
  CLI::App* app_;
};

}  // namespace

Check whole_between(uint64_t low, uint64_t high) {
  return [low, high](const std::string& text) {
    const Result<uint64_t> value = parse_whole(text);
    if (value && *value >= low && *value <= high) return std::string();
    return fmt::format("'{}' is not a whole number from {} to {}", text, low, high);
  };
}

Check seconds_up_to(uint64_t ms_max) {
  return [ms_max](const std::string& text) {
    const Result<uint64_t> ms = parse_seconds(text);
    if (ms && *ms <= ms_max) return std::string();
    return fmt::format("'{}' is not a number of seconds from 0 to {} with at most 3 decimals", text,
                       format_seconds(ms_max));
  };
}

Check one_of(std::vector<std::string> words) {
  return [words = std::move(words)](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
    return fmt::format("'{}' is none of {}", text, fmt::join(words, ", "));
  };
}

struct Parser::State {
  State(const std::string& description, const std::string& name)
      : app(description, name), program(name) {}
  CLI::App app;
  std::map<std::string, CLI::App*> families;
  std::vector<std::unique_ptr<AppArguments>> arguments;
  std::function<int()> chosen;
  std::function<bool(const std::string&)> is_argument;
  std::string program;
};

Parser::Parser(const std::string& program, const std::string& description,
               const std::string& version)
    : state_(std::make_unique<State>(description, program)) {
  state_->app.set_help_flag("-h,--help", "print this and exit");
  state_->app.set_version_flag("--version", program + " " + version, "print the version and exit");
  state_->app.fallthrough();  // the program's options may stand after the command too
}

Parser::~Parser() = default;

Arguments& Parser::root() {
  return *state_->arguments.emplace_back(std::make_unique<AppArguments>(&state_->app));
}

Arguments& Parser::command(const std::string& path, const char* help, std::function<int()> run,
                           const char* family_help) {
  CLI::App* parent = &state_->app;
  const size_t space = path.find(' ');
  if (space != std::string::npos) {
    CLI::App*& family = state_->families[path.substr(0, space)];
    if (family == nullptr) {
      family = state_->app.add_subcommand(path.substr(0, space), family_help);
      family->require_subcommand(1);
      family->fallthrough();
    }
    parent = family;
  }
  state_->app.require_subcommand(1);
  CLI::App* command = parent->add_subcommand(path.substr(space + 1), help);
  command->fallthrough();
  command->callback([this, run = std::move(run)] { state_->chosen = run; });
  return *state_->arguments.emplace_back(std::make_unique<AppArguments>(command));
}

void Parser::take_as_argument(std::function<bool(const std::string& text)> is_argument) {
  state_->is_argument = std::move(is_argument);
}

std::optional<int> Parser::parse(int argc, const char* const* argv) {
  // CLI11 takes them last first.
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    words.emplace_back(argv[i]);
    if (state_->is_argument && state_->is_argument(words.back()) && words.back()[0] == '-')
      words.back()[0] = kDash;
  }
  try {
    state_->app.parse(std::move(words));
  } catch (const CLI::Success& asked) {
    return state_->app.exit(asked);
  } catch (const CLI::RequiredError& error) {
    // CLI11 says that a command is missing also when the one given is unknown.
    const std::vector<std::string> unknown = state_->app.remaining();
    fmt::print(stderr, "{}: {} ({} --help tells more)\n", state_->program,
               unknown.empty() ? printable(error.what())
                               : "there is no command '" + printable(unknown.front()) + "'",
               state_->program);
    return 2;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {} ({} --help tells more)\n", state_->program, printable(error.what()),
               state_->program);
    return 2;
  }
  return std::nullopt;
}

int Parser::run() {
  return state_->chosen();
}

}  // namespace millrace::tools
