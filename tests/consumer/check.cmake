# cmake -D BUILD=<dir> -D WORK=<dir> [-D SOURCE=<dir>] -P check.cmake
#
# Installs what was built in BUILD below WORK and builds and runs the programs in this
# folder against it. With SOURCE, takes the sources along instead and builds the lot.

function(run)
  execute_process(COMMAND ${ARGN}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# As a fresh clone has it.
file(REMOVE_RECURSE "${WORK}")
set(options -G Ninja -DCMAKE_BUILD_TYPE=Debug)
if(SOURCE)
  list(APPEND options "-DEVENTED_SOURCE_DIR=${SOURCE}")
else()
  foreach(component runtime development tools)
    run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix" --component ${component})
  endforeach()
  list(APPEND options "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
  file(GLOB pc "${WORK}/prefix/lib*/pkgconfig" "${WORK}/prefix/lib*/*/pkgconfig")
  set(ENV{PKG_CONFIG_PATH} "${pc}")
  run("${WORK}/prefix/bin/evented" --version)
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK}/build" ${options})
run("${CMAKE_COMMAND}" --build "${WORK}/build" --target consumer)
run("${WORK}/build/consumer")
if(NOT output STREQUAL "accepted, version 1\n")
  message(FATAL_ERROR "the consumer says: ${output}")
endif()
if(NOT SOURCE)
  run("${CMAKE_COMMAND}" --build "${WORK}/build")
  run("${WORK}/build/no_caf")
  if(NOT output STREQUAL "connected\n")
    message(FATAL_ERROR "the program without CAF says: ${output}")
  endif()
endif()
