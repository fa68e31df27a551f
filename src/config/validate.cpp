// Rules between keys as a table, and the checks that touch the file system.
#include "bovila/config/validate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/core/path.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

struct Rule {
  std::array<std::string_view, 2> keys;  // the first one that the deck gives gets the blame
  bool (*holds)(const Config&);
  std::string (*message)(const Config&);
};

std::vector<std::string_view> datasets_with_subtitles() {
  std::vector<std::string_view> names;
  for (const DatasetKind& kind : dataset_kinds()) {
    if (kind.has_subtitles) names.push_back(kind.name);
  }
  return names;
}

const Rule kRules[] = {
    // The cosine runs over epochs - warmup_epochs.
    {{"train.warmup_epochs", "train.epochs"},
     [](const Config& c) { return c.train.warmup_epochs < static_cast<double>(c.train.epochs); },
     [](const Config& c) {
       return fmt::format("train.warmup_epochs must be less than train.epochs, got {} and {}",
                          c.train.warmup_epochs, c.train.epochs);
     }},
    // Without train.lr the peak depends on the number of ranks, which a deck does not know.
    {{"train.min_lr", "train.lr"},
     [](const Config& c) { return !c.train.lr || c.train.min_lr <= *c.train.lr; },
     [](const Config& c) {
       return fmt::format("train.min_lr must not be above train.lr, got {} and {}", c.train.min_lr,
                          *c.train.lr);
     }},
    {{"train.questions_per_step", "train.accum_iter"},
     [](const Config& c) { return c.train.questions_per_step == 0 || c.train.accum_iter == 1; },
     [](const Config& c) {
       return fmt::format(
           "train.questions_per_step takes the place of train.accum_iter, got {} and {}: expected "
           "one of them (--set train.accum_iter=1 undoes a deck's)",
           c.train.questions_per_step, c.train.accum_iter);
     }},
    {{"train.questions_per_step", "train.batch_size"},
     [](const Config& c) { return c.train.questions_per_step % c.train.batch_size == 0; },
     [](const Config& c) {
       return fmt::format(
           "train.questions_per_step must be a multiple of train.batch_size, got {} and {}: ranks "
           "take whole micro-batches",
           c.train.questions_per_step, c.train.batch_size);
     }},
    {{"model.max_feats", "model.max_seq_len"},
     [](const Config& c) { return c.model.max_feats < c.model.max_seq_len; },
     [](const Config& c) {
       return fmt::format(
           "model.max_feats must be less than model.max_seq_len, got {} and {}: "
           "the video tokens are part of the prompt",
           c.model.max_feats, c.model.max_seq_len);
     }},
    {{"data.subtitles", "data.dataset"},
     [](const Config& c) {
       const auto names = datasets_with_subtitles();
       return !c.data.subtitles || std::ranges::count(names, c.data.dataset) > 0;
     },
     [](const Config& c) {
       return fmt::format("data.subtitles = true needs a data set with subtitles ({}), got {}",
                          fmt::join(datasets_with_subtitles(), ", "), c.data.dataset);
     }},
    {{"data.frames_per_second", "data.dataset"},
     [](const Config& c) {
       return !c.data.frames_per_second || c.data.dataset == "jsonl" || c.data.dataset == "mixture";
     },
     [](const Config& c) {
       return fmt::format(
           "data.frames_per_second is for data.dataset = \"jsonl\" and \"mixture\"; {} has its own",
           c.data.dataset);
     }},
    {{"loss.edl_ce", "loss.edl_mse"},
     [](const Config& c) { return c.loss.edl_ce == 0 || c.loss.edl_mse > 0; },
     [](const Config& c) {
       return fmt::format(
           "loss.edl_ce = {} stands beside loss.edl_mse; without it, 0, the answers' loss is their "
           "cross-entropy, with weight 1",
           c.loss.edl_ce);
     }},
};

/// What is wrong with the path of `key`, or "".
std::string file_problem(const Key& key, const std::string& path) {
  const bool wants_folder = key.text != Text::kFile;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return fmt::format("{} '{}' of {} is not there ({}; relative paths start in {})",
                       wants_folder ? "folder" : "file", path, key.path, key.doc,
                       fs::current_path(error).string());
  }
  if (error) return fmt::format("cannot look at '{}' of {}: {}", path, key.path, error.message());
  if (fs::is_directory(status) == wants_folder) return "";
  return wants_folder ? fmt::format("{} needs a folder, '{}' is a file", key.path, path)
                      : fmt::format("{} needs a file, '{}' is a folder", key.path, path);
}

/// What keeps `path` from being made a folder, or "".
std::string new_folder_problem(const Key& key, const std::string& path) {
  std::error_code error;
  fs::path above = fs::absolute(path, error);
  while (above.has_relative_path() && !fs::exists(above, error) && !error) {
    above = above.parent_path();
  }
  if (error) return fmt::format("cannot look at '{}' of {}: {}", path, key.path, error.message());
  if (fs::is_directory(above, error)) {
    if (faccessat(AT_FDCWD, above.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return "";
    return fmt::format("'{}' of {} cannot be written: '{}': {}", path, key.path, above.string(),
                       system_message(errno));
  }
  return fmt::format("'{}' of {} cannot be a folder: '{}' is a file", path, key.path,
                     above.string());
}

}  // namespace

DeckPlace Origins::place_of(std::string_view path) const {
  const auto found = places.find(path);
  return found == places.end() ? DeckPlace{source} : found->second;
}

void check_rules(const Config& config, const Origins& origins, Problems& problems) {
  for (const Rule& rule : kRules) {
    const auto refused = [&](std::string_view key) { return origins.refused.contains(key); };
    if (std::ranges::any_of(rule.keys, refused) || rule.holds(config)) continue;
    const auto given = [&](std::string_view key) { return origins.places.contains(key); };
    const auto blamed = std::ranges::find_if(rule.keys, given);
    problems.add(blamed == rule.keys.end() ? DeckPlace{origins.source} : origins.place_of(*blamed),
                 rule.message(config));
  }
}

std::vector<std::string> find_warnings(const Config& config) {
  std::vector<std::string> warnings;
  const LossConfig published;
  const LossConfig& loss = config.loss;
  if (loss.train_scale_proj && loss.uncertainty == UncertaintySource::kSoftmax) {
    warnings.emplace_back(
        "loss.train_scale_proj = true trains nothing: with loss.uncertainty = \"softmax\" no loss "
        "reads scale_proj");
  } else if (loss.train_scale_proj && loss.edl_mse == published.edl_mse &&
             loss.edl_reg == published.edl_reg) {
    warnings.push_back(
        fmt::format("loss.train_scale_proj = true with the published weights loss.edl_mse = {} and "
                    "loss.edl_reg = {} was seen to collapse to one answer: watch the accuracy, or "
                    "choose other weights",
                    loss.edl_mse, loss.edl_reg));
  }
  if (config.data.train_split == config.data.val_split) {
    warnings.push_back(fmt::format(
        "data.train_split and data.val_split are both \"{}\": a training's accuracy is that of "
        "questions that it was trained on",
        config.data.val_split));
  }
  return warnings;
}

void expand_paths(Config& config, Origins& origins, Problems& problems) {
  for (const Key& key : keys()) {
    if (key.text == Text::kWord) continue;
    std::string& path = *std::get<std::string*>(key.field(config));
    try {
      path = expand_path(path);
    } catch (const UserError& error) {
      problems.add(origins.place_of(key.path), fmt::format("{}: {}", key.path, error.what()));
      origins.refused.insert(key.path);
    }
  }
}

void check_files(const Config& config, const Origins& origins, Problems& problems) {
  Config copy = config;
  for (const Key& key : keys()) {
    if (key.text == Text::kWord || origins.refused.contains(key.path)) continue;
    const std::string& path = *std::get<std::string*>(key.field(copy));
    if (path.empty()) continue;
    const std::string problem =
        key.text == Text::kNewFolder ? new_folder_problem(key, path) : file_problem(key, path);
    if (!problem.empty()) problems.add(origins.place_of(key.path), problem);
  }
}

}  // namespace bovila
