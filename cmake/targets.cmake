# How a folder's CMakeLists.txt declares what it builds. A source is listed by name, never globbed.
#
#   millrace_library(NAME millrace_storage SOURCES log_open.cc ... [PLANTED log.cc ...]
#                    LINKS millrace_base [PRIVATE_LINKS ...])
#   millrace_program(NAME millraced SOURCES main.cc ... LINKS millrace_net CLI11::CLI11)
#   millrace_test(NAME log_test SOURCES log_test.cc ... LINKS millrace_storage
#                 [LABELS fast|slow] [TIMEOUT seconds] [WHOLE] [ARGUMENTS ...])
#   millrace_fuzzer(NAME frame_fuzzer SOURCES frame_fuzzer.cc LINKS millrace_net [CORPUS folder])
#   millrace_bench(NAME log_bench SOURCES log_bench.cc LINKS millrace_storage)
#
# Libraries are built without exceptions and RTTI. Tests and benchmarks may throw but have no RTTI
# either, so that a fake can derive from a library's class; programs have both, since the libraries
# that parse their options and files throw.

# What every translation unit of ours is compiled with: includes from the root, and the flags.
function(millrace_compile target)
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                     $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:millrace_flags>)
endfunction()

# With MILLRACE_UNITY, several sources make one translation unit: half the time for a build from
# nothing, and a slower one after a change of one source.
function(millrace_unity target)
  if(MILLRACE_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    # clang takes a name of one file's for a shadow of another's.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:Clang>:-Wno-shadow>)
  endif()
endfunction()

# Beside each library NAME stands NAME_planted: the same library with the planted bugs compiled in
# (base/planted.h, none of them on) and the deep checks (base/assert.h), linked to the planted twins of
# what it links. It is what the simulator links: so one build tests both the code and the tests. The
# sources that have such a place are listed as PLANTED and compiled once more for the twin; all others
# are compiled once and are in both. With MILLRACE_PLANTED_BUGS the two are the same.
function(millrace_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;PLANTED;LINKS;PRIVATE_LINKS")
  millrace_library_part(${arg_NAME}_common OBJECT "${arg_SOURCES}" "${arg_LINKS}"
                        "${arg_PRIVATE_LINKS}")
  set(common $<TARGET_OBJECTS:${arg_NAME}_common>)
  millrace_library_part(${arg_NAME} STATIC "${arg_PLANTED};${common}" "${arg_LINKS}"
                        "${arg_PRIVATE_LINKS}")
  if(MILLRACE_PLANTED_BUGS)
    target_compile_definitions(${arg_NAME} INTERFACE MILLRACE_PLANTED_BUGS=1)
    add_library(${arg_NAME}_planted ALIAS ${arg_NAME})
    return()
  endif()
  # Makes an error of a place that is not compiled twice.
  target_compile_definitions(${arg_NAME}_common PRIVATE MILLRACE_SHARED_WITH_TWIN=1)
  set(twins ${arg_LINKS})
  set(private_twins ${arg_PRIVATE_LINKS})
  list(TRANSFORM twins APPEND _planted REGEX "^millrace_")
  list(TRANSFORM private_twins APPEND _planted REGEX "^millrace_")
  millrace_library_part(${arg_NAME}_planted STATIC "${arg_PLANTED};${common}" "${twins}"
                        "${private_twins}")
  target_compile_definitions(${arg_NAME}_planted PUBLIC MILLRACE_PLANTED_BUGS=1
                                                        MILLRACE_DEEP_CHECKS=1)
  set_target_properties(${arg_NAME}_planted PROPERTIES EXCLUDE_FROM_ALL TRUE)
endfunction()

function(millrace_library_part name kind sources links private_links)
  add_library(${name} ${kind} ${sources})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  millrace_compile(${name})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
                                         $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  millrace_precompiled(${name} library)
  millrace_unity(${name})
  target_link_libraries(
    ${name}
    PUBLIC ${links}
    PRIVATE ${private_links})
endfunction()

function(millrace_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINKS")
  add_executable(${arg_NAME} ${arg_SOURCES})
  millrace_compile(${arg_NAME})
  millrace_precompiled(${arg_NAME} program)
  millrace_unity(${arg_NAME})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LINKS} millrace_program_flags)
  target_compile_definitions(${arg_NAME} PRIVATE MILLRACE_VERSION="${PROJECT_VERSION}")
  # A sanitizer brings its own allocator. The program names no symbol of mimalloc, which takes
  # malloc's place by being loaded: hence --no-as-needed.
  if(NOT MILLRACE_SANITIZE AND NOT MILLRACE_FUZZ)
    target_link_options(${arg_NAME} PRIVATE -Wl,--push-state,--no-as-needed
                        $<TARGET_FILE:mimalloc> -Wl,--pop-state)
  endif()
endfunction()

# Not optimised: what takes time when a test runs is in the libraries; what takes time to build is not.
# FORTIFY needs the optimiser.
function(millrace_compile_test target)
  millrace_compile(${target})
  target_compile_options(${target} PRIVATE -fno-rtti ${millrace_test_options})
  millrace_precompiled(${target} test)
endfunction()

# One ctest entry per test case, asked from the executable when ctest starts: the summary counts
# behaviours, and a failing case is named. WHOLE makes one entry of the executable, for those that
# share a costly set-up or are no GoogleTest program.
function(millrace_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "WHOLE" "NAME;TIMEOUT;LABELS" "SOURCES;LINKS;ARGUMENTS")
  if(NOT arg_LABELS)
    set(arg_LABELS fast)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  millrace_compile_test(${arg_NAME})
  # g++ 12 sees overlaps and overruns in a std::string that is put together from literals, depending on
  # how long they are; and the tests' literals hold the folder that they are built in.
  target_compile_options(
    ${arg_NAME}
    PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>
            $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
  # With AddressSanitizer it also takes parts of a std::regex for uninitialised.
  if(MILLRACE_SANITIZE)
    target_compile_options(${arg_NAME} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
  millrace_unity(${arg_NAME})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LINKS} GTest::gtest GTest::gtest_main
                                            Threads::Threads)
  if(arg_WHOLE)
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_ARGUMENTS})
    set_tests_properties(${arg_NAME} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  else()
    gtest_discover_tests(
      ${arg_NAME}
      DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 30
      EXTRA_ARGS ${arg_ARGUMENTS}
      PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  endif()
endfunction()

# With MILLRACE_FUZZ a libFuzzer program. Without it, the same entry point behind a small driver that
# replays the corpus and simple damage to it, so that every build tests every parser.
function(millrace_fuzzer)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;CORPUS" "SOURCES;LINKS")
  set(corpus)
  if(arg_CORPUS)
    set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS})
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  millrace_compile_test(${arg_NAME})
  # GoogleTest for its definitions, which a test's precompiled headers were read with.
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LINKS} GTest::gtest Threads::Threads)
  if(MILLRACE_FUZZ)
    target_link_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
    # New findings go to the build tree; the corpus in the source tree is only read.
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${arg_NAME}_findings)
    set(dictionary ${CMAKE_CURRENT_SOURCE_DIR}/${arg_NAME}.dict)
    if(EXISTS ${dictionary})
      set(dictionary -dict=${dictionary})
    else()
      set(dictionary)
    endif()
    add_test(NAME ${arg_NAME}
             COMMAND ${arg_NAME} -max_total_time=30 -timeout=1 -rss_limit_mb=512 -max_len=65536
                     ${dictionary} ${CMAKE_CURRENT_BINARY_DIR}/${arg_NAME}_findings ${corpus})
    # What AddressSanitizer keeps of freed memory is not the program's.
    set_tests_properties(${arg_NAME} PROPERTIES LABELS fuzz TIMEOUT 120 ENVIRONMENT
                                                ASAN_OPTIONS=quarantine_size_mb=32)
  else()
    if(NOT TARGET millrace_fuzz_replay)
      add_library(millrace_fuzz_replay OBJECT ${PROJECT_SOURCE_DIR}/cmake/fuzz_replay.cc)
      millrace_compile_test(millrace_fuzz_replay)
      # As what is linked to a program is compiled.
      target_compile_options(millrace_fuzz_replay PRIVATE -fPIE)
      set_target_properties(millrace_fuzz_replay PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_link_libraries(millrace_fuzz_replay PRIVATE GTest::gtest)
    endif()
    target_link_libraries(${arg_NAME} PRIVATE millrace_fuzz_replay)
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${corpus})
    set_tests_properties(${arg_NAME} PROPERTIES LABELS fast TIMEOUT 60)
  endif()
endfunction()

function(millrace_bench)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINKS")
  add_executable(${arg_NAME} ${arg_SOURCES})
  millrace_compile(${arg_NAME})
  target_compile_options(${arg_NAME} PRIVATE -fno-rtti)
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LINKS} benchmark::benchmark_main
                                            Threads::Threads)
endfunction()
