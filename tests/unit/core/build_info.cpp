// What the program says of its own build.
#include "bovila/core/build_info.h"

#include <doctest/doctest.h>

#include <regex>

using namespace bovila;

TEST_CASE("the build has a version, a commit, a compiler and its flags") {
  const BuildInfo build = build_info();
  CHECK(std::regex_match(build.version, std::regex("[0-9]+\\.[0-9]+\\.[0-9]+")));
  CHECK(std::regex_match(build.git, std::regex("unknown|[0-9a-f]{12,40}(-dirty)?")));
  CHECK(std::regex_match(build.compiler, std::regex("(GNU|Clang) [0-9.]+")));
  CHECK(build.flags.find("-O") != std::string::npos);
  CHECK_FALSE(build.build_type.empty());
  CHECK(program_text() == "bovila " + build.version + " (git " + build.git + ")");
}
