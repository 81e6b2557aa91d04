// StartDefinitions: brings the queues and topics of a broker that is open, and that nobody drives
// yet, to what a file of definitions says.
//
// It ticks the shards itself until each change is durable, so it must be done before the server
// takes them over. Threads: the program's, at start.
#pragma once

#include <functional>
#include <string>

#include "millrace/engine.h"
#include "tools/common/definition_run.h"

namespace millrace::tools {

// `arn_of_queue`: what a subscription's endpoint is called. `why`: what was wrong, one line; else
// what was done.
RunEnd apply_at_start(Broker& broker, const Definitions& definitions,
                      const std::function<std::string(const std::string& queue)>& arn_of_queue,
                      std::string* why);

}  // namespace millrace::tools
