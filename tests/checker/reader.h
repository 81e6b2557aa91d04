// Reader: the files of a history, line by line, into a History.
//
// One pass, one buffer; a line may be up to kLineBytesMax. A last line without its newline is torn:
// its writer died before the line was whole, so nothing that depended on it has happened. It is
// counted and skipped. Anything else that cannot be read makes the input unusable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/checker/history.h"

namespace millrace::checker {

inline constexpr size_t kLineBytesMax = size_t{1} << 20;

struct InputError {
  std::string file;
  uint64_t line = 0;  // 0: about the file as a whole
  std::string what;
};

struct InputFacts {
  std::vector<std::string> files;
  uint64_t lines = 0, bytes = 0, torn_lines = 0;
};

// The files to read: a folder stands for its *.jsonl, sorted; a file for itself.
// False, with `error` filled, if one does not exist or there are none.
bool find_files(const std::vector<std::string>& paths, std::vector<std::string>& files,
                InputError& error);

// Reads all of facts.files. False, with `error` filled, at the first line that is not usable.
bool read_files(InputFacts& facts, History& history, InputError& error);

}  // namespace millrace::checker
