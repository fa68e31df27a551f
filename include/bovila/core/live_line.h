// The line about progress that is rewritten in place on a terminal.
// Fed by whoever computes for long; core/log.h takes it away before a message and puts it back
// after it. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace bovila::live_line {

/// Whether standard error is a terminal that can rewrite a line.
bool is_possible();

/// Shows the text in place of the one before, cut to the terminal's width of now. Only where it is
/// possible.
void show(const std::string& text);
/// Takes the line away.
void clear();

/// While it lives the line is taken away, so that others may write to standard error.
class Above {
 public:
  Above();
  ~Above();
  Above(const Above&) = delete;
  Above& operator=(const Above&) = delete;
};

/// What of a text of one line fits into so many columns with the last of them left free, where a
/// terminal would begin a new row; characters that are not ASCII count as two columns. Pure.
std::string_view fitting(std::string_view text, int columns);

}  // namespace bovila::live_line
