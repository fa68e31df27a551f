// Cutting a known message.
#include "bovila/core/json_reason.h"

#include "bovila/core/utf8.h"

namespace bovila {

std::string json_reason(std::string_view what, bool is_one_line) {
  constexpr std::string_view kMark = "] ", kLine = "at line 1, ";
  const size_t mark = what.find(kMark);
  if (mark != std::string_view::npos) what.remove_prefix(mark + kMark.size());
  std::string text(what);
  const size_t line = text.find(kLine);
  if (is_one_line && line != std::string::npos) text.replace(line, kLine.size(), "at ");
  return to_valid_utf8(text);
}

}  // namespace bovila
