// Opens a data directory in this process and compares what is in its queues with what was
// acknowledged.
#pragma once

#include <string>

#include "tests/blackbox/crash_queues.h"

namespace millrace::blackbox {

// Empty if every obligation holds; else one line naming the first broken promise. The directory is
// recovered, and so changed.
std::string check_image(const std::string& data_directory, const World& world);

}  // namespace millrace::blackbox
