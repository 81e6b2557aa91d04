# The library that other programs embed: base, storage and engine in one archive and one shared
# object, with find_package(Millrace) and pkg-config. It links no allocator: that choice is the
# embedding program's.
if(NOT (TARGET millrace_base AND TARGET millrace_storage AND TARGET millrace_engine))
  return()
endif()

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(layers)
foreach(layer IN ITEMS base storage engine)
  list(APPEND layers $<TARGET_OBJECTS:millrace_${layer}> $<TARGET_OBJECTS:millrace_${layer}_common>)
endforeach()
add_library(millrace_archive STATIC ${layers})
add_library(millrace_shared SHARED ${layers})
set_target_properties(millrace_archive PROPERTIES EXPORT_NAME engine)
set_target_properties(
  millrace_shared PROPERTIES EXPORT_NAME engine_shared VERSION ${PROJECT_VERSION}
                             SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
foreach(library IN ITEMS millrace_archive millrace_shared)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME millrace LINKER_LANGUAGE CXX)
  target_include_directories(
    ${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${library} INTERFACE cxx_std_20)
  target_link_libraries(
    ${library} PRIVATE $<BUILD_INTERFACE:millrace_flags> Threads::Threads
                       $<BUILD_INTERFACE:liburing::liburing> $<BUILD_INTERFACE:xxhash::xxhash>
                       $<BUILD_INTERFACE:OpenSSL::Crypto> $<BUILD_INTERFACE:fmt::fmt>
                       $<BUILD_INTERFACE:simdjson::simdjson>)
endforeach()
# Who links the archive needs what it needs; the shared object names them itself.
target_link_libraries(millrace_archive INTERFACE "$<INSTALL_INTERFACE:uring;xxhash;crypto;fmt;simdjson>")
add_library(millrace::engine ALIAS millrace_archive)
add_library(millrace::engine_shared ALIAS millrace_shared)

# The component "library" is what an embedding program needs; the programs come with the rest.
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME library)
install(TARGETS millrace_archive millrace_shared EXPORT MillraceTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/millrace DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(EXPORT MillraceTargets NAMESPACE millrace::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Millrace)
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/MillraceConfig.cmake.in ${PROJECT_BINARY_DIR}/MillraceConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Millrace)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MillraceConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MillraceConfig.cmake
              ${PROJECT_BINARY_DIR}/MillraceConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Millrace)
# Relative, so that the installed tree can be moved, as the CMake package can.
file(RELATIVE_PATH MILLRACE_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/millrace.pc.in ${PROJECT_BINARY_DIR}/millrace.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/millrace.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(program IN ITEMS millraced millrace millrace-bench)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  endif()
endforeach()
