// The two kinds of error and the exit codes that a job script reads.
// Fed by every stage; main.cpp turns what is thrown into an exit code.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace bovila {

/// What the process tells its caller. Interface: job scripts act on these numbers.
enum class ExitCode : int {
  kSuccess = 0,
  kFailure = 1,     ///< the program's fault, or a broken machine
  kUserError = 2,   ///< deck, annotations, features, weights: the user can mend it
  kPreempted = 75,  ///< stopped on request with its state saved: start me again
};

/// Something the user can mend. The message says what was expected, what came, where, and what to
/// do; it is shown without a stack and the process exits with ExitCode::kUserError.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  template <typename... Args>
  explicit UserError(fmt::format_string<Args...> format,
                     Args&&... args) requires(sizeof...(Args) > 0)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

/// A broken invariant or a failed system call. The process exits with ExitCode::kFailure.
class ProgramError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  template <typename... Args>
  explicit ProgramError(fmt::format_string<Args...> format,
                        Args&&... args) requires(sizeof...(Args) > 0)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

namespace internal {
[[noreturn]] void fail_check(const char* expression, const char* file, int line,
                             const std::string& message);
}  // namespace internal

}  // namespace bovila

/// Throws ProgramError with the expression's text, its place and a message unless `condition`.
#define BOVILA_CHECK(condition, ...)                                                            \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      ::bovila::internal::fail_check(#condition, __FILE__, __LINE__, fmt::format(__VA_ARGS__)); \
    }                                                                                           \
  } while (false)
