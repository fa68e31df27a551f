# Writes the commit that is compiled as a header, which changes only when the commit does: run at
# each build, it costs nothing while there is no new one.
#   cmake -D SOURCE=FOLDER -D HEADER=FILE -P tools/cmake/git_commit.cmake
# Outside of git, in an exported tarball or without the program, it is "unknown". A repository that
# merely holds the source folder somewhere below it is not asked.
get_filename_component(above "${SOURCE}" DIRECTORY)
cmake_minimum_required(VERSION 3.25)
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env "GIT_CEILING_DIRECTORIES=${above}"
          git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR commit STREQUAL "")
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${HEADER}" CONTENT "#define BOVILA_GIT \"@commit@\"\n" @ONLY)
