// Two texts with holes, filled from the option table and from the table of keys.
#include "src/main/pages.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "bovila/config/dump.h"
#include "bovila/config/keys.h"
#include "bovila/core/build_info.h"

namespace bovila {
namespace {

constexpr std::pair<const char*, const char*> kTools[] = {
    {"pth2h5", "a .pth of features, a folder of .npy files or an HDF5 file, as a feature set"},
    {"extract_features.py", "a feature set of a folder of videos"},
    {"llama2bovila", "LLaMA's weights as the file that ranks map"},
    {"gguf2llama.py", "a LLaMA in a GGUF file in Meta's form"},
    {"ckpt2pth", "a checkpoint as a .pth for PyTorch and the published code"},
    {"bovila-report", "a run as one page for a browser"},
    {"bovila-plot-run", "curves of a run as PNG, SVG or PDF"},
    {"bovila-hang", "whom the ranks of a run waited for in vain"},
    {"bovila-submission", "a run's answers as the file that a leaderboard takes"},
    {"sets2jsonl", "a known data set as lines of JSON"},
    {"bovila-sweep", "many runs from one file, resumed by themselves, and a table of them"}};

constexpr const char* kManHead = R"(.TH BOVILA 1 "" "bovila @VERSION@" "User Commands"
.SH NAME
bovila \- train and evaluate BoViLA, a frozen LLaMA that answers questions about videos
.SH SYNOPSIS
.B bovila
.RI [ OPTION ]... " DECK"
.br
.B bovila answer
.RI [ OPTION ]... " DECK"
.br
.B bovila stop
.I FOLDER
.br
.B mpirun \-np 8 bovila
.RI [ OPTION ]... " DECK"
.SH DESCRIPTION
Trains the adapters of a frozen LLaMA as a deck, a TOML file, says, on as many ranks as MPI starts,
one a GPU or all on the CPU. Typed again after an interruption, the same command goes on from the
newest checkpoint.
)";

constexpr const char* kManTail = R"(.SH EXIT STATUS
.TP
.B 0
finished
.TP
.B 1
failed; the last line says why
.TP
.B 2
the command line, the deck, the data or the weights are wrong
.TP
.B 75
stopped before its end, with its state saved: the same command goes on
.SH FILES
.TP
.I PREFIX/share/bovila/input
the decks, the demo's data and the pages that explain them
.TP
.I PREFIX/share/bovila/jobs
jobs for Slurm:
.B sbatch
.I PREFIX/share/bovila/jobs/star.slurm
)";

constexpr const char* kCompletion =
    R"(# Completion of bovila @VERSION@ for bash, made by `bovila --generate bash-completion`.
_bovila() {
  local words=("${COMP_WORDS[@]}") at=$COMP_CWORD
  local current=${words[at]} before=${words[at - 1]} options="@OPTIONS@"
  [[ ${words[1]} == answer ]] && options="@ANSWER_OPTIONS@"
  COMPREPLY=()
  # bash counts the = of key=value as a word of its own.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]]; then
    before=${words[at - 2]}
  fi
  case $before in
    --set)
      compopt -o nospace 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -W "@KEYS@" -S = -- "$current")
      return
      ;;
@VALUES@  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ ${words[1]} == stop ]] && ((at == 2)); then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
  elif ((at == 1)) || [[ $before == answer ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(
      ((at == 1)) && compgen -W "answer stop" -- "$current"
      compgen -f -X '!*.toml' -- "$current"
      compgen -d -- "$current"
    )
  fi
}
complete -o default -F _bovila bovila
)";

/// Puts a text in the place of each @NAME@.
std::string filled(std::string text, const std::string& name, const std::string& value) {
  const std::string hole = "@" + name + "@";
  for (size_t at = text.find(hole); at != std::string::npos; at = text.find(hole, at)) {
    text.replace(at, hole.size(), value);
    at += value.size();
  }
  return text;
}

/// A text that man shows as it is.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

/// An entry of a list: a line in bold, its rest as it is, and a text.
std::string entry(const std::string& name, const std::string& rest, const std::string& text) {
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", escaped(name), escaped(rest), escaped(text));
}

/// An application's options without its positional ones, in their order.
std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

const CLI::App& answer_of(const CLI::App& app) {
  return *app.get_subcommand("answer");
}

std::string options_text(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : options_of(app)) {
    const bool has_value = option->get_items_expected_max() > 0;
    text += entry(option->get_name(), has_value ? " " + option->get_type_name() : "",
                  option->get_description());
  }
  return text;
}

/// A section of the manual page.
std::string command_text(const CLI::App& command, const char* title) {
  return fmt::format(".SH {}\n{}\n", title, escaped(command.get_description())) +
         options_text(command);
}

/// "string (folder), required", "integer (1 .. 1000000), default 10".
std::string key_kind(const Key& key) {
  const std::string range = range_text(key), standard = value_text(key, Config{});
  return fmt::format("{}{}{}", type_text(key), range.empty() ? "" : fmt::format(" ({})", range),
                     key.required       ? ", required"
                     : standard.empty() ? ""
                                        : ", default " + standard);
}

std::string keys_text() {
  std::string text, table;
  for (const Key& key : keys()) {
    if (key.table() != table) {
      table = key.table();
      text += fmt::format(".SS [{}]\n", table);
    }
    text += entry(std::string(key.path), ": " + key_kind(key), std::string(key.doc));
  }
  return text;
}

std::string tools_text() {
  std::string text;
  for (const auto& [name, doc] : kTools) text += entry(name, "", doc);
  return text;
}

/// "--set --output ...".
std::string option_words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::Option* option : options_of(app)) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return fmt::format("{}", fmt::join(words, " "));
}

/// A case of the completion's `case` for each key whose value is one of few words.
std::string value_cases() {
  std::string text;
  for (const Key& key : keys()) {
    const auto words = choices(key);
    if (words.empty()) continue;
    text += fmt::format(
        "    {})\n      mapfile -t COMPREPLY < <(compgen -W \"{}\" -- \"$current\")\n      return\n"
        "      ;;\n",
        key.path, fmt::join(words, " "));
  }
  return text;
}

}  // namespace

std::string man_page(const CLI::App& app) {
  return filled(kManHead, "VERSION", build_info().version) + ".SH OPTIONS\n" + options_text(app) +
         command_text(answer_of(app), "BOVILA ANSWER") +
         command_text(*app.get_subcommand("stop"), "BOVILA STOP") +
         ".SH DECK\nThe keys of a deck. \\-\\-set overrides one: \\-\\-set train.epochs=5\n" +
         keys_text() + kManTail + ".SH TOOLS\nEach of them tells its options by \\-\\-help.\n" +
         tools_text();
}

std::string bash_completion(const CLI::App& app) {
  std::vector<std::string_view> paths;
  for (const Key& key : keys()) paths.push_back(key.path);
  std::string text = filled(kCompletion, "VERSION", build_info().version);
  text = filled(text, "OPTIONS", option_words(app));
  text = filled(text, "ANSWER_OPTIONS", option_words(answer_of(app)));
  text = filled(text, "KEYS", fmt::format("{}", fmt::join(paths, " ")));
  return filled(text, "VALUES", value_cases());
}

}  // namespace bovila
