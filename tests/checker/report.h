// Report: what a run of the checker says, for people (a table and the first violation of each rule
// with its lines) or as one JSON object. The lines are read again from their files.
#pragma once

#include <string>

#include "tests/checker/check_run.h"

namespace millrace::checker {

std::string text_report(const CheckRun& run);
std::string json_report(const CheckRun& run);

}  // namespace millrace::checker
