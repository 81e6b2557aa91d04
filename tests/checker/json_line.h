// JsonLine: turns one line of JSON text into an Event.
//
// Strict on purpose: an unknown field, a wrong type or a value out of range is an error, because a
// misspelt field would silently weaken a rule. Memory: one line. Threads: one parser per thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/checker/event.h"

namespace millrace::checker {

class JsonLine {
 public:
  // Bytes that must be readable behind a line; their content does not matter.
  static constexpr size_t kPadding = 64;

  JsonLine();
  ~JsonLine();

  // Fills `event`, whose views live until the next call. Returns what is wrong, or an empty text.
  std::string parse(std::string_view line, Event& event);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace millrace::checker
