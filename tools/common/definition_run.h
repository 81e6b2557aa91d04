// DefinitionRun: makes the queues of a file out of those that a broker has.
//
// What is missing is created, what differs is set; what the file does not name stays as it is, and
// nothing is deleted. So the same file again changes nothing. All is compared and checked before
// anything is done; what only the broker can say may still stop the run half-way, and the next
// one goes on from there. Redrive policies come last, when their queues are there.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "millrace/options.h"
#include "tools/common/definitions.h"

namespace millrace::tools {

// The broker as a run needs it. Each call waits for its answer; false: `why` has one line.
class QueueAdmin {
 public:
  virtual ~QueueAdmin() = default;
  virtual bool list(std::map<std::string, QueueAttributes>& queues, std::string* why) = 0;
  virtual bool create(const std::string& name, const QueueSettings& settings, std::string* why) = 0;
  virtual bool set(const std::string& name, const QueueSettings& settings, std::string* why) = 0;
};

struct DefinitionOutcome {
  enum class Kind : uint8_t { created, changed, left };
  std::string name;
  Kind kind{};
  std::vector<std::string> changes;  // "VisibilityTimeout 30 -> 60", "tag team -> web"
};

enum class RunEnd : uint8_t {
  done,
  conflict,  // the file and the broker's queues cannot both be right; nothing was done
  refused,   // the broker said no, or is gone
};

// `why`: one line, with the file's if it is about a queue of it.
RunEnd run_definitions(std::span<const QueueDefinition> definitions, QueueAdmin& admin,
                       bool dry_run, std::vector<DefinitionOutcome>& outcomes, std::string* why);

// "3 queues: 1 created, 1 changed, 1 as before".
std::string summary_of(std::span<const DefinitionOutcome> outcomes);

}  // namespace millrace::tools
