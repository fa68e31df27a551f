// What is typed behind `bovila`.
// Fed by argv; feeds main.cpp, which chooses a command of main/commands.h by it.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bovila/checkpoint/run_folder.h"
#include "bovila/core/error.h"
#include "bovila/data/query.h"

namespace bovila {

struct CommandLine {
  std::string deck;
  std::vector<std::string> overrides;
  Start start;
  bool check = false;
  bool self_check = false;
  bool build_info = false;
  bool answer = false;
  std::string stop;               ///< `bovila stop`: the output folder of the run to end
  std::string features;           ///< of `answer`: a feature set, or the file of one video
  std::optional<double> abstain;  ///< of `answer`: the risk of --abstain
  Query query;  ///< of `answer`: without options they are read from standard input
};

/// What was typed; or, after a mistake or what is answered here (--help, --version, --generate),
/// the exit code.
std::variant<CommandLine, ExitCode> parse(int argc, char** argv);

}  // namespace bovila
