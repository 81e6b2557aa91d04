# What a build can be asked for, and the compiler flags that follow.
#
# All flags hang on two interface targets: millrace_flags (every target of ours) and
# millrace_program_flags (executables). Nothing is set globally, so that imported libraries and a
# project that embeds Millrace by add_subdirectory keep their own flags.

option(MILLRACE_TESTS "Build the tests" ON)
option(MILLRACE_BENCH "Build the micro-benchmarks" ON)
option(MILLRACE_FUZZ "Build the fuzzers with libFuzzer (needs clang)" OFF)
option(MILLRACE_PLANTED_BUGS "Compile in the switches of the planted bugs, to test the tests" OFF)
option(MILLRACE_NATIVE "Tune for the processor of this machine instead of x86-64-v2" OFF)
option(MILLRACE_HARDENED "Stack protector, FORTIFY, standard library assertions" ON)
option(MILLRACE_WERROR "Warnings are errors" ON)
option(MILLRACE_PRECOMPILED "Precompile the headers of others" ON)
option(MILLRACE_UNITY "Compile tests, programs and planted twins several sources at a time" ON)
set(MILLRACE_SANITIZE "" CACHE STRING "Sanitizers: empty, address,undefined or thread")
set_property(CACHE MILLRACE_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# A profile and a stack trace name functions by symbols and frame pointers, which are kept; line tables cost a tenth of
# the compiler's time and are RelWithDebInfo's.
set(CMAKE_CXX_FLAGS_RELEASE "-O2" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELEASE "-O2" CACHE STRING "" FORCE)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(MILLRACE_CCACHE ccache)
  mark_as_advanced(MILLRACE_CCACHE)
  if(MILLRACE_CCACHE)
    # Without these it does not cache what uses a precompiled header.
    set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
                 ${MILLRACE_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  endif()
endif()

# What tests have besides, see cmake/targets.cmake.
set(millrace_test_options $<$<CONFIG:Release>:-O0> $<$<CONFIG:Release>:-g0>
                          $<$<CONFIG:Release>:-U_FORTIFY_SOURCE>)

add_library(millrace_flags INTERFACE)
add_library(millrace_program_flags INTERFACE)

target_compile_options(millrace_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow)
# With AddressSanitizer g++ 12 sees overlaps in a std::string that is put together.
if(MILLRACE_SANITIZE)
  target_compile_options(millrace_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
endif()
if(MILLRACE_WERROR)
  target_compile_options(millrace_flags INTERFACE -Werror)
endif()
# Position-independent, but our own calls inside the shared library need not be replaceable.
target_compile_options(millrace_flags INTERFACE -fno-semantic-interposition
                                                -fno-omit-frame-pointer)

# g++ looks for what it can throw away each time its heap has grown by so many KiB: rarely takes a
# tenth less time, and a tenth more memory (0.7 GB at most).
target_compile_options(millrace_flags
                       INTERFACE $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=524288>)

if(MILLRACE_NATIVE)
  target_compile_options(millrace_flags INTERFACE -march=native)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(millrace_flags INTERFACE -march=x86-64-v2)
endif()

if(MILLRACE_HARDENED)
  target_compile_options(millrace_flags INTERFACE -fstack-protector-strong)
  target_compile_definitions(millrace_flags INTERFACE _GLIBCXX_ASSERTIONS)
  # FORTIFY needs the optimiser, and the sanitizers want the plain functions to intercept.
  if(NOT MILLRACE_SANITIZE AND NOT MILLRACE_FUZZ)
    target_compile_definitions(
      millrace_flags INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
  endif()
  target_link_options(millrace_program_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()

# Walks over whole structures (base/assert.h), where speed is not what a build is for.
if(MILLRACE_SANITIZE OR MILLRACE_FUZZ)
  target_compile_definitions(millrace_flags INTERFACE MILLRACE_DEEP_CHECKS=1)
else()
  target_compile_definitions(millrace_flags INTERFACE $<$<CONFIG:Debug>:MILLRACE_DEEP_CHECKS=1>)
endif()

if(MILLRACE_PLANTED_BUGS)
  target_compile_definitions(millrace_flags INTERFACE MILLRACE_PLANTED_BUGS=1
                                                      MILLRACE_DEEP_CHECKS=1)
endif()

if(MILLRACE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "MILLRACE_FUZZ needs clang: use the preset fuzz")
  endif()
  target_compile_options(millrace_flags INTERFACE -fsanitize=fuzzer-no-link)
  if(NOT MILLRACE_SANITIZE)
    set(MILLRACE_SANITIZE "address,undefined")
  endif()
endif()

if(MILLRACE_SANITIZE)
  # vptr needs RTTI, which the library is built without.
  target_compile_options(millrace_flags INTERFACE -fsanitize=${MILLRACE_SANITIZE}
                                                  -fno-sanitize-recover=all)
  target_link_options(millrace_flags INTERFACE -fsanitize=${MILLRACE_SANITIZE})
  if(MILLRACE_SANITIZE MATCHES "undefined")
    target_compile_options(millrace_flags INTERFACE -fno-sanitize=vptr)
    target_link_options(millrace_flags INTERFACE -fno-sanitize=vptr)
  endif()
endif()
