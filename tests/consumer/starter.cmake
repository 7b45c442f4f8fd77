# cmake -D WORK=<dir> -D SOURCE=<dir> [-D PREFIX=<dir>] -P starter.cmake
#
# Makes an application with tools/new and does what it is told to do then, on what is
# installed below PREFIX; without that, on the sources.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run("${CMAKE_COMMAND}" -E chdir "${WORK}" "${SOURCE}/tools/new" chores)
if(PREFIX)
  set(where "-DCMAKE_PREFIX_PATH=${PREFIX}")
else()
  set(where "-DEVENTED_SOURCE_DIR=${SOURCE}")
endif()
run("${CMAKE_COMMAND}" -S "${WORK}/chores" -B "${WORK}/chores/build"
  -G Ninja -DCMAKE_BUILD_TYPE=Debug "${where}")
run("${CMAKE_COMMAND}" --build "${WORK}/chores/build")
run(ctest --test-dir "${WORK}/chores/build" --output-on-failure --no-tests=error)

set(program "${WORK}/chores/build/chores")
run("${program}" add "Read the tutorial")
string(STRIP "${output}" id)
run("${program}" finish ${id} Ada)
run("${program}" list)
if(NOT output MATCHES "${id}  Read the tutorial, finished by Ada\n")
  message(FATAL_ERROR "the application lists: ${output}")
endif()
