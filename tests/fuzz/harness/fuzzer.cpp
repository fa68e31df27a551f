// libFuzzer's entry point around one target: whatever is not a UserError, or takes more memory than
// the input's size allows, ends the process with a find. Time is libFuzzer's -timeout.
#include <fmt/format.h>
#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "bovila/core/error.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_target(std::string_view bytes);  // each target's name, see CMakeLists.txt

namespace {

std::atomic<int64_t> live_bytes = 0, peak_bytes = 0;

void on_malloc(const volatile void*, size_t size) {
  const int64_t live = live_bytes += static_cast<int64_t>(size);
  if (live > peak_bytes) peak_bytes = live;
}

void on_free(const volatile void* block) {
  const void* allocated = const_cast<const void*>(block);
  if (allocated != nullptr) {
    live_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(allocated));
  }
}

void check_memory(int64_t before, size_t input_bytes) {
  const auto taken = static_cast<size_t>(std::max<int64_t>(peak_bytes - before, 0));
  if (taken <= kMemoryBase + kMemoryFactor * input_bytes) return;
  fmt::print(stderr, "{} bytes of memory for an input of {}\n", taken, input_bytes);
  std::abort();
}

}  // namespace
}  // namespace bovila::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  __sanitizer_install_malloc_and_free_hooks(bovila::fuzz::on_malloc, bovila::fuzz::on_free);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bovila::fuzz;
  const int64_t before = live_bytes;
  peak_bytes = before;
  try {
    fuzz_target({reinterpret_cast<const char*>(data), size});
  } catch (const bovila::UserError&) {
  }
  check_memory(before, size);
  return 0;
}
