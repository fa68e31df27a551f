// What the kernel says about a mapping of this process.
// Fed by an address in it; for the tests of memory that ranks share.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

namespace bovila {

/// A line "FIELD: N kB" of the mapping that holds `at` in /proc/self/smaps, in bytes.
inline size_t smaps_bytes(const void* at, const std::string& field) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  std::ifstream file("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) {
      inside = first <= address && address < last;
    } else if (inside && line.starts_with(field + ":")) {
      return std::stoull(line.substr(field.size() + 1)) * 1024;
    }
  }
  FAIL("no ", field, " in /proc/self/smaps");
  return 0;
}

}  // namespace bovila
