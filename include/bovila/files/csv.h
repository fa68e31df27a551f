// Comma-separated values with quotes, commas and line breaks inside fields (RFC 4180).
// Fed by a file's bytes; feeds data/annotations.h (How2QA).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

struct CsvRow {
  int64_t line = 0;  ///< line of the file on which the row starts, from 1
  std::vector<std::string> fields;
};

/// Rows of a CSV text. Lines end in LF or CRLF; blank lines and a byte-order mark are skipped; `""`
/// in a quoted field is one quote; a quote inside an unquoted field stands for itself. Rows may
/// differ in length. `name` is the file's, for messages.
/// @throws UserError with the line of a quote that is never closed.
std::vector<CsvRow> parse_csv(std::string_view text, std::string_view name);

}  // namespace bovila
