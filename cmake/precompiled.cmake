# Precompiled headers: what most sources include of other people's, read once for each kind of flags
# and not once for each source.
#
# Nothing of ours is in them, so that a change of ours never compiles them anew and no source gets
# away with an #include of ours that it lacks. An #include of others that is missing shows in the
# presets that build without them: debug, asan, tsan, fuzz. The kinds are what cmake/targets.cmake
# gives out of exceptions and RTTI; definitions and -O1 or -O2 may differ within a kind, -O0 not.
if(NOT MILLRACE_PRECOMPILED)
  function(millrace_precompiled)

  endfunction()
  return()
endif()

# target is compiled with the flags of the kind: library, program or test. fmt for its definitions, which
# the headers were read with.
function(millrace_precompiled target kind)
  target_link_libraries(${target} PRIVATE fmt::fmt)
  target_precompile_headers(${target} REUSE_FROM millrace_precompiled_${kind})
endfunction()

function(millrace_precompile kind)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;LINKS;HEADERS")
  set(source ${PROJECT_BINARY_DIR}/precompiled_${kind}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(millrace_precompiled_${kind} OBJECT ${source})
  target_compile_options(millrace_precompiled_${kind} PRIVATE ${arg_OPTIONS})
  if("-fPIE" IN_LIST arg_OPTIONS)
    set_target_properties(millrace_precompiled_${kind} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  endif()
  target_link_libraries(millrace_precompiled_${kind} PRIVATE millrace_flags ${arg_LINKS})
  target_precompile_headers(millrace_precompiled_${kind} PRIVATE ${arg_HEADERS})
endfunction()

set(headers
    <algorithm>
    <array>
    <atomic>
    <bit>
    <charconv>
    <condition_variable>
    <cstdint>
    <cstdio>
    <cstdlib>
    <cstring>
    <deque>
    <functional>
    <limits>
    <map>
    <memory>
    <mutex>
    <optional>
    <set>
    <span>
    <string>
    <string_view>
    <thread>
    <type_traits>
    <unordered_map>
    <utility>
    <vector>
    <boost/unordered/unordered_flat_map.hpp>
    <boost/unordered/unordered_flat_set.hpp>
    <fmt/format.h>)
millrace_precompile(
  library
  OPTIONS -fno-exceptions -fno-rtti
  LINKS fmt::fmt
  HEADERS ${headers})
# -fPIE is what executables get where libraries get -fPIC.
millrace_precompile(
  program
  OPTIONS -fPIE
  LINKS fmt::fmt
  HEADERS ${headers})
if(MILLRACE_TESTS)
  millrace_precompile(
    test
    OPTIONS -fPIE -fno-rtti ${millrace_test_options}
    LINKS fmt::fmt GTest::gtest
    HEADERS ${headers} <gtest/gtest.h>)
endif()
