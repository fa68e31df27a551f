// Messages to the user: one line each on standard error, from rank 0 unless something is wrong.
// Fed by every stage. Results (metrics, predictions) are files, not log lines: see
// report/metrics.h.
#pragma once

#include <fmt/format.h>

#include <string>

namespace bovila {

/// Sets the process-wide log up: rank 0 shows everything, other ranks warnings and errors only,
/// each of their lines marked with the rank. Call once, before the first message.
void set_up_log(int rank);

}  // namespace bovila

/// log::info("read {} questions", n)
namespace bovila::log {

enum class Level { kInfo, kWarn, kError };
/// One line, whatever characters are in it. Any thread.
void write(Level level, const std::string& message);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bovila::log
