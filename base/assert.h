// MR_ASSERT: our bugs stop the process, in release builds too. Never for what a client or a disk
// can cause: that is an Errc. MR_CHECK_DEEP: walks whose cost grows with state; on in debug and
// sanitizer builds and in the simulator (MILLRACE_DEEP_CHECKS).
#pragma once

namespace millrace::base {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
}

#define MR_ASSERT(condition)                                           \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::millrace::base::assert_failed(#condition, __FILE__, __LINE__); \
  } while (false)

#ifdef MILLRACE_DEEP_CHECKS
#define MR_CHECK_DEEP(condition) MR_ASSERT(condition)
#elif defined(MILLRACE_SHARED_WITH_TWIN)
#define MR_CHECK_DEEP(condition) \
  static_assert(false, "list this source as PLANTED in its CMakeLists.txt")
#else
#define MR_CHECK_DEEP(condition) \
  do {                           \
  } while (false)
#endif
