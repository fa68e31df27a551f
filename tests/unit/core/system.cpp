// Error numbers as texts, variables as they are set or not.
#include "bovila/core/system.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

using namespace bovila;

TEST_CASE("an error number has the system's text, and an unknown one its number") {
  CHECK(system_message(ENOENT) == "No such file or directory");
  CHECK(system_message(123456) == "Unknown error 123456");
}

TEST_CASE("a machine has a core at least, and the memory that its kernel tells") {
  CHECK(machine_cores() >= 1);
  std::ifstream file("/proc/meminfo");
  std::string name;
  double kilobytes = 0;
  file >> name >> kilobytes;
  REQUIRE(name == "MemTotal:");
  CHECK(machine_memory() == doctest::Approx(kilobytes * 1024).epsilon(0.05));
}

TEST_CASE("a variable that is not set is as an empty one") {
  setenv("BOVILA_TEST_VARIABLE", "a b", 1);
  CHECK(environment("BOVILA_TEST_VARIABLE") == "a b");
  unsetenv("BOVILA_TEST_VARIABLE");
  CHECK(environment("BOVILA_TEST_VARIABLE").empty());
}
