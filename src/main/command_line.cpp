// The options of `bovila DECK` and of `bovila answer DECK`.
#include "src/main/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "bovila/config/dump.h"
#include "bovila/core/build_info.h"
#include "bovila/core/system.h"
#include "src/main/pages.h"
#include "src/main/values.h"

namespace bovila {
namespace {

/// `bovila answer`.
void add_answer(CLI::App& app, CommandLine& line) {
  auto* answer = app.add_subcommand(
      "answer",
      "answer questions with a trained model: the one of --option, or of each line of standard "
      "input, {\"video\": ..., \"question\": ..., \"options\": [...]}");
  answer->add_option("DECK", line.deck, "settings of the trained run")->required();
  add_values(*answer, "--set", line.overrides, "table.key=value: overrides the deck");
  answer->add_option("--resume", line.start.resume,
                     "checkpoint: a step-... folder, the output folder of a run, or a published "
                     ".pth (default: output.folder's newest valid one)");
  answer->add_option("--features", line.features,
                     "feature set, or an HDF5 file with one video's /frames (default: the deck's)");
  answer
      ->add_option(
          "--abstain", line.abstain,
          "share of wrong answers, 0 to 1: answers say whether they had better not be taken, "
          "by the threshold of certainty that kept it on the run's validation split")
      ->check(CLI::Range(0.0, 1.0));
  Query& query = line.query;
  auto* options =
      add_values(*answer, "--option", query.options, "one of the answers to choose from");
  add_values(*answer, "--video", query.videos, "name of the video; several are shown in a row")
      ->needs(options);
  const auto of_one_question = [&](const char* name, auto& value, const char* what) {
    answer->add_option(name, value, what)->needs(options);
  };
  of_one_question("--question", query.question, "what is asked");
  of_one_question("--start", query.start_s, "where the clip begins, in seconds");
  of_one_question("--end", query.end_s, "where it ends");
  of_one_question("--dialogue", query.dialogue, "what is said in it");
}

/// @throws CLI::ParseError, --help among it.
std::variant<CommandLine, ExitCode> parse(CLI::App& app, int argc, char** argv) {
  CommandLine line;
  std::string output, page;
  app.add_option("DECK", line.deck, "settings of the run, TOML (see input/README.md)");
  add_values(app, "--set", line.overrides, "table.key=value: overrides the deck");
  app.add_option("--output", output, "folder for the results: overrides output.folder");
  auto* resume = app.add_option("--resume", line.start.resume,
                                "checkpoint to go on from: a step-... folder, or the output folder "
                                "of a run (default: output.folder's newest valid one); with --eval "
                                "also a published .pth");
  auto* fresh = app.add_flag("--fresh", line.start.fresh,
                             "start over: what an old run left in output.folder is moved to "
                             "previous-N/ in it");
  auto* eval = app.add_flag("--eval", line.start.eval, "score the validation split and end");
  app.add_flag("--check", line.check, "check deck, data and weights, report and end");
  bool profile = false;
  app.add_flag("--profile", profile,
               "trace five steps, as --set run.profile_steps=5 does, for "
               "ui.perfetto.dev: profile-rankN.json in the output folder");
  app.add_flag("--self-check", line.self_check,
               "without a deck: check that libraries, devices and ranks work, report and end");
  app.set_version_flag("--version", program_text(), "print version and commit and end");
  app.add_flag("--build-info", line.build_info,
               "print version, commit, compiler and the libraries' versions and end");
  app.add_option("--generate", page,
                 "print the manual page (man) or bash's completion (bash-completion) and end")
      ->check(CLI::IsMember({"man", "bash-completion"}));
  fresh->excludes(resume)->excludes(eval);
  add_answer(app, line);
  parse_values(app, argc, argv);
  if (!page.empty()) {
    std::cout << (page == "man" ? man_page(app) : bash_completion(app));
    return std::cout.flush() ? ExitCode::kSuccess : ExitCode::kFailure;
  }
  line.answer = app.got_subcommand("answer");
  if (line.deck.empty() && !line.self_check && !line.build_info) throw CLI::RequiredError("DECK");
  const std::string restarts = environment("SLURM_RESTART_COUNT");
  line.start.is_restarted = !restarts.empty() && restarts != "0";
  if (profile) line.overrides.push_back("run.profile_steps=5");
  if (!output.empty()) line.overrides.push_back("output.folder=" + quote(output));
  return line;
}

}  // namespace

std::variant<CommandLine, ExitCode> parse(int argc, char** argv) {
  CLI::App app("BoViLA: answers multiple-choice questions about videos with a frozen LLaMA");
  try {
    return parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError;
  }
}

}  // namespace bovila
