# The libraries we use, all of them Debian packages; docs/dependencies.md says what each is for.
#
# Those without a CMake package are found by pkg-config and given a target of the same shape:
# liburing::liburing, xxhash::xxhash. A library that only programs or tests
# need is looked for only when they are built, and a missing one is named in one line.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

function(millrace_pkg_config target module)
  string(MAKE_C_IDENTIFIER ${module} prefix)
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${module})
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(${target} INTERFACE PkgConfig::${prefix})
  set_target_properties(PkgConfig::${prefix} PROPERTIES IMPORTED_GLOBAL TRUE)
endfunction()

millrace_pkg_config(liburing::liburing liburing)
millrace_pkg_config(xxhash::xxhash libxxhash)

# llhttp is a source package: three C files, generated and the same everywhere, compiled here with flags
# of their own. Strict: without it llhttp lets pass what a front must not.
find_path(MILLRACE_LLHTTP_SOURCE llhttp.c PATH_SUFFIXES share/llhttp REQUIRED)
find_path(MILLRACE_LLHTTP_INCLUDE llhttp.h HINTS ${MILLRACE_LLHTTP_SOURCE}/../include/llhttp
          PATH_SUFFIXES llhttp REQUIRED)
mark_as_advanced(MILLRACE_LLHTTP_SOURCE MILLRACE_LLHTTP_INCLUDE)
add_library(llhttp STATIC ${MILLRACE_LLHTTP_SOURCE}/api.c ${MILLRACE_LLHTTP_SOURCE}/http.c
                          ${MILLRACE_LLHTTP_SOURCE}/llhttp.c)
target_include_directories(llhttp SYSTEM PUBLIC ${MILLRACE_LLHTTP_INCLUDE})
target_compile_definitions(llhttp PRIVATE LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -w)
add_library(llhttp::llhttp ALIAS llhttp)

find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto SSL)
find_package(CURL 7.88 REQUIRED)
find_package(Boost 1.81 REQUIRED)  # headers only
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(mimalloc REQUIRED)
find_package(simdjson REQUIRED)

if(MILLRACE_TESTS)
  find_package(GTest REQUIRED)
  find_package(pugixml REQUIRED)
  include(GoogleTest)
endif()
if(MILLRACE_BENCH)
  find_package(benchmark REQUIRED)
endif()
