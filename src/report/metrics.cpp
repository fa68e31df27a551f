// Numbers into files and lines.
#include "bovila/report/metrics.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bovila/config/keys.h"
#include "bovila/core/counted.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/live_line.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/evaluation/certainty.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

std::string letter(int64_t option) {
  return std::string(1, static_cast<char>('A' + option));
}

std::string percent(const Accuracy::Group& group) {
  return fmt::format("{:.2f}", 100 * group.value());
}

/// "In 50.00, Seq 100.00"
std::string to_text(std::span<const Accuracy::Group> groups) {
  std::vector<std::string> texts;
  for (const Accuracy::Group& group : groups) {
    texts.push_back(fmt::format("{} {}", group.name, percent(group)));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

/// Adds a question to the group of this name.
void count(std::vector<Accuracy::Group>& groups, std::string_view name, int64_t right) {
  const auto found = std::ranges::find(groups, name, &Accuracy::Group::name);
  found->right += right;
  ++found->questions;
}

/// The names of the types that the questions have, in the data set's order.
std::vector<TypeName> types_of(const Dataset& data) {
  std::set<std::string_view> found;
  for (const Sample& sample : data.samples())
    found.insert(sample.types.begin(), sample.types.end());
  std::vector<TypeName> names;
  for (const TypeName& known : data.types().order) {
    if (found.erase(known.name) > 0) names.push_back(known);
  }
  names.insert(names.end(), found.begin(), found.end());
  return names;
}

bool is_of(const Sample& sample, const TypeFigure& figure) {
  return std::ranges::any_of(sample.types, [&](const std::string& type) {
    return std::ranges::count(figure.types, type) > 0;
  });
}

ordered_json prediction(const Dataset& data, const OptionScores& score, double temperature) {
  const Sample& sample = data.sample(score.row);
  const int64_t chosen = score.prediction();
  ordered_json entry = {{"vid", sample.video_id},
                        {"qid", sample.row},
                        {"question_id", sample.question_id},
                        {"qtype", sample.question_type}};
  if (sample.types.size() == 1) entry["type"] = sample.types.front();
  if (sample.types.size() > 1) entry["type"] = sample.types;
  entry["pre"] = letter(chosen);
  if (sample.answer) entry["ans"] = letter(*sample.answer);
  entry["u"] = score.uncertainty[static_cast<size_t>(chosen)];
  entry["probability"] = certainty_of_probability(score, temperature);
  entry["entropy"] = 1 - certainty_of_entropy(score, temperature);
  if (score.turned.empty()) return entry;
  for (const int64_t option : chosen_by_turn(score)) entry["turns"].push_back(letter(option));
  entry["majority"] = letter(majority(score));
  return entry;
}

/// Rows of one video in a row are one entry.
ordered_json frames_json(const ShownFrames& shown) {
  auto frames = ordered_json::array();
  const FrameChoice* before = nullptr;
  for (const FrameChoice& frame : shown.frames) {
    if (before == nullptr || before->span != frame.span) {
      const auto& video = shown.clip[static_cast<size_t>(frame.span)].video;
      frames.push_back({{"video", video}, {"rows", ordered_json::array()}});
    }
    if (frame.row != FrameChoice::kZeroRow) frames.back()["rows"].push_back(frame.row);
    before = &frame;
  }
  return frames;
}

std::string_view meaning_of(VideoShown video) {
  if (video == VideoShown::kNone) return "without the video";
  if (video == VideoShown::kShuffled) return "with the video's frames in a random order";
  return "with the frames of another question's video";
}

}  // namespace

void EpochMeans::add(const StepReport& step) {
  if (!step.non_finite.empty()) {
    ++num_skipped;
    return;
  }
  const auto weight = static_cast<double>(step.num_micro_batches);
  const size_t losses = step.losses.size();
  for (size_t i = 0; i < losses; ++i) sums[i] += weight * step.losses[i];
  sums[losses] += weight * step.gradient_norm;
  sums[losses + 1] += weight * step.lr;
  num_micro_batches += step.num_micro_batches;
}

std::vector<std::pair<std::string, double>> EpochMeans::values() const {
  std::vector<std::string> names(kLossNames.begin(), kLossNames.end());
  names.insert(names.end(), {"gradient_norm", "lr"});
  const auto weight = static_cast<double>(std::max<int64_t>(num_micro_batches, 1));
  std::vector<std::pair<std::string, double>> out;
  for (size_t i = 0; i < names.size(); ++i) out.emplace_back(names[i], sums[i] / weight);
  return out;
}

bool Accuracy::is_like_guessing() const {
  return known() && static_cast<double>(total.right) <= guessed + 2 * std::sqrt(guessed_variance);
}

double Accuracy::Group::value() const {
  return questions > 0 ? static_cast<double>(right) / static_cast<double>(questions) : 0;
}

double Accuracy::mean_of_types() const {
  double sum = 0;
  for (const Group& type : types) sum += type.value();
  return types.empty() ? 0 : sum / static_cast<double>(types.size());
}

Accuracy measure(const Dataset& data, std::span<const OptionScores> scores) {
  Accuracy accuracy;
  accuracy.total.name = "Total";
  accuracy.with_mean = data.types().mean_of_types;
  const auto types = types_of(data);
  for (const TypeName& type : types) accuracy.types.push_back({std::string(type.key), 0, 0});
  for (const TypeFigure& figure : data.types().figures) {
    accuracy.figures.push_back({std::string(figure.name), 0, 0});
  }
  for (const OptionScores& score : scores) {
    const Sample& sample = data.sample(score.row);
    const int64_t chosen = score.prediction();
    accuracy.mean_uncertainty += score.uncertainty[static_cast<size_t>(chosen)];
    accuracy.chosen.add(sample, static_cast<int>(chosen));
    if (!sample.answer) continue;
    const double chance = 1 / static_cast<double>(sample.options.size());
    accuracy.guessed += chance;
    accuracy.guessed_variance += chance * (1 - chance);
    accuracy.right.add(sample, *sample.answer);
    const int64_t right = chosen == *sample.answer ? 1 : 0;
    accuracy.total.right += right;
    ++accuracy.total.questions;
    for (const std::string& type : sample.types) {
      count(accuracy.types, std::ranges::find(types, type, &TypeName::name)->key, right);
    }
    for (const TypeFigure& figure : data.types().figures) {
      if (is_of(sample, figure)) count(accuracy.figures, figure.name, right);
    }
  }
  accuracy.turned = measure_turns(data, scores);
  if (!scores.empty()) accuracy.mean_uncertainty /= static_cast<double>(scores.size());
  for (auto* groups : {&accuracy.types, &accuracy.figures}) {
    std::erase_if(*groups, [](const Accuracy::Group& group) { return group.questions == 0; });
  }
  return accuracy;
}

std::string to_text(const Accuracy& accuracy) {
  auto certainty = fmt::format("mean uncertainty {:.3f}", accuracy.mean_uncertainty);
  if (accuracy.num_over_long > 0) {
    certainty += fmt::format("; {} longer than model.max_seq_len, scored whole",
                             counted(accuracy.num_over_long, "prompt"));
  }
  if (!accuracy.known()) return "unknown (the split hides its answers), " + certainty;
  std::string by_type = to_text(std::span(accuracy.types));
  if (!accuracy.figures.empty()) by_type += "; " + to_text(std::span(accuracy.figures));
  if (accuracy.with_mean) {
    by_type += fmt::format("; mean of types {:.2f}", 100 * accuracy.mean_of_types());
  }
  if (!by_type.empty()) by_type = fmt::format(" ({})", by_type);
  return fmt::format("{} % of {}{}, {}", percent(accuracy.total),
                     counted(accuracy.total.questions, "question"), by_type, certainty);
}

std::string letters_text(const Accuracy& accuracy) {
  return fmt::format("right answers: {}; chosen: {}",
                     accuracy.known() ? accuracy.right.text() : "hidden", accuracy.chosen.text());
}

std::vector<std::string> probe_lines(const EvalConfig& eval, const Accuracy& accuracy) {
  std::vector<std::string> lines;
  if (eval.video != VideoShown::kTrue) {
    auto line =
        fmt::format("eval.video = \"{}\": {}", to_string(eval.video), meaning_of(eval.video));
    if (accuracy.known()) {
      line += fmt::format(" {} of {} are right; guessing gives {:.1f}, give or take {:.1f}",
                          accuracy.total.right, counted(accuracy.total.questions, "question"),
                          accuracy.guessed, 2 * std::sqrt(accuracy.guessed_variance));
    }
    lines.push_back(std::move(line));
  }
  if (accuracy.turned) {
    lines.push_back(fmt::format("eval.options = \"{}\": {}", to_string(eval.options),
                                to_text(*accuracy.turned)));
  }
  return lines;
}

std::string predictions_text(const Dataset& data, std::span<const OptionScores> scores,
                             double temperature) {
  auto list = ordered_json::array();
  for (const OptionScores& score : scores) list.push_back(prediction(data, score, temperature));
  return list.dump(1) + "\n";
}

std::string questions_text(const Dataset& data, std::span<const OptionScores> scores,
                           const std::map<int64_t, std::string>& asked, double temperature) {
  std::string text;
  for (const OptionScores& score : scores) {
    const Sample& sample = data.sample(score.row);
    ordered_json entry = prediction(data, score, temperature);
    entry["question"] = sample.question;
    entry["options"] = sample.options;
    entry["loss"] = score.loss;
    entry["uncertainty"] = score.uncertainty;
    entry["frames"] = frames_json(data.shown(score.row));
    const auto own = asked.find(score.row);
    if (own != asked.end()) entry["asked"] = own->second;
    text += entry.dump() + "\n";
  }
  return text;
}

std::string step_record(int64_t epoch, int64_t step, const StepReport& report) {
  ordered_json record = {{"step", step}, {"epoch", epoch}, {"questions", report.num_questions}};
  for (size_t i = 0; i < report.losses.size(); ++i) record[kLossNames[i]] = report.losses[i];
  record["gradient_norm"] = report.gradient_norm;
  record["gate1"] = report.gate1;
  record["gate2"] = report.gate2;
  record["lr"] = report.lr;
  if (report.is_skipped()) record["skipped"] = true;
  return record.dump();  // what is not finite becomes null
}

std::string StepTimer::record(int64_t step, int64_t questions, const TeamTimes& team,
                              double checkpoint_s) {
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> taken = now - last_;
  last_ = now;
  const double seconds = std::max(taken.count(), 1e-9);
  const double tokens_per_s = static_cast<double>(team.mean.tokens) / seconds;
  ordered_json row = {{"step", step},
                      {"time", seconds_since_1970()},
                      {"questions_per_s", static_cast<double>(questions) / seconds},
                      {"tokens_per_s", tokens_per_s},
                      {"data_s", team.mean.data_s},
                      {"compute_s", team.mean.compute_s},
                      {"others_s", team.mean.others_s},
                      {"update_s", team.mean.update_s},
                      {"checkpoint_s", checkpoint_s},
                      {"slowest", team.slowest_name},
                      {"slowest_s", team.slowest_s},
                      {"fastest", team.fastest_name},
                      {"fastest_s", team.fastest_s}};
  if (peak_tokens_per_s_ > 0) row["share_of_peak"] = tokens_per_s / peak_tokens_per_s_;
  return row.dump();
}

std::string epoch_record(int64_t epoch, const EpochMeans& train, const Accuracy& val) {
  ordered_json record;
  for (const auto& [name, value] : train.values()) record["train_" + name] = value;
  record["train_skipped_steps"] = train.num_skipped;
  record["epoch"] = epoch;
  if (val.known()) {
    record["val_acc"] = val.total.value();
    for (const auto* groups : {&val.types, &val.figures}) {
      for (const Accuracy::Group& group : *groups) record["val_" + group.name] = group.value();
    }
    if (val.with_mean) record["val_mean_of_types"] = val.mean_of_types();
  }
  record["val_uncertainty"] = val.mean_uncertainty;
  return record.dump();
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

Progress::Progress(int64_t every, bool quiet)
    : every_(every), quiet_(quiet), live_(live_line::is_possible()) {}

Progress::~Progress() {
  if (live_ && !quiet_) live_line::clear();
}

void Progress::update(const std::string& text, int64_t questions, int64_t remaining, bool last) {
  questions_ += questions;
  ++calls_;
  if (quiet_ || (!live_ && !last && calls_ % every_ != 0)) return;
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = static_cast<double>(questions_) / std::max(elapsed, 1e-9);
  const auto pace = fmt::format("{:.1f} questions/s, ETA {}", rate,
                                clock_text(static_cast<double>(remaining) / std::max(rate, 1e-9)));
  // A narrow terminal cuts the end off.
  if (live_ && !last) return live_line::show(fmt::format("{}, {}", pace, text));
  if (live_) live_line::clear();
  log::info("{}, {}", text, pace);
}

}  // namespace bovila
