# cmake -D WORK=<dir> -D PREFIX=<dir> -P check.cmake
#
# Builds and runs the programs in this folder on what is installed below PREFIX; with
# SOURCE=<dir> instead, takes the sources along and builds the lot.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${WORK}")
set(options -G Ninja -DCMAKE_BUILD_TYPE=Debug)
if(NOT PREFIX)
  list(APPEND options "-DEVENTED_SOURCE_DIR=${SOURCE}")
else()
  list(APPEND options "-DCMAKE_PREFIX_PATH=${PREFIX}")
  file(GLOB pc "${PREFIX}/lib*/pkgconfig" "${PREFIX}/lib/*/pkgconfig")
  set(ENV{PKG_CONFIG_PATH} "${pc}")
  # Where it was built, it can be found.
  file(GLOB_RECURSE library "${PREFIX}/*libevented_prometheus.*")
  if(library)
    list(APPEND options -DEVENTED_ALSO=prometheus)
  endif()
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK}" ${options})
run("${CMAKE_COMMAND}" --build "${WORK}" --target consumer)
run("${WORK}/consumer")
if(NOT output STREQUAL "accepted, version 1\n")
  message(FATAL_ERROR "the consumer says: ${output}")
endif()
if(PREFIX)
  run("${CMAKE_COMMAND}" --build "${WORK}" --target no_caf)
  run("${WORK}/no_caf")
  if(NOT output STREQUAL "connected\n")
    message(FATAL_ERROR "the program without CAF says: ${output}")
  endif()
  if(library)
    foreach(program metrics metrics_by_pkg_config)
      run("${CMAKE_COMMAND}" --build "${WORK}" --target ${program})
      run("${WORK}/${program}")
      if(NOT output STREQUAL "figures at a port\n")
        message(FATAL_ERROR "the program with figures says: ${output}")
      endif()
    endforeach()
  endif()
endif()
