// fuzz_replay [TARGET...]: gives each target every file of its corpus: seeds, what reached new
// code, and what was found and mended. Prints a line "ok fuzz corpus: TARGET" or "FAILED ..." for
// each; the file that is being read stands in the line before, should it end the process.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "bovila/core/error.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

#define X(name) void fuzz_##name(std::string_view bytes);
FUZZ_TARGETS
#undef X

namespace {

namespace fs = std::filesystem;
using Target = void (*)(std::string_view);

#define X(name) {#name, fuzz_##name},
const std::map<std::string, Target> kTargets = {FUZZ_TARGETS};
#undef X

constexpr size_t kMemoryBytes = size_t{2} << 30;  // of the process, its libraries among them

/// A length that is believed ends in an exception, not in a machine without memory.
void limit_memory() {
#ifndef __SANITIZE_ADDRESS__  // which reserves terabytes
  const rlimit limit{kMemoryBytes, kMemoryBytes};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

/// What is wrong; "" when nothing is.
std::string problem_with(Target target, const std::string& bytes) {
  const auto start = std::chrono::steady_clock::now();
  try {
    target(bytes);
  } catch (const UserError&) {
  } catch (const std::exception& error) {
    return error.what();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return took.count() > kMaxSeconds ? fmt::format("took {:.0f} s", took.count()) : "";
}

bool replay(const std::string& name, Target target) {
  size_t count = 0, failed = 0;
  const fs::path corpus = fs::path(FUZZ_CORPUS) / name;
  std::set<fs::path> files;
  if (fs::is_directory(corpus)) files = {fs::directory_iterator(corpus), {}};
  for (const fs::path& path : files) {
    fmt::print("{}\n", path.string());
    std::fflush(stdout);
    const std::string problem = problem_with(target, read_file(path));
    if (!problem.empty()) fmt::print("  {}\n", problem);
    ++count;
    failed += !problem.empty();
  }
  const bool good = count > 0 && failed == 0;
  fmt::print("{} fuzz corpus: {}, {} of {} files\n", good ? "ok" : "FAILED", name, count - failed,
             count);
  return good;
}

}  // namespace
}  // namespace bovila::fuzz

int main(int argc, char** argv) {
  using namespace bovila::fuzz;
  limit_memory();
  const std::set<std::string> wanted(argv + 1, argv + argc);
  bool good = true;
  for (const auto& [name, target] : kTargets) {
    if (wanted.empty() || wanted.contains(name)) good = replay(name, target) && good;
  }
  return good ? 0 : 1;
}
