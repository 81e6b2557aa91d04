// Crash points: named places where a test build kills itself as kill -9 would, with what was
// written written and what was not synced not synced.
//
// MILLRACE_CRASH_AT=<name>:<n> makes the process end, by SIGKILL, when it comes to that place for
// the n-th time, on whichever thread. Only the planted twins have them (base/planted.h): in a
// normal build crash_here() is empty and not even its name is left. tests/blackbox/crash_points.h
// lists them.
//
// Threads: any.
#pragma once

#ifdef MILLRACE_SHARED_WITH_TWIN
#error "list this source as PLANTED in its CMakeLists.txt"
#endif

namespace millrace::base {

#ifdef MILLRACE_PLANTED_BUGS
void crash_here(const char* name);
#else
constexpr void crash_here(const char*) {}
#endif

}  // namespace millrace::base
