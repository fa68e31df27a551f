// Choosing where to start is a list of cases, first match first.
#include "bovila/checkpoint/run_folder.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <system_error>
#include <vector>

#include "bovila/config/dump.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/file_system.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/report/tensorboard_events.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEvaluation[] = {"eval.json", "eval-record.json"};

bool holds(const fs::path& path, std::string_view text) {
  return file_bytes(path).find(text) != std::string::npos;
}

/// What tools/report and tools/plot_run have made of a run, and put there unless told otherwise.
bool is_picture_of_a_run(const fs::path& path) {
  const std::string name = path.filename();
  return (name == "report.html" && holds(path, "A run of bovila")) ||
         (name == "plot.png" && holds(path, "tools/plot_run of bovila"));
}

bool is_of_a_run(const fs::path& path) {
  constexpr std::string_view kNames[] = {"config.json",      "build.json",   "log.txt",
                                         "metrics.jsonl",    "timing.jsonl", "questions.jsonl",
                                         "calibration.json", "ledger.jsonl", "checkpoints"};
  const std::string name = path.filename();
  if (std::ranges::count(kNames, name) > 0 || std::ranges::count(kEvaluation, name) > 0)
    return true;
  static const std::regex numbered("(epoch|profile-rank|hang-rank)[0-9]+\\.json");
  return is_event_file(name) || std::regex_match(name, numbered) || is_picture_of_a_run(path);
}

fs::path unused_previous(const fs::path& folder) {
  for (int64_t number = 1;; ++number) {
    fs::path path = folder / fmt::format("previous-{}", number);
    if (!fs::exists(fs::symlink_status(path))) return path;
  }
}

std::optional<fs::path> move_aside(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_of_a_run(entry.path())) found.push_back(entry.path());
  }
  if (found.empty()) return std::nullopt;
  const fs::path target = unused_previous(folder);
  fs::create_directory(target);
  for (const fs::path& path : found) rename_durably(path, target / path.filename());
  return target;
}

fs::path settings_file(const Config& config) {
  return fs::path(config.output.folder) / "config.json";
}

/// A language model's folder has a config.json, too.
bool is_of_our_settings(const fs::path& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("train") && json.contains("output");
}

bool is_within(const fs::path& path, const fs::path& folder) {
  const fs::path inner = fs::weakly_canonical(path), outer = fs::weakly_canonical(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

bool is_same(const fs::path& one, const fs::path& two) {
  std::error_code missing;
  return fs::equivalent(one, two, missing);
}

/// A run that starts anew cuts log.txt to nothing: what stands there without a checkpoint to go on
/// from is kept.
void keep_results(const std::string& folder) {
  std::error_code missing;
  const auto size = fs::file_size(fs::path(folder) / "log.txt", missing);
  if (missing || size == 0) return;
  if (const auto moved = move_run_aside(folder)) {
    log::warn("{} has the results of a run and no checkpoint to go on from: they are in {} now",
              folder, moved->string());
  }
}

void say_skipped(const fs::path&, const std::string& reason) {
  log::warn("a checkpoint is passed over: {}", reason);
}

}  // namespace

fs::path checkpoint_root(const Config& config) {
  return fs::path(config.output.folder) / "checkpoints";
}

void make_run_folder(const Config& config) {
  std::error_code error;
  fs::create_directories(config.output.folder, error);
  if (error) throw UserError("output.folder {}: {}", config.output.folder, error.message());
  const fs::path settings = settings_file(config);
  if (fs::exists(settings) && !is_of_our_settings(settings)) {
    throw UserError("output.folder {} has a config.json that no run wrote: choose another folder",
                    config.output.folder);
  }
}

void write_settings(const Config& config, const std::string& build, bool keep) {
  const auto write = [&](const fs::path& path, const std::string& text) {
    if (!keep || !fs::exists(path)) write_file_durably(path, text);
  };
  write(settings_file(config), to_json(config));
  write(fs::path(config.output.folder) / "build.json", build);
}

void warn_of_file_system(const Config& config) {
  const fs::path root = checkpoint_root(config);
  if (const auto concern = durability_concern(root)) {
    log::warn("{}: its file system, {}", root.string(), *concern);
  }
}

std::optional<fs::path> move_run_aside(const fs::path& folder) {
  try {
    return fs::exists(folder) ? move_aside(folder) : std::nullopt;
  } catch (const fs::filesystem_error& error) {
    throw ProgramError("{}: the old run cannot be moved aside: {}", folder.string(), error.what());
  }
}

fs::path move_evaluation_aside(const fs::path& folder) {
  try {
    const fs::path target = unused_previous(folder);
    fs::create_directory(target);
    for (const std::string_view name : kEvaluation) {
      if (fs::exists(folder / name)) rename_durably(folder / name, target / name);
    }
    return target;
  } catch (const fs::filesystem_error& error) {
    throw ProgramError("{}: the old evaluation cannot be moved aside: {}", folder.string(),
                       error.what());
  }
}

std::optional<Checkpoint> choose_start(const Config& config, const Start& start) {
  const fs::path root = checkpoint_root(config);
  const bool has_checkpoints = !list_checkpoints(root).empty();
  if (start.is_restarted && has_checkpoints && !start.eval) {
    if (start.fresh || !start.resume.empty()) {
      log::info("this is a restart: --fresh and --resume counted for the first start");
    }
    return find_newest_valid(root, say_skipped);
  }
  if (!start.resume.empty() && fs::is_regular_file(start.resume)) {
    if (start.eval) return Checkpoint{start.resume, {}, /*is_published=*/true};
    throw UserError(
        "--resume {}: a file is a published checkpoint, which can be scored (add --eval) but not "
        "resumed: its optimizer and its order of the questions are another program's. A new run "
        "starts from its parameters with --set train.start={}; to go on with a run of bovila, name "
        "its step-... folder or its output folder",
        start.resume, start.resume);
  }
  if (start.fresh) {
    if (const auto moved = move_run_aside(config.output.folder)) {
      log::info("--fresh: the old run of {} is in {} now", config.output.folder, moved->string());
    }
    return std::nullopt;
  }
  if (!start.resume.empty() && has_checkpoints && !start.eval && !is_within(start.resume, root) &&
      !is_same(start.resume, config.output.folder)) {
    throw UserError(
        "{} holds checkpoints already, and --resume names another run's: leave --resume out to go "
        "on "
        "with these, or choose another output.folder",
        root.string());
  }
  if (config.checkpoint.resume == "never" && start.resume.empty() && has_checkpoints &&
      !start.eval) {
    throw UserError(
        "{} holds checkpoints of a run, and checkpoint.resume is \"never\": choose another "
        "output.folder, give --fresh to move that run aside, or set checkpoint.resume = \"auto\" "
        "to "
        "go on with it",
        root.string());
  }
  auto chosen = start.resume.empty() ? find_newest_valid(root, say_skipped)
                                     : resolve_checkpoint(start.resume, say_skipped);
  if (!has_checkpoints && !start.eval) keep_results(config.output.folder);
  return chosen;
}

Checkpoint reopen_start(const fs::path& path) {
  if (fs::is_regular_file(path)) return {path, {}, /*is_published=*/true};
  return {path, load_checkpoint(path)};
}

}  // namespace bovila
