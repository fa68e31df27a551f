// progress.json: the numbers of a TrainState; build.json: who wrote it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "src/checkpoint/checkpoint_format.h"
#include "src/checkpoint/checkpoint_json.h"

namespace bovila::checkpoint_format {
namespace {

std::vector<NamedArray> read_shapes(const JsonObject& root, const std::string& path) {
  std::vector<NamedArray> arrays;
  for (const JsonObject& entry : root.objects("arrays")) {
    entry.allow_only({"name", "shape"});
    NamedArray array{entry.text("name"), entry.integers("shape", 0), {}};
    if (!is_array_name(array.name)) {
      throw UserError("{}: 'arrays': one has a name that no array has", path);
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

nlohmann::ordered_json to_json(const OptionScores& scores) {
  nlohmann::ordered_json json = {{"row", scores.row},
                                 {"loss", nlohmann::ordered_json::array()},
                                 {"uncertainty", nlohmann::ordered_json::array()}};
  for (const double loss : scores.loss) json["loss"].push_back(exact(loss));
  for (const double u : scores.uncertainty) json["uncertainty"].push_back(exact(u));
  return json;
}

std::vector<OptionScores> read_scores(const JsonObject& root, const std::string& path) {
  std::vector<OptionScores> scores;
  for (const JsonObject& entry : root.objects("scores")) {
    entry.allow_only({"row", "loss", "uncertainty"});
    OptionScores question{entry.integer("row", 0), entry.numbers("loss"),
                          entry.numbers("uncertainty")};
    if (question.loss.empty() || question.loss.size() != question.uncertainty.size()) {
      throw UserError("{}: 'scores': row {} has {} losses and {} uncertainties", path, question.row,
                      question.loss.size(), question.uncertainty.size());
    }
    scores.push_back(std::move(question));
  }
  return scores;
}

/// A count that version 2 did not have.
int64_t integer_or_0(const JsonObject& root, const char* name) {
  return std::ranges::count(root.names(), name) > 0 ? root.integer(name, 0) : 0;
}

/// @throws ProgramError for text that is not UTF-8.
std::string dumped(const nlohmann::ordered_json& json, const char* name) {
  try {
    return json.dump(2) + "\n";
  } catch (const nlohmann::json::exception& error) {
    throw ProgramError("{}: {}", name, error.what());
  }
}

std::map<std::string, std::string> all_texts(const JsonObject& object) {
  std::map<std::string, std::string> texts;
  for (const std::string& name : object.names()) texts[name] = object.text(name.c_str());
  return texts;
}

}  // namespace

std::string write_progress(const TrainState& state) {
  nlohmann::ordered_json root = {{"step", state.step},
                                 {"epoch", state.epoch},
                                 {"position", state.position},
                                 {"adamw_steps", state.adamw_steps},
                                 {"loss_scale", exact(state.loss_scale)},
                                 {"loss_scale_good_steps", state.loss_scale_good_steps},
                                 {"num_ranks", state.num_ranks},
                                 {"skipped_in_a_row", state.skipped_in_a_row},
                                 {"loss_sums", nlohmann::ordered_json::array()},
                                 {"num_micro_batches", state.num_micro_batches},
                                 {"num_skipped", state.num_skipped},
                                 {"scores", nlohmann::ordered_json::array()},
                                 {"best_accuracy", exact(state.best_accuracy)},
                                 {"best_step", state.best_step},
                                 {"identity", state.identity},
                                 {"arrays", nlohmann::ordered_json::array()}};
  for (const double sum : state.loss_sums) root["loss_sums"].push_back(exact(sum));
  for (const OptionScores& scores : state.scores) root["scores"].push_back(to_json(scores));
  for (const NamedArray& array : state.arrays) {
    root["arrays"].push_back({{"name", array.name}, {"shape", array.shape}});
  }
  return dumped(root, kProgressName);
}

TrainState read_progress(std::string_view text, const std::string& path) {
  const nlohmann::json json = parse_json(text, path);
  const JsonObject root(json, path);
  root.allow_only({"step", "epoch", "position", "adamw_steps", "loss_scale",
                   "loss_scale_good_steps", "num_ranks", "skipped_in_a_row", "loss_sums",
                   "num_micro_batches", "num_skipped", "scores", "best_accuracy", "best_step",
                   "identity", "arrays"});
  TrainState state;
  state.step = root.integer("step", 0);
  state.epoch = root.integer("epoch", 0);
  state.position = root.integer("position", 0);
  state.adamw_steps = root.integer("adamw_steps", 0);
  state.loss_scale = root.number("loss_scale");
  state.loss_scale_good_steps = root.integer("loss_scale_good_steps", 0);
  state.num_ranks = root.integer("num_ranks", 1);
  state.skipped_in_a_row = integer_or_0(root, "skipped_in_a_row");
  state.loss_sums = root.numbers("loss_sums");
  state.num_micro_batches = root.integer("num_micro_batches", 0);
  state.num_skipped = integer_or_0(root, "num_skipped");
  state.scores = read_scores(root, path);
  state.best_accuracy = root.number("best_accuracy");
  state.best_step = root.integer("best_step", -1);
  state.identity = all_texts(root.object("identity"));
  state.arrays = read_shapes(root, path);
  return state;
}

std::string write_build(const std::map<std::string, std::string>& build) {
  return dumped(build, kBuildName);
}

std::map<std::string, std::string> read_build(std::string_view text, const std::string& path) {
  const nlohmann::json json = parse_json(text, path);
  return all_texts(JsonObject(json, path));
}

}  // namespace bovila::checkpoint_format
