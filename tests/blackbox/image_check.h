// Opens a data directory in this process and compares what is in its queues with what was
// acknowledged.
#pragma once

#include <string>
#include <vector>

#include "tests/blackbox/history_client.h"

namespace millrace::blackbox {

// Empty if every obligation holds; else one line naming the first broken promise. The directory is
// recovered, and so changed.
std::string check_image(const std::string& data_directory, const std::vector<Queue>& queues,
                        const Obligations& obligations);

}  // namespace millrace::blackbox
