// Numbers into files and lines.
#include "bovila/report/metrics.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bovila/core/counted.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/live_line.h"
#include "bovila/core/log.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

constexpr std::array<const char*, 4> kTypeNames = {"In", "Seq", "Pre",
                                                   "Feas"};  // STAR's types 1..4

std::string letter(int64_t option) {
  return std::string(1, static_cast<char>('A' + option));
}

std::string percent(const Accuracy::Group& group) {
  return fmt::format("{:.2f}", 100 * group.value());
}

ordered_json prediction(const Dataset& data, const OptionScores& score) {
  const Sample& sample = data.sample(score.row);
  const int64_t chosen = score.prediction();
  ordered_json entry = {{"vid", sample.video_id},
                        {"qid", sample.row},
                        {"question_id", sample.question_id},
                        {"qtype", sample.question_type},
                        {"pre", letter(chosen)}};
  if (sample.answer) entry["ans"] = letter(*sample.answer);
  entry["u"] = score.uncertainty[static_cast<size_t>(chosen)];
  return entry;
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

Accuracy measure(const Dataset& data, std::span<const OptionScores> scores) {
  Accuracy accuracy;
  accuracy.total.name = "Total";
  for (const char* name : kTypeNames) accuracy.types.push_back({name, 0, 0});
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
    const auto count = [&](Accuracy::Group& group) {
      group.right += right;
      ++group.questions;
    };
    count(accuracy.total);
    if (sample.question_type > 0) {
      count(accuracy.types[static_cast<size_t>(sample.question_type - 1)]);
    }
  }
  if (!scores.empty()) accuracy.mean_uncertainty /= static_cast<double>(scores.size());
  std::erase_if(accuracy.types, [](const Accuracy::Group& type) { return type.questions == 0; });
  return accuracy;
}

std::string to_text(const Accuracy& accuracy) {
  auto certainty = fmt::format("mean uncertainty {:.3f}", accuracy.mean_uncertainty);
  if (accuracy.num_over_long > 0) {
    certainty += fmt::format("; {} longer than model.max_seq_len, scored whole",
                             counted(accuracy.num_over_long, "prompt"));
  }
  if (!accuracy.known()) return "unknown (the split hides its answers), " + certainty;
  std::vector<std::string> types;
  for (const Accuracy::Group& type : accuracy.types) {
    types.push_back(fmt::format("{} {}", type.name, percent(type)));
  }
  const auto by_type = types.empty() ? "" : fmt::format(" ({})", fmt::join(types, ", "));
  return fmt::format("{} % of {}{}, {}", percent(accuracy.total),
                     counted(accuracy.total.questions, "question"), by_type, certainty);
}

std::string letters_text(const Accuracy& accuracy) {
  return fmt::format("right answers: {}; chosen: {}",
                     accuracy.known() ? accuracy.right.text() : "hidden", accuracy.chosen.text());
}

std::string predictions_text(const Dataset& data, std::span<const OptionScores> scores) {
  auto list = ordered_json::array();
  for (const OptionScores& score : scores) list.push_back(prediction(data, score));
  return list.dump(1) + "\n";
}

std::string questions_text(const Dataset& data, std::span<const OptionScores> scores,
                           const std::map<int64_t, std::string>& asked) {
  std::string text;
  for (const OptionScores& score : scores) {
    const Sample& sample = data.sample(score.row);
    ordered_json entry = prediction(data, score);
    entry["question"] = sample.question;
    entry["options"] = sample.options;
    entry["loss"] = score.loss;
    entry["uncertainty"] = score.uncertainty;
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

std::string StepTimer::record(int64_t step, int64_t questions) {
  const std::chrono::duration<double> since_1970 =
      std::chrono::system_clock::now().time_since_epoch();
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> taken = now - last_;
  last_ = now;
  const ordered_json row = {
      {"step", step},
      {"time", since_1970.count()},
      {"questions_per_s", static_cast<double>(questions) / std::max(taken.count(), 1e-9)}};
  return row.dump();
}

std::string epoch_record(int64_t epoch, const EpochMeans& train, const Accuracy& val) {
  ordered_json record;
  for (const auto& [name, value] : train.values()) record["train_" + name] = value;
  record["train_skipped_steps"] = train.num_skipped;
  record["epoch"] = epoch;
  if (val.known()) {
    record["val_acc"] = val.total.value();
    for (const Accuracy::Group& type : val.types) record["val_" + type.name] = type.value();
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
