// Which questions a loss or gradient comes from that is not finite, and what it is called.
// Fed by train/train_step.h with each micro-batch; feeds the message and the log of such a step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// "nan", "inf", "-inf", or the number. A NaN's sign says nothing and differs between processors.
std::string name_of(double number);

/// This rank's micro-batches of one step, as far as the search needs them.
class StepTrace {
 public:
  /// After the backward pass of a micro-batch: its questions, its losses and the rank's gradient so
  /// far. Keeps two numbers on the tensors' device. No host synchronisation.
  void add(std::vector<int64_t> rows, const torch::Tensor& losses, const torch::Tensor& gradient);

  /// Collective: the questions, ascending and each once, of all ranks' micro-batches whose losses
  /// are not finite or after which the gradient first was not. None when it is only the ranks' sum
  /// that is not.
  std::vector<int64_t> suspects(Communicator& ranks) const;

 private:
  struct MicroBatch {
    std::vector<int64_t> rows;
    torch::Tensor losses;    // [] their sum: not finite when one of them is not
    torch::Tensor gradient;  // [] likewise
  };
  std::vector<MicroBatch> micro_batches_;
};

}  // namespace bovila
