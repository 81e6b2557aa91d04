#include "tests/checker/check_run.h"

#include <chrono>
#include <sys/resource.h>

namespace millrace::checker {

bool check(const std::vector<std::string>& paths, const Limits& limits, CheckRun& run,
           InputError& error) {
  const auto start = std::chrono::steady_clock::now();
  History history;
  if (!find_files(paths, run.input.files, error)) return false;
  if (!read_files(run.input, history, error)) return false;
  history.seal();
  for (const Family family : kFamilies)
    family(history, limits, run.findings);
  run.counts = history.counts();
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  run.peak_kib = static_cast<uint64_t>(usage.ru_maxrss);
  return true;
}

}  // namespace millrace::checker
