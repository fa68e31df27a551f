// strerror_r() in GNU's form, gethostname(), sysconf() and getenv().
#include "bovila/core/system.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace bovila {

std::string system_message(int error_number) {
  std::array<char, 256> buffer{};
  return strerror_r(error_number, buffer.data(), buffer.size());
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), HOST_NAME_MAX) == 0 ? name.data() : "unknown";
}

double machine_memory() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

int machine_cores() {
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the header's condition
  return value == nullptr ? "" : value;
}

}  // namespace bovila
