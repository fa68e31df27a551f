// What a shell would have made of a path.
#include "bovila/core/path.h"

#include <cstdlib>

#include "bovila/core/system.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::error_of;

namespace {

/// A home, and a variable in it.
struct Variables {
  Variables() {
    setenv("HOME", "/home/me", 1);
    setenv("BOVILA_TEST_DATA", "d1", 1);
    setenv("BOVILA_TEST_EMPTY", "", 1);
  }
  ~Variables() {
    setenv("HOME", before.c_str(), 1);
    unsetenv("BOVILA_TEST_DATA");
    unsetenv("BOVILA_TEST_EMPTY");
  }
  std::string before = environment("HOME");
};

}  // namespace

TEST_CASE("a tilde at the beginning is a home, elsewhere it is a letter") {
  const Variables variables;
  CHECK(expand_path("~") == "/home/me");
  CHECK(expand_path("~/a b/c") == "/home/me/a b/c");
  CHECK(expand_path("a/~") == "a/~");
  CHECK(expand_path("./~/a") == "./~/a");
  CHECK(expand_path("~root/x") == "/root/x");
  CHECK(expand_path("~no such user/x") == "~no such user/x");
}

TEST_CASE("variables are replaced wherever they stand") {
  const Variables variables;
  CHECK(expand_path("$HOME/x") == "/home/me/x");
  CHECK(expand_path("${HOME}x$BOVILA_TEST_DATA") == "/home/mexd1");
  CHECK(expand_path("a/$BOVILA_TEST_DATA.pth") == "a/d1.pth");
  CHECK(expand_path("") == "");
}

TEST_CASE("a dollar without a name is a letter") {
  for (const char* path : {"cost$", "$5", "a$/b", "${", "${}", "${a b}", "$$"}) {
    CHECK(expand_path(path) == path);
  }
}

TEST_CASE("a variable that is not set is an error, not a path that begins at the root") {
  const Variables variables;
  CHECK(error_of([] { expand_path("$BOVILA_TEST_EMPTY/features"); }) ==
        "'$BOVILA_TEST_EMPTY/features': the variable BOVILA_TEST_EMPTY is not set");
  CHECK(error_of([] { expand_path("x/${BOVILA_TEST_NONE}"); }) ==
        "'x/${BOVILA_TEST_NONE}': the variable BOVILA_TEST_NONE is not set");
}

TEST_CASE("a path that is there is what it says") {
  const testing::TempFolder folder;
  const std::string path = folder.write("$HOME/${BOVILA_TEST_NONE}", "");
  CHECK(expand_path(path) == path);
}
