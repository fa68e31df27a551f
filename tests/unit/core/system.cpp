// Error numbers as texts, variables as they are set or not, files and the words of /proc.
#include "bovila/core/system.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/temp_folder.h"

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

TEST_CASE("a file's bytes are all of it, and none where it cannot be read") {
  const testing::TempFolder folder;
  const std::string bytes("a\0\r\n\xff", 5);
  folder.write("file", bytes);
  CHECK(file_bytes(folder.path() + "/file") == bytes);
  CHECK(file_bytes(folder.path() + "/none").empty());
  CHECK(file_bytes(folder.path()).empty());
}

TEST_CASE("the words of a process's stat begin behind a name that may hold anything") {
  const testing::TempFolder folder;
  folder.write("stat", "12 (a ) S (b) R 1 2 3\n");
  CHECK(stat_words(folder.path() + "/stat") == std::vector<std::string>{"R", "1", "2", "3"});
  CHECK(stat_words(folder.path() + "/none").empty());
  const auto own = stat_words("/proc/self/stat");
  REQUIRE(own.size() > kStartTicks);
  CHECK(own.front() == "R");
  CHECK(std::stoll(own[kStartTicks]) > 0);
}
