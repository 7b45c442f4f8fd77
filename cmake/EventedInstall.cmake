# What `cmake --install` puts where, and the Debian packages that are made of it.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(evented_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/evented")
set(evented_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
# An installation can be moved.
file(RELATIVE_PATH evented_pc_to_prefix "/prefix/${evented_pc_dir}" "/prefix")

# To be called by evented_add_library only.
function(evented_install_library name)
  cmake_parse_arguments(arg "" "" "LINK;LINK_PRIVATE" ${ARGN})
  install(TARGETS evented_${name} EXPORT evented-${name}
    LIBRARY COMPONENT runtime NAMELINK_COMPONENT development
    ARCHIVE COMPONENT development
    FILE_SET HEADERS COMPONENT development)
  install(EXPORT evented-${name}
    NAMESPACE evented:: FILE evented-${name}.cmake
    DESTINATION "${evented_cmake_dir}" COMPONENT development)

  # Debian's CAF and cereal have no .pc files of their own.
  set(names
    evented::core evented-core evented::actors evented-actors
    PkgConfig::PQXX libpqxx PkgConfig::PQ libpq spdlog::spdlog spdlog
    prometheus-cpp::core prometheus-cpp-core prometheus-cpp::pull prometheus-cpp-pull)
  set(flags CAF::core -lcaf_core CAF::io -lcaf_io CAF::openssl -lcaf_openssl crypto -lcrypto Threads::Threads -pthread)
  foreach(list LINK LINK_PRIVATE)
    set(requires_${list} "")
    set(libs_${list} "")
    foreach(target IN LISTS arg_${list})
      string(REPLACE "evented_inside::" "evented::" target "${target}")
      foreach(to requires libs)
        set(from "${names}")
        if(to STREQUAL libs)
          set(from "${flags}")
        endif()
        list(FIND from "${target}" at)
        if(NOT at EQUAL -1)
          math(EXPR at "${at} + 1")
          list(GET from ${at} found)
          string(APPEND ${to}_${list} " ${found}")
        endif()
      endforeach()
    endforeach()
  endforeach()
  get_target_property(type evented_${name} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    # An archive does not know what it needs.
    string(APPEND requires_LINK "${requires_LINK_PRIVATE}")
    string(APPEND libs_LINK "${libs_LINK_PRIVATE}")
    set(requires_LINK_PRIVATE "")
    set(libs_LINK_PRIVATE "")
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/evented.pc.in"
    "${PROJECT_BINARY_DIR}/generated/evented-${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/generated/evented-${name}.pc"
    DESTINATION "${evented_pc_dir}" COMPONENT development)
endfunction()

# Installs a page of a manual, or what Debian wants to be compressed.
function(evented_install_compressed file to component)
  find_program(EVENTED_GZIP gzip)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  if(EVENTED_GZIP)
    get_filename_component(name "${to}" NAME)
    set(compressed "${PROJECT_BINARY_DIR}/generated/${component}/${name}.gz")
    file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/generated/${component}")
    # The same bytes at any time.
    execute_process(COMMAND "${EVENTED_GZIP}" -9nc "${file}"
      OUTPUT_FILE "${compressed}" COMMAND_ERROR_IS_FATAL ANY)
    set(file "${compressed}")
    string(APPEND to .gz)
  endif()
  get_filename_component(folder "${to}" DIRECTORY)
  get_filename_component(name "${to}" NAME)
  install(FILES "${file}" DESTINATION "${folder}" RENAME "${name}" COMPONENT ${component})
endfunction()

# -- find_package(evented) -----------------------------------------------------

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/evented-config.cmake.in"
  "${PROJECT_BINARY_DIR}/generated/evented-config.cmake"
  INSTALL_DESTINATION "${evented_cmake_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/generated/evented-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/generated/evented-config.cmake"
  "${PROJECT_BINARY_DIR}/generated/evented-config-version.cmake"
  cmake/FindCAF.cmake
  DESTINATION "${evented_cmake_dir}" COMPONENT development)

# -- Debian packages -----------------------------------------------------------

# `cpack -G DEB` in the build directory. The name of the library's package follows its
# soname, so that two of them can be installed side by side.
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CPACK_PACKAGE_NAME libevented)
set(CPACK_PACKAGE_VENDOR libevented)
set(CPACK_PACKAGE_CONTACT "libevented <libevented@example.org>" CACHE STRING
  "Who answers for the packages")
# Each package has a line of its own in its description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PROJECT_CONFIG_FILE "${CMAKE_CURRENT_LIST_DIR}/EventedPack.cmake")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL runtime development tools)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# Versions with the same soname can take each other's place.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libevented${soversion})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "event sourcing for CAF on PostgreSQL
Entities whose state changes are stored as events, and projections of these.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libevented-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libcaf-dev, libcereal-dev, libpqxx-dev, libpq-dev, libspdlog-dev, libssl-dev, pkg-config")
if(prometheus-cpp_FOUND)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", prometheus-cpp-dev")
endif()
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "event sourcing for CAF on PostgreSQL, development
Headers, the test kit, a private PostgreSQL for tests, and what CMake and
pkg-config need to find them.")
if(BUILD_SHARED_LIBS)
  set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS runtime)
else()
  list(REMOVE_ITEM CPACK_COMPONENTS_ALL runtime)
endif()

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME evented-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "event sourcing for CAF on PostgreSQL, command line
The program evented: status, events, projections, dead letters, export and
import of a journal.")

# What Debian's policy asks of every package.
configure_file(cmake/debian/changelog.in "${PROJECT_BINARY_DIR}/generated/changelog.Debian" @ONLY)
foreach(pair runtime:libevented${soversion} development:libevented-dev tools:evented-tools)
  string(REPLACE ":" ";" pair "${pair}")
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES cmake/debian/copyright DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${package}"
    COMPONENT ${component})
  evented_install_compressed("${PROJECT_SOURCE_DIR}/CHANGELOG.md"
    "${CMAKE_INSTALL_DATADIR}/doc/${package}/changelog" ${component})
  evented_install_compressed("${PROJECT_BINARY_DIR}/generated/changelog.Debian"
    "${CMAKE_INSTALL_DATADIR}/doc/${package}/changelog.Debian" ${component})
endforeach()
install(FILES cmake/debian/overrides DESTINATION "${CMAKE_INSTALL_DATADIR}/lintian/overrides"
  RENAME libevented${soversion} COMPONENT runtime)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/cmake/debian/triggers")

# A user's program may well be a package of its own.
if(PROJECT_IS_TOP_LEVEL)
  include(CPack)
endif()
