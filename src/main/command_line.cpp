// The options of `bovila DECK` and of its commands.
#include "src/main/command_line.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "bovila/config/dump.h"
#include "bovila/config/keys.h"
#include "bovila/core/build_info.h"
#include "bovila/core/system.h"
#include "src/main/pages.h"
#include "src/main/values.h"

namespace bovila {
namespace {

constexpr const char* kDespite =
    "go on though settings or files differ from those that the checkpoint was trained with, so "
    "that "
    "it gives other answers; each difference is a warning";

/// `bovila answer`.
void add_answer(CLI::App& app, CommandLine& line) {
  auto* answer = app.add_subcommand(
      "answer",
      "answer questions with a trained model: the one of --option, or of each line of standard "
      "input, {\"video\": ..., \"question\": ..., \"options\": [...]}");
  add_path(*answer, "DECK", line.deck, "settings of the trained run")->required();
  add_values(*answer, "--set", line.overrides, "table.key=value: overrides the deck");
  add_path(*answer, "--resume", line.start.resume,
           "checkpoint: a step-... folder, the output folder of a run, or a published "
           ".pth (default: output.folder's newest valid one)");
  answer->add_flag("--despite-differences", line.start.despite, kDespite);
  add_path(*answer, "--features", line.features,
           "feature set, or an HDF5 file with one video's /frames (default: the deck's)");
  const auto abstain = [&line](const double& risk) {
    if (!(risk >= 0 && risk <= 1)) {
      throw CLI::ValidationError("--abstain",
                                 fmt::format("expected a share, 0 to 1, got {}", risk));
    }
    line.abstain = risk;
  };
  answer->add_option_function<double>(
      "--abstain", abstain,
      "share of wrong answers, 0 to 1: answers say whether they had better not be taken, by the "
      "threshold of certainty that kept it on the run's validation split");
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
  of_one_question("--caption", query.caption, "what is seen in it: a line before the question");
  of_one_question("--context", query.context, "what is known of it: a line before the question");
  answer
      ->add_flag("--allow-missing", query.allow_missing,
                 "of several videos some may have no features: zeros stand for them, as in the "
                 "data sets")
      ->needs(options);
}

/// A line for each option that is none of the program's and a key of the deck: the published code's
/// (--epochs 3), or one without its table.
std::string hints_of_options(const CLI::App& app, int argc, char** argv) {
  std::string hints;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) continue;
    const size_t equals = std::min(word.find('='), word.size());
    const Key* key = find_key_of_option(word.substr(2, equals - 2));
    const bool is_ours = app.get_option_no_throw(std::string(word.substr(0, equals))) != nullptr;
    if (key == nullptr || is_ours) continue;
    const bool has_next = i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--");
    const std::string value = equals < word.size()           ? std::string(word.substr(equals + 1))
                              : type_text(*key) == "boolean" ? "true"
                              : has_next                     ? argv[i + 1]
                                                             : "...";
    hints += fmt::format("{} is a key of the deck: --set {}={}\n", word.substr(0, equals),
                         key->path, value);
  }
  return hints;
}

/// `bovila stop`.
void add_stop(CLI::App& app, CommandLine& line) {
  auto* stop = app.add_subcommand("stop",
                                  "end the run that trains in a folder, on whatever host: it saves "
                                  "its state and ends with exit "
                                  "code 75");
  add_path(*stop, "FOLDER", line.stop, "output folder of the run")->required();
}

/// @throws CLI::ParseError, --help among it.
std::variant<CommandLine, ExitCode> parse(CLI::App& app, int argc, char** argv) {
  CommandLine line;
  std::string output, page;
  auto* deck = add_path(app, "DECK", line.deck, "settings of the run, TOML (see input/README.md)");
  add_values(app, "--set", line.overrides, "table.key=value: overrides the deck");
  add_path(app, "--output", output, "folder for the results: overrides output.folder");
  auto* resume = add_path(app, "--resume", line.start.resume,
                          "checkpoint to go on from: a step-... folder, or the output folder "
                          "of a run (default: output.folder's newest valid one); with --eval "
                          "also a published .pth");
  auto* fresh = app.add_flag("--fresh", line.start.fresh,
                             "start over: what an old run left in output.folder is moved to "
                             "previous-N/ in it");
  auto* eval = app.add_flag("--eval", line.start.eval, "score the validation split and end");
  app.add_flag("--despite-differences", line.start.despite, std::string("with --eval: ") + kDespite)
      ->needs(eval);
  auto* check = app.add_flag("--check", line.check, "check deck, data and weights, report and end");
  bool profile = false;
  app.add_flag("--profile", profile,
               "trace five steps, as --set run.profile_steps=5 does, for "
               "ui.perfetto.dev: profile-rankN.json in the output folder");
  app.add_flag("--self-check", line.self_check,
               "without a deck: check that libraries, devices and ranks work, report and end")
      ->excludes(deck)
      ->excludes(eval)
      ->excludes(check);
  app.set_version_flag("--version", program_text(), "print version and commit and end");
  app.add_flag("--build-info", line.build_info,
               "print version, commit, compiler and the libraries' versions and end");
  app.add_option("--generate", page,
                 "print the manual page (man) or bash's completion (bash-completion) and end")
      ->check(CLI::IsMember({"man", "bash-completion"}));
  fresh->excludes(resume)->excludes(eval);
  add_answer(app, line);
  add_stop(app, line);
  parse_values(app, argc, argv);
  if (!page.empty()) {
    std::cout << (page == "man" ? man_page(app) : bash_completion(app));
    return std::cout.flush() ? ExitCode::kSuccess : ExitCode::kFailure;
  }
  line.answer = app.got_subcommand("answer");
  const bool needs_deck = !line.self_check && !line.build_info && line.stop.empty();
  if (line.deck.empty() && needs_deck) throw CLI::RequiredError("DECK");
  const auto counts = [](const std::string& text) { return !text.empty() && text != "0"; };
  line.start.is_restarted = counts(environment("SLURM_RESTART_COUNT")) ||
                            counts(environment("BOVILA_RESTARTED"));  // by jobs/restarts.bash
  if (profile) line.overrides.push_back("run.profile_steps=5");
  if (!output.empty()) line.overrides.push_back("output.folder=" + quote(output));
  return line;
}

}  // namespace

std::variant<CommandLine, ExitCode> parse(int argc, char** argv) {
  CLI::App app("BoViLA: answers multiple-choice questions about videos with a frozen LLaMA");
  try {
    return parse(app, argc, argv);
  } catch (const CLI::ExtrasError& error) {
    std::cerr << hints_of_options(app, argc, argv);
    const auto decks = app.get_option("DECK")->results();
    if (!decks.empty() && !std::filesystem::exists(decks.front())) {
      std::cerr << fmt::format(
          "'{}' was taken for the deck: `bovila DECK` trains, `bovila DECK "
          "--eval` scores, `bovila answer DECK` answers\n",
          decks.front());
    }
    app.exit(error);
    return ExitCode::kUserError;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError;
  }
}

}  // namespace bovila
