// Rows of cells as lines of text with aligned columns.
// Fed by train/self_check.h and dist/collective_check.h; read by a person.
#pragma once

#include <string>
#include <vector>

namespace bovila {

/// One line a row, two spaces between columns, cells aligned left, no spaces at the end of a line,
/// every line indented by two. Widths are counted in bytes. Rows may differ in length.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace bovila
