// What the terms of the objective are called in logs and files. SPEC 5.
// Fed by nothing; used by objective/objective.h and by report/.
#pragma once

#include <array>
#include <string_view>

namespace bovila {

/// The total, its terms, and the mean uncertainty, in the order of Losses::values().
inline constexpr std::array<std::string_view, 8> kLossNames = {
    "loss",     "loss_vqa", "loss_edl_mse", "loss_edl_reg",
    "loss_vaq", "loss_aqa", "loss_qav",     "uncertainty"};

}  // namespace bovila
