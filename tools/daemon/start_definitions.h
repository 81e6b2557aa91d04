// StartDefinitions: brings the queues of a broker that is open, and that nobody drives yet, to what
// a file of definitions says.
//
// It ticks the shards itself until each change is durable, so it must be done before the server
// takes them over. Threads: the program's, at start.
#pragma once

#include <span>
#include <string>

#include "millrace/engine.h"
#include "tools/common/definition_run.h"

namespace millrace::tools {

// `why`: what was wrong, one line; else what was done.
RunEnd apply_at_start(Broker& broker, std::span<const QueueDefinition> definitions,
                      std::string* why);

}  // namespace millrace::tools
