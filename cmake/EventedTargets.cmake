# One function per kind of target, so that each CMakeLists.txt reads as a list.

# Warnings and sanitizers, for every target of the project.
function(evented_compile_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wshadow=local)
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # CAF_ADD_ATOM and friends leave constants that only some programs use.
    target_compile_options(${target} PRIVATE -Wno-unused-const-variable -Wno-shadow)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 sees overlapping copies in operator+ of strings (GCC bug 105329).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 14)
    # Where it optimizes, g++ 14 takes parameters of libpqxx 7 for uninitialized, and
    # texts that CAF 0.17 writes for longer than its buffer.
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-array-bounds)
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE" AND CAF_VERSION VERSION_GREATER_EQUAL 1.0)
    # Programs send as CAF 0.17 wants it. CAF 1.x can do that, too, and has a new way.
    target_compile_options(${target} PRIVATE -Wno-deprecated-declarations)
  endif()
  if(EVENTED_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(EVENTED_SANITIZE)
    set(options -fsanitize=${EVENTED_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_compile_options(${target} PUBLIC "$<BUILD_INTERFACE:${options}>")
    target_link_options(${target} PUBLIC "$<BUILD_INTERFACE:-fsanitize=${EVENTED_SANITIZE}>")
  endif()
endfunction()

# evented_add_library(<name> [STATIC] HEADERS .. SOURCES .. LINK .. LINK_PRIVATE ..): a
# library evented::<name> with its public headers in include/, shared where
# BUILD_SHARED_LIBS says so.
#
# Of a shared library only what is marked as EVENTED_EXPORT can be reached. What looks
# behind that, as tests and the command line do, links evented_inside::<name>: the same
# objects in a static library.
function(evented_add_library name)
  cmake_parse_arguments(arg "STATIC" "" "HEADERS;SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  set(objects evented_${name}_objects)
  add_library(${objects} OBJECT ${arg_SOURCES})
  set_target_properties(${objects} PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${objects}
    PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include"
    PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  target_link_libraries(${objects} PUBLIC ${arg_LINK} PRIVATE ${arg_LINK_PRIVATE})
  evented_compile_options(${objects})

  set(kind STATIC)
  if(BUILD_SHARED_LIBS AND NOT arg_STATIC)
    set(kind SHARED)
  endif()
  evented_pack_objects(evented_${name} ${kind})
  add_library(evented::${name} ALIAS evented_${name})
  # While the major version is 0, a minor version may break.
  set_target_properties(evented_${name} PROPERTIES
    EXPORT_NAME ${name}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_sources(evented_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  if(EVENTED_BUILD_TESTS)
    # Each public header compiles on its own.
    set_property(TARGET evented_${name} PROPERTY VERIFY_INTERFACE_HEADER_SETS ON)
  endif()

  if(BUILD_SHARED_LIBS)
    list(TRANSFORM arg_LINK REPLACE "^evented::" "evented_inside::")
    evented_pack_objects(evented_${name}_inside STATIC)
    target_include_directories(evented_${name}_inside
      INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/include")
    set_property(TARGET evented_${name}_inside PROPERTY EXCLUDE_FROM_ALL ON)
    add_library(evented_inside::${name} ALIAS evented_${name}_inside)
  else()
    add_library(evented_inside::${name} ALIAS evented_${name})
  endif()
  if(EVENTED_INSTALL)
    evented_install_library(${name} LINK ${arg_LINK} LINK_PRIVATE ${arg_LINK_PRIVATE})
  endif()
endfunction()

# Makes a library of the objects; to be called by evented_add_library only.
function(evented_pack_objects target kind)
  add_library(${target} ${kind} $<TARGET_OBJECTS:${objects}>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_LINK} PRIVATE ${arg_LINK_PRIVATE})
  evented_compile_options(${target})
endfunction()

# evented_add_program(<name> SOURCES .. LINK ..)
function(evented_add_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  evented_compile_options(${name})
endfunction()

# evented_embed(<target> NAMESPACE <name> HEADER <file> FILES ..): makes every file available
# as `<namespace>::<stem>` (a std::string_view) in the generated header.
function(evented_embed target)
  cmake_parse_arguments(arg "" "NAMESPACE;HEADER" "FILES" ${ARGN})
  set(header "${CMAKE_CURRENT_BINARY_DIR}/generated/${arg_HEADER}")
  set(text "#pragma once\n#include <string_view>\nnamespace ${arg_NAMESPACE} {\n")
  foreach(file IN LISTS arg_FILES)
    get_filename_component(stem "${file}" NAME_WE)
    string(REGEX REPLACE "^[0-9]+_" "m\\0" stem "${stem}") # 0001_x.sql -> m0001_x
    file(READ "${CMAKE_CURRENT_SOURCE_DIR}/${file}" content)
    string(APPEND text
      "inline constexpr std::string_view ${stem} = R\"~file~(${content})~file~\";\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  endforeach()
  string(APPEND text "} // namespace ${arg_NAMESPACE}\n")
  file(CONFIGURE OUTPUT "${header}" CONTENT "@text@" @ONLY)
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/generated")
endfunction()

# evented_embed_assets(<target> <folder> <file>..): makes every file available as
# `evented::assets::<name>` (a std::string_view) in the generated header
# evented_assets.hpp; app.css is app_css, index.html and other lone names their stem.
function(evented_embed_assets target folder)
  set(header "${CMAKE_CURRENT_BINARY_DIR}/generated/evented_assets.hpp")
  set(text "#pragma once\n#include <string_view>\nnamespace evented::assets {\n")
  foreach(file IN LISTS ARGN)
    string(REGEX REPLACE "\\.(html|svg)$" "" name "${file}")
    string(REPLACE "." "_" name "${name}")
    file(READ "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/${file}" content)
    string(APPEND text
      "inline constexpr std::string_view ${name} = R\"~asset~(${content})~asset~\";\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/${file}")
  endforeach()
  string(APPEND text "} // namespace evented::assets\n")
  file(CONFIGURE OUTPUT "${header}" CONTENT "@text@" @ONLY)
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/generated")
endfunction()
