// What an installation has beside the program: the manual page, and bash's completion.
// Fed by the options of main/command_line.cpp and by config/keys.h, so that they never say anything
// else than the program; written by `bovila --generate` when it is built.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace bovila {

/// In the form of man(7).
std::string man_page(const CLI::App& app);

/// A script for bash to read: options, `answer`, a deck's keys behind --set and their values.
std::string bash_completion(const CLI::App& app);

}  // namespace bovila
