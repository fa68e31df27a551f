// The cold side of BOVILA_CHECK.
#include "bovila/core/error.h"

namespace bovila::internal {

void fail_check(const char* expression, const char* file, int line, const std::string& message) {
  throw ProgramError("{} (check `{}` failed at {}:{})", message, expression, file, line);
}

}  // namespace bovila::internal
