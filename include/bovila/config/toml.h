// toml++ with errors in the place of its assertions: toml++ 3.3 ends the process for some texts
// that are not TOML ("[=", among them), and is undefined there when NDEBUG is set. Included instead
// of toml++/toml.h everywhere, and as a header alone, so that there is one definition of it.
#pragma once

#include <stdexcept>

namespace bovila::internal {
[[noreturn]] inline void fail_toml(const char* expression) {
  throw std::logic_error(expression);
}
}  // namespace bovila::internal

#pragma push_macro("NDEBUG")
#undef NDEBUG
#undef TOML_HEADER_ONLY  // the system's library has the assertions that it was built with
#define TOML_HEADER_ONLY 1
#undef TOML_SHARED_LIB
#define TOML_ASSERT(expr) \
  if (!(expr)) bovila::internal::fail_toml(#expr)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <string>
#include <string_view>

namespace bovila {

/// toml::parse, for any bytes. @throws toml::parse_error with the place.
toml::table parse_toml(std::string_view text, const std::string& source);

}  // namespace bovila
