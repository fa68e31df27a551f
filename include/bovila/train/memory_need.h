// How much memory a run takes, worked out before it is started: about so much, for a GPU and for
// Slurm's --mem, and at least so much, without which it is not begun.
// Fed by the deck, the LLaMA's sizes and the prompts' lengths; feeds the start of a run and
// `--check`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/train/experiment.h"
#include "bovila/weights/llama_params.h"

namespace bovila {

/// What the estimate is made from.
struct MemoryInputs {
  LlamaParams llama;
  int64_t num_trained = 0;     ///< trained parameters
  int64_t longest_prompt = 0;  ///< tokens, of the training split
};

/// Bytes, of a rank in training. An estimate: jobs/README.md has the sizes that are kept for each
/// token, tests compare it with a measured peak.
struct MemoryNeed {
  int64_t weights = 0;      ///< on a GPU each rank's, on CPUs once for all ranks of a node
                            ///< that have the same part
  int64_t activations = 0;  ///< of a micro-batch of prompts of the greatest length
  int64_t state = 0;        ///< trained parameters, gradients and moments; on CPUs checkpoints too
  int64_t program = 0;      ///< LibTorch; on a GPU CUDA and NCCL
  int64_t host = 0;         ///< of a rank on a GPU in the node's memory; on CPUs 0
  int64_t parts = 1;        ///< of the weights, of which each rank has one

  int64_t total() const { return weights + activations + state + program; }
  /// Of a node's memory, with so many ranks on it.
  int64_t node(int64_t ranks) const;
};

MemoryNeed memory_need(const Config& config, const MemoryInputs& inputs, bool on_gpu);

/// As lines of text, for the devices that run.device may mean: "memory, estimated: a rank on a GPU
/// 18.6 GB (weights 13.5, ...)" and "... a node with 8 ranks 46 GB: sbatch --mem=46G".
std::vector<std::string> format_memory(const Config& config, const MemoryInputs& inputs,
                                       int64_t ranks);

/// Bytes that a rank takes on its host at least, beside the frozen weights.
struct LeastMemory {
  double parameters = 0;  ///< trained ones, with their gradient and moments where they are trained
  double batches = 0;     ///< frames of the batches that are read ahead
  double layers = 0;      ///< inputs of all layers that a micro-batch keeps; 0 on a GPU
  double evaluation = 0;  ///< inputs of one layer of a batch that is scored; 0 on a GPU

  double total() const { return parameters + batches + std::max(layers, evaluation); }
};
/// Prompts are taken as long as those of a few questions are on average. Not collective.
LeastMemory least_memory(const Config& config, const Inputs& inputs, int64_t ranks, bool on_gpu);

/// @throws UserError, with the keys to blame, when the ranks of a node need more than it has.
void check_memory(const LeastMemory& memory, int64_t node_ranks, double node_bytes);

}  // namespace bovila
