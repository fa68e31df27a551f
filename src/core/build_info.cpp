// The one file that a new commit, version or compiler has compiled again.
#include "bovila/core/build_info.h"

#include <bovila_git.h>  // made by tools/cmake/git_commit.cmake

namespace bovila {

BuildInfo build_info() {
  return {BOVILA_VERSION, BOVILA_GIT, BOVILA_COMPILER, BOVILA_FLAGS, BOVILA_BUILD_TYPE};
}

std::string program_text() {
  return std::string("bovila ") + BOVILA_VERSION + " (git " + BOVILA_GIT + ")";
}

}  // namespace bovila
