// The inputs opened as for training, the weights' shapes, the data's report.
#include "src/main/check.h"

#include <chrono>
#include <iostream>

#include "bovila/checkpoint/published.h"
#include "bovila/core/log.h"
#include "bovila/data/data_report.h"
#include "bovila/dist/agreement.h"
#include "bovila/train/experiment.h"

namespace bovila {

void check(const Config& config, Communicator& ranks, int num_threads,
           const Preemption& preemption) {
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    const auto start = std::chrono::steady_clock::now();
    const Inputs inputs(config, /*with_train=*/true, preemption);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    log::info("tokenizer, features and annotations opened in {:.1f} s", taken.count());
    AdapterParameters fit(inputs.llama, config.model, config.loss.train_scale_proj, 0, torch::kCPU);
    if (!config.train.start.empty()) load_published(config.train.start, fit);
    check_weight_form(inputs.llama, config.model.weights);
    check_llama_files(config.model.llama, inputs.llama);
    const Dataset* over_long = nullptr;
    for (const Dataset* data : {&*inputs.train, &*inputs.val}) {
      const auto report =
          make_data_report(data->split(), data->samples(), data->prompts(), inputs.features.get(),
                           config.model.max_seq_len, num_threads);
      for (const std::string& text : format_report(report)) std::cout << text << "\n";
      if (report.num_over_long > 0 && config.data.over_long == OverLong::kError) over_long = data;
    }
    if (over_long != nullptr) {
      throw UserError(
          "the split '{}' has over-long prompts; raise model.max_seq_len or set "
          "data.over_long = \"skip\"",
          over_long->split());
    }
    std::cout << "the deck, its data and the weights' files fit together\n";
  });
}

}  // namespace bovila
