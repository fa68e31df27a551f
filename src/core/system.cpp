// strerror_r() in GNU's form, and getenv().
#include "bovila/core/system.h"

#include <array>
#include <cstdlib>
#include <cstring>

namespace bovila {

std::string system_message(int error_number) {
  std::array<char, 256> buffer{};
  return strerror_r(error_number, buffer.data(), buffer.size());
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the header's condition
  return value == nullptr ? "" : value;
}

}  // namespace bovila
