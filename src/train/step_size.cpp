// A table of the published steps, and arithmetic on micro-batches.
#include "bovila/train/step_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "bovila/core/counted.h"
#include "bovila/train/schedule.h"

namespace bovila {
namespace {

struct PublishedStep {
  std::string_view dataset;
  bool is_flipped;  // Flipped-VQA's: loss.qav is on
  int64_t ranks, questions;
  double blr;
};

constexpr PublishedStep kPublished[] = {
    {"star", false, 8, 128, 9e-2}, {"dramaqa", false, 8, 128, 9e-2}, {"vlep", false, 8, 128, 9e-2},
    {"tvqa", false, 8, 128, 9e-2}, {"how2qa", false, 8, 128, 9e-2},  {"nextqa", true, 4, 64, 9e-2},
    {"star", true, 4, 32, 9e-2},   {"dramaqa", true, 4, 64, 9e-2},   {"vlep", true, 4, 128, 6e-2},
    {"tvqa", true, 8, 32, 7e-2}};

int64_t micro_batches_of_step(const TrainConfig& config, int64_t ranks) {
  return questions_of_step(config, ranks) / config.batch_size;
}

std::string micro_batches_text(int64_t count) {
  return fmt::format("{} micro-batch{}", count, count == 1 ? "" : "es");
}

/// "" for a deck without a published rate: of another data set, with a train.blr of its own, or
/// with train.lr.
std::string published_text(const Config& config, int64_t questions) {
  const auto* published = std::ranges::find_if(kPublished, [&](const PublishedStep& step) {
    return step.dataset == config.data.dataset && step.is_flipped == (config.loss.qav > 0);
  });
  if (published == std::end(kPublished)) return "";
  if (config.train.lr || config.train.blr != published->blr) return "";
  if (questions == published->questions) return ", as published";
  return fmt::format(
      "; the published one, with which train.blr was found, was {} on {} ranks: "
      "train.questions_per_step = {} in place of train.accum_iter gives it on any number",
      published->questions, published->ranks, published->questions);
}

}  // namespace

std::string step_size_text(const Config& config, int64_t ranks) {
  const int64_t questions = questions_of_step(config.train, ranks);
  const int64_t micro_batches = micro_batches_of_step(config.train, ranks);
  const int64_t least = micro_batches / ranks;
  return fmt::format("a step is {}: {} of {} on {}, {}{} each{}", counted(questions, "question"),
                     micro_batches_text(micro_batches), config.train.batch_size,
                     counted(ranks, "rank"), least,
                     micro_batches % ranks == 0 ? "" : fmt::format(" or {}", least + 1),
                     published_text(config, questions));
}

std::string idle_ranks_text(const TrainConfig& config, int64_t ranks) {
  const int64_t micro_batches = micro_batches_of_step(config, ranks);
  if (micro_batches >= ranks) return "";
  const int64_t idle = ranks - micro_batches;
  return fmt::format(
      "train.questions_per_step = {} is {} of train.batch_size = {} for {}: {} nothing to do. Take "
      "a smaller train.batch_size or fewer ranks",
      config.questions_per_step, micro_batches_text(micro_batches), config.batch_size,
      counted(ranks, "rank"), idle == 1 ? "one has" : fmt::format("{} have", idle));
}

}  // namespace bovila
