// The inputs opened as for training, the weights' shapes, the data's report.
#include "src/main/check.h"

#include <algorithm>
#include <chrono>
#include <iostream>

#include "bovila/checkpoint/published.h"
#include "bovila/core/counted.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/data/data_report.h"
#include "bovila/data/prompt_limits.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/placement.h"
#include "bovila/train/experiment.h"
#include "bovila/train/memory_need.h"
#include "bovila/train/step_size.h"
#include "bovila/train/training_plan.h"

namespace bovila {
namespace {

/// What jobs/*.slurm ask for on a node, in whole groups.
int64_t ranks_of_a_job(int64_t tensor_parallel) {
  constexpr int64_t kRanksOfAJob = 8;
  return std::max<int64_t>(1, kRanksOfAJob / tensor_parallel) * tensor_parallel;
}

std::string ranks_text(int64_t num_groups, int64_t tensor_parallel) {
  if (tensor_parallel == 1) return counted(num_groups, "rank");
  return fmt::format("{} of {} ranks", counted(num_groups, "group"), tensor_parallel);
}

/// Only of the split that is trained on: an evaluation scores over-long prompts whole.
void require_lengths(const DataReport& train, const Config& config) {
  if (train.over_long.empty() || config.data.over_long == OverLong::kSkip) return;
  throw UserError(
      "the split '{}' has over-long prompts; raise model.max_seq_len or set data.over_long = "
      "\"skip\"; {}",
      train.split, limits_text(train.over_long, config.model.max_seq_len));
}

}  // namespace

void check(const Config& config, Communicator& ranks, const Communicator& node, int num_threads,
           const Preemption& preemption) {
  const auto places = gather_places(ranks, torch::kCPU);
  const int64_t parts = config.run.tensor_parallel;
  const int64_t num_groups = std::max<int64_t>(1, ranks.size() / parts);
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    for (const auto& text : placement_concerns(places)) log::warn("{}", text);
    const auto start = std::chrono::steady_clock::now();
    const Inputs inputs(config, /*with_train=*/true, preemption);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    log::info("tokenizer, features and annotations opened in {:.1f} s", taken.count());
    const auto memory = least_memory(config, inputs, num_groups, /*on_gpu=*/false);
    check_memory(memory, node.size(), machine_memory());
    const auto plan = plan_training(config.train, inputs.train->size(), num_groups);
    for (const auto& text : find_concerns(plan, config.train)) log::warn("{}", text);
    AdapterParameters fit(inputs.llama, config.model, config.loss.train_scale_proj, 0, torch::kCPU,
                          inputs.features->dim());
    if (!config.train.start.empty()) load_published(config.train.start, fit);
    check_weight_form(inputs.llama, config.model.weights);
    check_llama_files(config.model.llama, inputs.llama);
    const auto concern = rate_concern(config.train, inputs.llama);
    if (!concern.empty()) log::warn("{}", concern);
    std::vector<DataReport> reports;
    for (const Dataset* data : {&*inputs.train, &*inputs.val}) {
      reports.push_back(make_data_report(data->split(), data->samples(), data->prompts(),
                                         inputs.features.get(), config.data.subtitles,
                                         config.model.max_seq_len, num_threads));
      for (const std::string& text : format_report(reports.back())) std::cout << text << "\n";
    }
    const int64_t longest = std::min(reports.front().max_length, config.model.max_seq_len);
    for (const std::string& text :
         format_memory(config, {inputs.llama, fit.num_trained(), longest},
                       ranks.size() > 1 ? ranks.size() : ranks_of_a_job(parts))) {
      std::cout << text << "\n";
    }
    for (const DataReport& report : reports) {
      require_features(report.coverage, *inputs.features, config.data.max_missing,
                       config.data.features);
    }
    require_lengths(reports.front(), config);
    std::cout << fmt::format("with {}: {}\n", ranks_text(num_groups, parts), to_text(plan));
    std::cout << step_size_text(config, num_groups) << "\n";
    std::cout << "the deck, its data and the weights' files fit together\n";
  });
}

}  // namespace bovila
