# cmake -D BUILD=<dir> -D PREFIX=<dir> -P install.cmake: installs what was built.

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${PREFIX}")
foreach(component runtime development tools)
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}" --component ${component})
endforeach()
run("${PREFIX}/bin/evented" --version)
