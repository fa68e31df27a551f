// How bovila and the tools take the values of their command lines: one an option, and never an
// empty one, which an unset variable of the shell is. Used by src/main/command_line.cpp and tools/.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/core/path.h"

namespace bovila {

/// An option that may be given several times, with one value each time. CLI11's own for a vector
/// takes all words that follow, and takes a value in brackets apart.
inline CLI::Option* add_values(CLI::App& app, const std::string& name,
                               std::vector<std::string>& values, const std::string& what) {
  const auto keep = [&values](const CLI::results_t& typed) {
    values = typed;
    return true;
  };
  return app.add_option(name, CLI::callback_t(keep), what)->type_name("TEXT")->take_all();
}

/// An option, or a word without one, that is a path: ~ and variables behind a = are no shell's to
/// replace (core/path.h).
inline CLI::Option* add_path(CLI::App& app, const std::string& name, std::string& path,
                             const std::string& what) {
  const auto expand = [](std::string& value) -> std::string {
    try {
      value = expand_path(value);
      return "";
    } catch (const UserError& error) {
      return error.what();
    }
  };
  return app.add_option(name, path, what)->transform(CLI::Validator(expand, ""));
}

namespace internal {

constexpr const char* kNoValue = "expected a value, got an empty one (a variable that is not set?)";

/// Has all options of the program, and of its commands, look at their values.
inline void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const auto problem = [&app](const std::string& value) {
      if (value.empty()) return std::string(kNoValue);
      const bool is_option = value.starts_with("--") && app.get_option_no_throw(value) != nullptr;
      return is_option ? "expected a value, got the option " + value : "";
    };
    option->check(problem, "");
  }
  for (CLI::App* command : app.get_subcommands({})) refuse_empty_values(*command);
}

}  // namespace internal

/// Parses the command line. @throws CLI::ParseError, also for a value that is empty or is the name
/// of an option.
inline void parse_values(CLI::App& app, int argc, char** argv) {
  internal::refuse_empty_values(app);
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    // CLI11 would take the next word for the value.
    const bool ends_empty = word.starts_with("--") && word.find('=') == word.size() - 1;
    if (ends_empty) throw CLI::ValidationError(argv[i], internal::kNoValue);
  }
  app.parse(argc, argv);
}

}  // namespace bovila
