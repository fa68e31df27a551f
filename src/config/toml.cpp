// An assertion of toml++ has no place: it is found by parsing ever longer beginnings of the text.
#include "bovila/config/toml.h"

#include <algorithm>

namespace bovila {
namespace {

/// Whether toml++ gives up on the text by an assertion.
bool breaks(std::string_view text) {
  try {
    static_cast<void>(toml::parse(text));
    return false;
  } catch (const toml::parse_error&) {
    return false;
  } catch (const std::logic_error&) {
    return true;
  }
}

/// The first line, from 1, at whose end it does.
uint32_t broken_line(std::string_view text) {
  uint32_t line = 1;
  for (size_t end = text.find('\n'); end != std::string_view::npos;
       end = text.find('\n', end + 1)) {
    if (breaks(text.substr(0, end + 1))) return line;
    ++line;
  }
  return line;
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& source) {
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error&) {
    throw;
  } catch (const std::logic_error&) {
    const toml::source_position place{broken_line(text), 1};
    throw toml::parse_error("expected a key or the name of a table",
                            {place, place, std::make_shared<const std::string>(source)});
  }
}

}  // namespace bovila
