// Which bovila this is: its version, and how it was compiled.
// Fed by the build (CMakeLists.txt, tools/cmake/git_commit.cmake); feeds dist/versions.h, which
// adds the libraries, and the start-up line.
#pragma once

#include <string>

namespace bovila {

struct BuildInfo {
  std::string version;   ///< "0.2.0"
  std::string git;       ///< "1a2b3c4d5e6f"; "-dirty" behind it: files differed from the commit's;
                         ///< "unknown": compiled outside of git
  std::string compiler;  ///< "GNU 12.2.0"
  std::string flags;     ///< "-O2 -g1"
  std::string build_type;  ///< "RelWithDebInfo"
};
BuildInfo build_info();

/// "bovila 0.2.0 (git 1a2b3c4d5e6f)"
std::string program_text();

}  // namespace bovila
