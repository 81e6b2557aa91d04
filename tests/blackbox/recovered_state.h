// What a start makes of a data directory, as a text that two starts can be compared by.
#pragma once

#include <string>

namespace millrace::blackbox {

// Copies the directory twice, opens each copy in this process, with clock and entropy that are the
// same, and compares all that the starts replayed - the shards' whole state as a checkpoint would
// hold it, the queues, the reports - and what they left of the files. Empty if it is equal to the
// byte, else one line. The directory itself is only read; `scratch` is a folder to work in.
std::string recovers_alike(const std::string& data_directory, const std::string& scratch);

}  // namespace millrace::blackbox
