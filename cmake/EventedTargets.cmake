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
  if(EVENTED_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(EVENTED_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=${EVENTED_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${EVENTED_SANITIZE})
  endif()
endfunction()

# evented_add_library(<name> SOURCES .. LINK ..): a static or shared library with the
# alias evented::<name> and its public headers in include/.
function(evented_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(evented_${name} ${arg_SOURCES})
  add_library(evented::${name} ALIAS evented_${name})
  set_target_properties(evented_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME ${name})
  target_compile_features(evented_${name} PUBLIC cxx_std_20)
  target_include_directories(evented_${name}
    PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>"
    PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  target_link_libraries(evented_${name} PUBLIC ${arg_LINK} PRIVATE ${arg_LINK_PRIVATE})
  evented_compile_options(evented_${name})
endfunction()

# evented_add_program(<name> SOURCES .. LINK ..)
function(evented_add_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  evented_compile_options(${name})
endfunction()

# evented_embed_sql(<target> <file>..): makes every SQL file available as
# `evented::sql::<stem>` (a std::string_view) in the generated header evented_sql.hpp.
function(evented_embed_sql target)
  set(header "${CMAKE_CURRENT_BINARY_DIR}/generated/evented_sql.hpp")
  set(text "#pragma once\n#include <string_view>\nnamespace evented::sql {\n")
  foreach(file IN LISTS ARGN)
    get_filename_component(stem "${file}" NAME_WE)
    string(REGEX REPLACE "^[0-9]+_" "m\\0" stem "${stem}") # 0001_x.sql -> m0001_x
    file(READ "${CMAKE_CURRENT_SOURCE_DIR}/${file}" sql)
    string(APPEND text "inline constexpr std::string_view ${stem} = R\"~sql~(${sql})~sql~\";\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  endforeach()
  string(APPEND text "} // namespace evented::sql\n")
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
