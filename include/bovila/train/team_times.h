// All ranks' times of a step put together, and the tokens a second that would be their peak.
// Fed by train/train_step.h; used by train/trainer.h.
#pragma once

#include <string>
#include <vector>

#include "bovila/dist/rank_grid.h"
#include "bovila/report/step_times.h"
#include "bovila/weights/llama_params.h"

namespace bovila {

/// Collective: one reduction of a number a rank. `hosts`: of all ranks. With equal times the lowest
/// rank counts as the slowest and as the fastest. Ranks that hold a model together compute the same
/// tokens, which count once.
TeamTimes gather_times(const StepTimes& mine, const std::vector<std::string>& hosts,
                       const RankGrid& grid);

/// Tokens a second of `ranks` at `tflops` each (run.peak_tflops); 0: not stated. A token is counted
/// as 4 operations for each number of the layers' matrices: a product forward and one backward,
/// for the gradient of its input, since frozen matrices want none of their own. Embeddings, head,
/// attention's products of tokens, adapters and what is computed again are left out.
double peak_tokens_per_s(const LlamaParams& llama, int64_t ranks, double tflops);

}  // namespace bovila
