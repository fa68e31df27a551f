// Who computes the golden runs: golden_tests alone, golden_group_tests all of its ranks together,
// each with a part of the model.
#pragma once

#include "bovila/dist/communicator.h"

namespace golden {

/// The ranks that hold the model together; null: this process does.
bovila::Communicator* group();

}  // namespace golden
