// EchoLoad: frames there and back, `batch` of them in each write: the ceiling that the network,
// the frame codec and the reactor set, whatever is stored.
//
// Below the Client on purpose: frames are built once, and for each write only the correlation ids
// and checksums are renewed. What comes back is counted, and its length, opcode and id checked.
// Threads: one.
#pragma once

#include <string>

#include "tools/bench/load.h"
#include "tools/bench/options.h"

namespace millrace::tools {

// Error: as the connection's; `message` gets one line.
Status run_echo(const BenchOptions& options, LoadResult& result, std::string* message);

}  // namespace millrace::tools
