// All ranks' times of a step put together. Fed by train/train_step.h; used by train/trainer.h.
#pragma once

#include <string>
#include <vector>

#include "bovila/dist/rank_grid.h"
#include "bovila/report/step_times.h"

namespace bovila {

/// Collective: one reduction of a number a rank. `hosts`: of all ranks. With equal times the lowest
/// rank counts as the slowest and as the fastest. Ranks that hold a model together compute the same
/// tokens, which count once.
TeamTimes gather_times(const StepTimes& mine, const std::vector<std::string>& hosts,
                       const RankGrid& grid);

}  // namespace bovila
