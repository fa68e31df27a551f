// Which file systems are said to lose what was synced.
#include "bovila/core/file_system.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("file systems in memory, without atomic renames and of unknown promises are named") {
  CHECK(durability_concern(uint64_t{0x01021994}) ==
        "tmpfs is memory: what it holds is gone after a reboot");
  CHECK(durability_concern(uint64_t{0x4d44})->starts_with("FAT does not rename in one go"));
  CHECK(durability_concern(uint64_t{0xff534d42})->starts_with("CIFS may not keep the promises"));
}

TEST_CASE("the usual file systems of nodes and clusters, and unknown ones, are not") {
  constexpr uint64_t kExt4 = 0xef53, kXfs = 0x58465342, kNfs = 0x6969, kLustre = 0x0bd00bd0,
                     kUnknown = 0x12345;
  for (const uint64_t type : {kExt4, kXfs, kNfs, kLustre, kUnknown}) {
    CHECK_FALSE(durability_concern(type));
  }
}

TEST_CASE("a folder that is yet to be made is looked up where it will be") {
  CHECK(durability_concern(std::filesystem::path("/dev/shm/not/there/yet"))->starts_with("tmpfs "));
  CHECK_FALSE(durability_concern(std::filesystem::path("/proc")));
}

TEST_CASE("names of files stay in their folder") {
  for (const char* name : {"a", "a b.srt", "..a", "...", "\xC3\xA9", "\\"})
    CHECK(is_file_name(name));
  for (const std::string_view name :
       {std::string_view(""), std::string_view("."), std::string_view(".."), std::string_view("/a"),
        std::string_view("../a"), std::string_view("a/b"), std::string_view("a\0.srt", 6)}) {
    CHECK_FALSE(is_file_name(name));
  }
}
