# cmake -D WORK=<dir> -D SOURCE=<dir> -P static.cmake
#
# Builds static libraries, installs them and what goes with them, and builds and runs
# the programs in this folder on that.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${WORK}")
run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/build" -G Ninja
  -DCMAKE_BUILD_TYPE=Debug -DBUILD_SHARED_LIBS=OFF -DEVENTED_BUILD_TESTS=OFF
  -DEVENTED_BUILD_EXAMPLES=OFF -DEVENTED_BUILD_TOOLS=OFF)
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${CMAKE_COMMAND}" --install "${WORK}/build" --prefix "${WORK}/prefix")
set(PREFIX "${WORK}/prefix")
set(WORK "${WORK}/consumer")
include("${CMAKE_CURRENT_LIST_DIR}/check.cmake")
