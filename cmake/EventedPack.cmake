# What cpack reads before it starts. Where there is no dpkg-shlibdeps, CPack says nothing
# and makes packages that need nothing, and whoever installs them gets no libraries.
if(CPACK_GENERATOR STREQUAL "DEB")
  find_program(EVENTED_SHLIBDEPS dpkg-shlibdeps)
  find_program(EVENTED_FILE file)
  if(NOT EVENTED_SHLIBDEPS OR NOT EVENTED_FILE)
    message(FATAL_ERROR "Debian packages need dpkg-dev and file: apt install dpkg-dev file")
  endif()
endif()
